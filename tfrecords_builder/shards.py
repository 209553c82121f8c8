"""Writes a file of the dataset: one shard.

A shard holds the pairs of a range of hashes and is written front to back by
one process straight from the archive: no shuffling on disk, memory for one
pair at a time, and the same bytes whatever the number of processes.
"""

import uuid
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

from etils import epath

from ben_tf import errors
from ben_tf.archive import official_lists
from ben_tf.archive import patch_pair
from ben_tf.archive import patch_sources
from tfrecords_builder import record
from tfrecords_builder import tfds_internals

TFRECORD = "tfrecord"
# Ends the name of a file that is being written.
PART = ".part"


class ShardTask(NamedTuple):
    """One file to write.

    Attributes:
      split: Name of the split.
      path: The file; its folder exists.
      pairs: The pairs, in the order of their records.
      skip_damaged: Leave damaged pairs out instead of raising.
      kept: A file of an interrupted build that may be the same; "" for none.
      file_format: A value of `tfds.core.FileFormat`.
    """

    split: str
    path: str
    pairs: Sequence[official_lists.OfficialPatch]
    skip_damaged: bool
    kept: str = ""
    file_format: str = TFRECORD


class SkippedPair(NamedTuple):
    """What was left out: a pair, or an entry that is not a patch.

    Attributes:
      patch_name: S2 name of the pair, or the name of the entry.
      place: The file or folder at fault.
      reason: What is wrong with it.
    """

    patch_name: str
    place: str
    reason: str


class ShardResult(NamedTuple):
    """What a `ShardTask` resulted in.

    Attributes:
      num_bytes: Size of the records without their framing.
      metadata: The pairs that were written, in order, without pixels.
      skipped: The pairs that were left out.
      was_kept: Whether it was finished by an interrupted build.
    """

    num_bytes: int
    metadata: list[patch_pair.PatchPair]
    skipped: list[SkippedPair]
    was_kept: bool = False


def in_record_order(
    split: str, pairs: Iterable[official_lists.OfficialPatch]
) -> list[official_lists.OfficialPatch]:
    """Puts the pairs of a split in the order that TFDS would give them."""
    order = tfds_internals.record_order(split)
    return sorted(pairs, key=lambda pair: order(pair.s2_name))


def write_shard(task: ShardTask, archive: patch_sources.Archive) -> ShardResult:
    """Reads, checks and writes the pairs of one shard.

    The file is not there afterwards if all pairs were left out.

    Raises:
      errors.ArchiveError: A pair is damaged and `task.skip_damaged` is false,
        or a file cannot be read.
    """
    metadata = []
    skipped = []
    num_bytes = 0

    def records() -> Iterator[bytes]:
        nonlocal num_bytes
        for official in task.pairs:
            try:
                pair = patch_pair.read(archive, official)
            except patch_sources.UnreadableError:
                raise
            except errors.ArchiveError as error:
                if not task.skip_damaged:
                    raise
                skipped.append(
                    SkippedPair(official.s2_name, error.place, error.reason)
                )
                continue
            serialized = record.serialize(pair)
            num_bytes += len(serialized)
            metadata.append(pair._replace(grids={}, reference_map=None))
            yield serialized

    path = part = epath.Path(task.path)
    if "://" not in task.path:
        # A cluster may have two workers write the same shard at once.
        part = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PART}")
    if task.file_format == TFRECORD:
        with part.open("wb") as file:
            for serialized in records():
                file.writelines(record.frame(serialized))
    else:
        tfds_internals.write_file(task.file_format, part, records())
    if not metadata:
        part.unlink()
    elif part != path:
        part.replace(path)
    return ShardResult(num_bytes, metadata, skipped)
