"""Which pair goes into which TFRecord file, and writing one such file.

A shard holds the pairs of a range of hashes and is written front to back by
one process straight from the archive: no shuffling on disk, memory for one
pair at a time, and the same bytes whatever the number of processes.
"""

import hashlib
import itertools
import struct
from collections.abc import Iterable
from collections.abc import Sequence
from typing import NamedTuple

import google_crc32c
from etils import epath

from ben_tf import errors
from ben_tf.archive import official_lists
from ben_tf.archive import patch_pair
from ben_tf.archive import patch_sources
from tfrecords_builder import record


class ShardTask(NamedTuple):
    """One file to write.

    Attributes:
      split: Name of the split.
      path: The file; its folder exists.
      pairs: The pairs, in the order of their records.
      skip_damaged: Leave damaged pairs out instead of raising.
    """

    split: str
    path: str
    pairs: Sequence[official_lists.OfficialPatch]
    skip_damaged: bool


class SkippedPair(NamedTuple):
    """A pair, or an entry that is none, that was left out.

    Attributes:
      patch_name: S2 name of the pair, or the name of the entry.
      place: The file or folder at fault.
      reason: What is wrong with it.
    """

    patch_name: str
    place: str
    reason: str


class ShardResult(NamedTuple):
    """What became of a `ShardTask`.

    Attributes:
      split: Name of the split.
      path: The file; not there if all pairs were left out.
      num_bytes: Size of the records without their framing.
      metadata: The pairs that were written, in order, without pixels.
      skipped: The pairs that were left out.
    """

    split: str
    path: str
    num_bytes: int
    metadata: list[patch_pair.PatchPair]
    skipped: list[SkippedPair]


def in_record_order(
    split: str, pairs: Iterable[official_lists.OfficialPatch]
) -> list[official_lists.OfficialPatch]:
    """Orders pairs by the hash that TFDS shuffles with: the same every time."""
    salt = hashlib.md5(split.encode(), usedforsecurity=False)

    def hash_of(pair: official_lists.OfficialPatch) -> bytes:
        digest = salt.copy()
        digest.update(pair.s2_name.encode())
        return digest.digest()

    return sorted(pairs, key=hash_of)


def boundaries(num_records: int, num_shards: int) -> list[tuple[int, int]]:
    """Returns (first, end) of each shard, as TFDS cuts them."""
    edges = [round(num_records * i / num_shards) for i in range(num_shards + 1)]
    return list(itertools.pairwise(edges))


def write_shard(task: ShardTask, archive: patch_sources.Archive) -> ShardResult:
    """Reads, checks and writes the pairs of one shard.

    Raises:
      errors.ArchiveError: A pair is damaged and `task.skip_damaged` is false.
    """
    metadata = []
    skipped = []
    num_bytes = 0
    path = epath.Path(task.path)
    with path.open("wb") as file:
        for official in task.pairs:
            try:
                pair = patch_pair.read(archive, official)
            except errors.ArchiveError as error:
                if not task.skip_damaged:
                    raise
                skipped.append(
                    SkippedPair(official.s2_name, error.place, error.reason)
                )
                continue
            serialized = record.serialize(pair)
            file.writelines(_frame(serialized))
            num_bytes += len(serialized)
            metadata.append(pair._replace(grids={}))
    if not metadata:
        path.unlink()
    return ShardResult(task.split, task.path, num_bytes, metadata, skipped)


def _frame(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Returns the parts of a TFRecord: length, checksums, data."""
    length = struct.pack("<Q", len(data))
    return (
        length + struct.pack("<I", _masked_crc(length)),
        data,
        struct.pack("<I", _masked_crc(data)),
    )


def _masked_crc(data: bytes) -> int:
    """CRC-32C as TFRecord files store it: rotated, plus a constant."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
