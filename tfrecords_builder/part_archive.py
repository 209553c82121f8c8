"""Opens an archive so that only what a part needs is kept on disk.

Of most parts the lists say which pairs belong to them. `max_pairs` takes the
first pairs that are there, though, and in v1.0 labels stand in the archive
alone: then compressed tarballs are looked through once for that, without their
pixels, before what belongs to the part is inflated.
"""

import functools
import itertools
import os
import pathlib
import shutil
from collections.abc import Iterable

from ben_tf import bigearthnet
from ben_tf.archive import known_pairs
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import open_archive
from ben_tf.archive import parts
from ben_tf.archive import patch_sources
from ben_tf.archive import scratch_files
from ben_tf.archive import tar_index
from tfrecords_builder import conversion
from tfrecords_builder import tfds_internals

_RECORD_ORDER = {
    split: tfds_internals.record_order(split)
    for split in bigearthnet.SPLIT_SIZES
}
# Split -> where it begins and ends among all records; much the same in v2.0.
_SHARES = dict(
    zip(
        bigearthnet.SPLIT_SIZES,
        itertools.pairwise(
            end / bigearthnet.NUM_PATCHES
            for end in itertools.accumulate(
                bigearthnet.SPLIT_SIZES.values(), initial=0
            )
        ),
        strict=True,
    )
)


def open_part(
    archive_dir: str | os.PathLike[str],
    official: known_pairs.Pairs,
    part: parts.Part,
    *,
    version: str,
    skip_damaged: bool,
    scratch_dir: str | os.PathLike[str],
) -> patch_sources.Archive:
    """Returns an archive that holds the pairs of a part at least.

    Args:
      archive_dir: Folder of the archive.
      official: The pairs of its version.
      part: Which of them are wanted.
      version: "v1" or "v2".
      skip_damaged: Whether to go on where a pair is not whole.
      scratch_dir: See `open_archive.open_archive`.

    Raises:
      errors.ArchiveError: A pair is not whole and `skip_damaged` is false, or
        a tar member is refused.
      errors.UserError: See `open_archive.open_archive`; or no pair belongs to
        the part.
    """
    skip = _names(pair for pair in official.values() if not part.keeps(pair))
    is_inflated = open_archive.scratch_bytes(archive_dir, version) > 0
    if is_inflated and _is_known_too_late(part, official):
        names_dir = pathlib.Path(scratch_dir) / "names"
        listing = open_archive.open_archive(
            archive_dir,
            version=version,
            selection=tar_index.Selection(skip, layout.METADATA_ENDINGS),
            scratch_dir=names_dir,
        )
        pairs_of_split, not_whole = conversion.plan_splits(
            listing, official, skip_damaged=skip_damaged, part=part
        )
        shutil.rmtree(names_dir)
        chosen = _names(
            pair for pairs in pairs_of_split.values() for pair in pairs
        )
        # What is not whole is to be listed as such.
        skip = _names(official.values()) - chosen
        skip -= {each.place for each in not_whole}
    return open_archive.open_archive(
        archive_dir,
        version=version,
        with_maps=True,
        selection=tar_index.Selection(skip),
        order=_ReadingOrder(official),
        scratch_dir=scratch_dir,
    )


def _names(pairs: Iterable[official_lists.OfficialPatch]) -> frozenset[str]:
    return frozenset(
        name for pair in pairs for name in (pair.s1_name, pair.s2_name)
    )


def _is_known_too_late(part: parts.Part, official: known_pairs.Pairs) -> bool:
    has_labels = any(pair.labels_19 for pair in official.values())
    return part.max_pairs is not None or bool(part.labels and not has_labels)


class _ReadingOrder:
    """Name of a patch -> number of its scratch file.

    A conversion reads the patches of a lower number first: the records of a
    split are in the order of hashes, and hashes are spread evenly.
    """

    def __init__(self, official: known_pairs.Pairs):
        self._official = official

    @functools.cached_property
    def _by_s1_name(self) -> dict[str, official_lists.OfficialPatch]:
        return {pair.s1_name: pair for pair in self._official.values()}

    def __call__(self, patch_name: str) -> int:
        pair = self._official.get(patch_name) or self._by_s1_name.get(
            patch_name
        )
        if pair is None:
            return scratch_files.NUM_FILES
        start, end = _SHARES[pair.split]
        digest = _RECORD_ORDER[pair.split](pair.s2_name)
        place = int.from_bytes(digest[:4], "big") / (1 << 32)
        return int(scratch_files.NUM_FILES * (start + place * (end - start)))
