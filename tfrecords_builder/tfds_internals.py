"""All that relies on private parts of TFDS.

Each docstring says which behaviour is relied on; `test_tfds_internals.py` holds
the installed TFDS to it.
"""

import abc
import errno
import hashlib
import importlib
import itertools
import os
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence

import tensorflow_datasets as tfds
from tensorflow_datasets.core import file_adapters
from tensorflow_datasets.proto import tf_example_generated_pb2

# TFDS builds in `incomplete.<six characters>_<version>`, next to the versions,
# and renames that folder at the very end. It takes no name that begins with
# "incomplete." for a version.
UNFINISHED_PATTERN = "incomplete.*_*"
# Single files are written as `incomplete.<32 hexadecimal digits>.<name>`.
UNFINISHED_FILE_PATTERN = f"incomplete.{'[0-9a-f]' * 32}.*"


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
        """Writes all files to `data_path`; returns their description."""

    def _generate_splits(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> Sequence[tfds.core.SplitInfo]:
        return self.write_splits(dl_manager, download_config)


def described_here(info: tfds.core.DatasetInfo) -> tfds.core.DatasetInfo:
    """Keeps TFDS from asking for the description of a dataset of its own.

    It would make a folder among the temporary files, look for the dataset in
    Google's bucket, where it is not, and leave the folder.

    Relied on: a builder without a dataset on disk calls
    `info.initialize_from_bucket`.
    """
    info.initialize_from_bucket = lambda: None
    return info


def show_examples_with(visualizer: tfds.visualization.Visualizer) -> None:
    """Lets `tfds.show_examples` draw the datasets that a visualizer matches.

    Relied on: it takes the first of `_ALL_VISUALIZERS` that does.
    """
    # In its package, a function hides the module of the same name.
    module = importlib.import_module(
        "tensorflow_datasets.core.visualization.show_examples"
    )
    module._ALL_VISUALIZERS.insert(0, visualizer)


def filename_template(
    builder: tfds.core.DatasetBuilder, split: str
) -> tfds.core.ShardedFileTemplate:
    """Returns what names the shards of a split that is being written.

    Relied on: `_get_filename_template` gives the names that TFDS reads.
    """
    return builder._get_filename_template(split)


def write_file(
    file_format: str, path: os.PathLike[str], records: Iterable[bytes]
) -> None:
    """Writes a shard in any file format that TFDS has.

    Relied on: the adapters of formats take pairs of a key, which they do not
    write, and a serialized tf.train.Example.

    Args:
      file_format: A value of `tfds.core.FileFormat`.
      path: The file; its folder exists.
      records: Serialized examples.

    Raises:
      OSError: The disk is full.
    """
    adapter = file_adapters.ADAPTER_FOR_FORMAT[
        tfds.core.FileFormat(file_format)
    ]
    try:
        adapter.write_examples(path, (("", record) for record in records))
    except RuntimeError as error:
        # ArrayRecord has words alone for it.
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        raise OSError(
            errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path)
        ) from error


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


def parse_example(data: bytes) -> tf_example_generated_pb2.Example:
    """Parses a serialized tf.train.Example.

    Relied on: TFDS has a copy of that message which needs no TensorFlow.

    Raises:
      google.protobuf.message.DecodeError: It is none.
    """
    return tf_example_generated_pb2.Example.FromString(data)
