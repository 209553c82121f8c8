"""Uses the finished shards of an interrupted build again.

Next to each shard lies a note of what it was made of until the dataset is
complete. A later build takes a shard over if it is to hold the same pairs,
every byte of the archive that it was made of is still the same, no record is
damaged, and the first one is what this program writes. That costs reading, no
decoding and no writing. Only TFRecords on disks of this machine are kept.
"""

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import zlib
from collections.abc import Iterable
from collections.abc import Iterator

import msgspec
from isal import isal_zlib

from ben_tf import errors
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import patch_pair
from ben_tf.archive import patch_sources
from ben_tf.data import tfrecord_files
from tfrecords_builder import record
from tfrecords_builder import shards

_NOTE = ".finished.json"


@dataclasses.dataclass(frozen=True)
class _Finished:
    """What a finished shard was made of.

    Attributes:
      contents: Checksum of what it was to hold, see `_contents_of`.
      sources: Checksum of all files of the archive that were read for it.
      result: What came of it.
    """

    contents: str
    sources: int
    result: shards.ShardResult


@dataclasses.dataclass(frozen=True)
class _Contents:
    """The part of `_Finished` that says whether a shard is worth a look."""

    contents: str


def write_shard(
    task: shards.ShardTask, archive: patch_sources.Archive
) -> shards.ShardResult:
    """As `shards.write_shard`, but takes a kept shard over if there is one."""
    if task.kept:
        # A worker of a cluster may have moved it before it died.
        with contextlib.suppress(FileNotFoundError):
            if kept := _take_over(task, archive):
                return kept
        # The new one takes its room.
        _remove(pathlib.Path(task.kept))
    if "://" in task.path or task.file_format != shards.TFRECORD:
        return shards.write_shard(task, archive)
    watched = _Watch(archive)
    result = shards.write_shard(task, watched.archive)
    finished = _Finished(_contents_of(task), watched.checksum, result)
    _note_of(task.path).write_bytes(msgspec.json.encode(finished))
    return result


