"""All that relies on private parts of TFDS.

Each docstring says which behaviour is relied on; `test_tfds_internals.py` holds
the installed TFDS to it.
"""

import abc
import hashlib
import itertools
from collections.abc import Callable
from collections.abc import Sequence

import tensorflow_datasets as tfds
from etils import epath

# TFDS builds in `incomplete.<six characters>_<version>`, next to the versions,
# and renames that folder at the very end. It takes no name that begins with
# "incomplete." for a version.
UNFINISHED_PATTERN = "incomplete.*_*"


def unfinished_prefix(purpose: str) -> str:
    """Returns what goes before a version to hide it from TFDS.

    Relied on: a folder `incomplete.<purpose>_<version>` is never loaded.
    """
    return f"incomplete.{purpose}_"


class SplitWriter(  # type: ignore[call-arg] # Its base has no types.
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """A builder that writes the files of its splits itself.

    Relied on: `download_and_prepare` calls `_generate_splits` once, while
    `data_path` is the unfinished folder, describes the dataset by the splits
    that it returns, and then renames the folder.
    """

    @abc.abstractmethod
    def write_splits(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> Sequence[tfds.core.SplitInfo]:
        """Writes all files to `data_path`; returns `split_info` of each."""

    def write_splits_as_tfds(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> Sequence[tfds.core.SplitInfo]:
        """Writes what `_split_generators` gives, one record after another."""
        return super()._generate_splits(dl_manager, download_config)

    def _generate_splits(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> Sequence[tfds.core.SplitInfo]:
        return self.write_splits(dl_manager, download_config)


def shard_path(
    builder: tfds.core.DatasetBuilder, split: str, index: int, num_shards: int
) -> epath.Path:
    """Returns the path of a shard of a dataset that is being built.

    Relied on: `_get_filename_template` names the files that TFDS reads.
    """
    return builder._get_filename_template(split).sharded_filepath(
        shard_index=index, num_shards=num_shards
    )


def split_info(
    builder: tfds.core.DatasetBuilder,
    split: str,
    *,
    shard_lengths: Sequence[int],
    num_bytes: int,
) -> tfds.core.SplitInfo:
    """Describes a split whose shards lie at `shard_path`.

    Relied on: as for `shard_path`.

    Args:
      builder: The builder of the dataset.
      split: Name of the split.
      shard_lengths: Number of records of each shard.
      num_bytes: Size of all records without their framing.
    """
    return tfds.core.SplitInfo(
        name=split,
        shard_lengths=list(shard_lengths),
        num_bytes=num_bytes,
        filename_template=builder._get_filename_template(split),
    )


def num_shards(
    download_config: tfds.download.DownloadConfig,
    num_bytes: int,
    num_records: int,
) -> int:
    """Returns the number of shards that TFDS would give a split.

    Relied on: `get_shard_config().get_number_shards` takes the number of the
    download config, if it has one, or else one that suits the size.
    """
    return download_config.get_shard_config().get_number_shards(
        num_bytes, num_records
    )


def shard_boundaries(
    num_records: int, num_shards: int
) -> list[tuple[int, int]]:
    """Returns (first, end) of each shard.

    Relied on: TFDS cuts at rounded multiples of the mean shard length, so that
    files of ours and of TFDS hold the same records.
    """
    edges = [round(num_records * i / num_shards) for i in range(num_shards + 1)]
    return list(itertools.pairwise(edges))


def record_order(split: str) -> Callable[[str], bytes]:
    """Returns the sort key of records by their key, the same every time.

    Relied on: TFDS shuffles by sorting the MD5 hashes of the split's name,
    followed by the record's key.
    """
    salt = hashlib.md5(split.encode(), usedforsecurity=False)

    def hash_of(key: str) -> bytes:
        digest = salt.copy()
        digest.update(key.encode())
        return digest.digest()

    return hash_of