def find(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields the finished shards in a folder and in those below it."""
    for note in folder.rglob(f"*{_NOTE}"):
        shard = note.with_name(note.name.removesuffix(_NOTE))
        if shard.is_file():
            yield shard


def move(shard: pathlib.Path, target: pathlib.Path) -> None:
    """Moves a finished shard with its note."""
    shard.replace(target)
    _note_of(shard).replace(_note_of(target))


def forget(paths: Iterable[str]) -> None:
    """Removes the notes of shards, once the dataset is complete."""
    for path in paths:
        if "://" not in path:
            _note_of(path).unlink(missing_ok=True)


def assign(
    tasks: Iterable[shards.ShardTask], kept_dir: pathlib.Path
) -> tuple[list[shards.ShardTask], int]:
    """Gives each task the kept shard that was to hold the same; removes others.

    Args:
      tasks: What to write.
      kept_dir: Where kept shards are.

    Returns:
      The tasks, and the size of their kept shards in bytes.
    """
    kept: dict[str, pathlib.Path] = {}
    for shard in find(kept_dir):
        try:
            note = _note_of(shard).read_bytes()
            contents = msgspec.json.decode(note, type=_Contents).contents
        except msgspec.MsgspecError:
            # The process was killed while it wrote this.
            _remove(shard)
            continue
        kept[contents] = shard
    assigned = []
    num_bytes = 0
    for task in tasks:
        contents = _contents_of(task)
        if contents in kept:
            shard = kept.pop(contents)
            task = task._replace(kept=os.fspath(shard))
            num_bytes += shard.stat().st_size
        assigned.append(task)
    for shard in kept.values():
        _remove(shard)
    return assigned, num_bytes


def _remove(shard: pathlib.Path) -> None:
    shard.unlink(missing_ok=True)
    _note_of(shard).unlink(missing_ok=True)


def _take_over(
    task: shards.ShardTask, archive: patch_sources.Archive
) -> shards.ShardResult | None:
    """Moves the kept shard to its place if it is right."""
    try:
        finished = msgspec.json.decode(
            _note_of(task.kept).read_bytes(), type=_Finished
        )
    except msgspec.MsgspecError:
        return None
    if finished.result.skipped and not task.skip_damaged:
        return None
    if not finished.result.metadata:
        return None  # Then there is no file; somebody else made this one.
    if not (
        _has_same_sources(task, archive, finished)
        and _is_intact(task, archive, finished.result)
    ):
        return None
    move(pathlib.Path(task.kept), pathlib.Path(task.path))
    return finished.result._replace(was_kept=True)


def _has_same_sources(
    task: shards.ShardTask, archive: patch_sources.Archive, finished: _Finished
) -> bool:
    """Reads what was read for the shard, and nothing more."""
    watched = _Watch(archive)
    skipped = {each.patch_name: each for each in finished.result.skipped}
    try:
        for pair in task.pairs:
            if pair.s2_name in skipped:
                if _fault_of(pair, watched.archive) != skipped[pair.s2_name]:
                    return False
            else:
                _read_all(pair, watched.archive)
    except patch_sources.UnreadableError:
        raise
    except errors.ArchiveError:
        return False
    return watched.checksum == finished.sources


def _fault_of(
    pair: official_lists.OfficialPatch, archive: patch_sources.Archive
) -> shards.SkippedPair | None:
    try:
        patch_pair.read(archive, pair)
    except patch_sources.UnreadableError:
        raise
    except errors.ArchiveError as error:
        return shards.SkippedPair(pair.s2_name, error.place, error.reason)
    return None


def _read_all(
    pair: official_lists.OfficialPatch, archive: patch_sources.Archive
) -> None:
    lies = layout.LAYOUTS[archive.version]
    for sensor in archive.sensors:
        names = lies.sensors[sensor]
        patch_name = pair.s1_name if sensor == "S1" else pair.s2_name
        for file_name in names.file_names(patch_name):
            archive[sensor].read_file(patch_name, file_name)
    if layout.MAPS in archive.sources:
        maps = archive[layout.MAPS]
        for file_name in maps.file_names(pair.s2_name):
            maps.read_file(pair.s2_name, file_name)


def _is_intact(
    task: shards.ShardTask,
    archive: patch_sources.Archive,
    result: shards.ShardResult,
) -> bool:
    """Whether the records are as written, and as this program writes them."""
    first = result.metadata[0].official
    expected = record.serialize(patch_pair.read(archive, first))
    num_records = num_bytes = 0
    try:
        for frame in tfrecord_files.frames(task.kept):
            data, is_intact = frame.read()
            if not is_intact or (num_records == 0 and data != expected):
                return False
            num_records += 1
            num_bytes += len(data)
    except errors.ArchiveError:
        return False
    return (num_records, num_bytes) == (len(result.metadata), result.num_bytes)


def _note_of(shard: str | pathlib.Path) -> pathlib.Path:
    return pathlib.Path(f"{shard}{_NOTE}")


def _contents_of(task: shards.ShardTask) -> str:
    """Checksum of which pairs it is to hold, and what lists say of them."""
    return hashlib.sha256(
        msgspec.json.encode((os.path.basename(task.path), task.pairs))
    ).hexdigest()


class _Watch:
    """An archive that notes the checksum of each file that is read."""

    def __init__(self, archive: patch_sources.Archive):
        self._sources = {
            sensor: _WatchedSource(source)
            for sensor, source in archive.sources.items()
        }
        self.archive = dataclasses.replace(archive, sources=self._sources)

    @property
    def checksum(self) -> int:
        """Of all that was read, in whatever order."""
        total = 0
        for sensor in sorted(self._sources):
            for item in sorted(self._sources[sensor].checksums.items()):
                total = zlib.crc32(repr(item).encode(), total)
        return total


class _WatchedSource:
    """See `patch_sources.Source`."""

    def __init__(self, source: patch_sources.Source):
        self._source = source
        self.checksums: dict[str, int] = {}
        self.patch_names = source.patch_names
        self.file_names = source.file_names
        self.drop_before = source.drop_before

    def read_file(self, patch_name: str, file_name: str) -> bytes:
        data = self._source.read_file(patch_name, file_name)
        self.checksums[file_name] = isal_zlib.crc32(data)
        return data
