"""Cleans up after interrupted builds, and keeps what they had finished.

What is unfinished lies next to the versions of a dataset, under names that TFDS
never loads. Finished shards of it wait for the next build, which takes over
those that it would write in the same way.
"""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator

from tfrecords_builder import kept_shards
from tfrecords_builder import tfds_internals

_NEW = tfds_internals.unfinished_prefix("NEW")
_OLD = tfds_internals.unfinished_prefix("OLD")
_KEPT = tfds_internals.unfinished_prefix("KEPT")


def kept_dir(version_dir: pathlib.Path) -> pathlib.Path:
    """Where finished shards of a version wait.

    Args:
      version_dir: Its folder, or the one in which it is being built.
    """
    for folder in version_dir.parents:
        if folder.name.startswith(_NEW):
            version_dir = folder
    return version_dir.with_name(_KEPT + version_dir.name.rpartition("_")[2])


def keep_finished(folder: pathlib.Path, kept: pathlib.Path) -> tuple[int, int]:
    """Moves the finished shards out of a folder that will vanish.

    Returns:
      How many there are, and their bytes.
    """
    finished = list(kept_shards.find(folder))
    num_bytes = sum(shard.stat().st_size for shard in finished)
    if finished:
        kept.mkdir(exist_ok=True)
    for shard in finished:
        kept_shards.move(shard, kept / shard.name)
    return len(finished), num_bytes


def make_room(kept: pathlib.Path, num_bytes: int) -> Iterator[str]:
    """Removes kept shards if a build has no room beside them.

    Args:
      kept: Where they wait.
      num_bytes: How much the build needs.

    Yields what it did, if anything.
    """
    if kept.exists() and shutil.disk_usage(kept).free < num_bytes:
        shutil.rmtree(kept)
        yield (
            "Removed the finished shards of an interrupted build: the disk is "
            "too small for them beside what is inflated. Starting anew."
        )


def clean_up(dataset_dir: str | os.PathLike[str]) -> Iterator[str]:
    """Removes unfinished versions and files of all configs.

    Yields what it did, but for files, of which TFDS writes new ones.

    A version that was being replaced is put back if the new one had not taken
    its place yet. Finished shards are kept.
    """
    dataset_dir = pathlib.Path(dataset_dir)
    for file in dataset_dir.rglob(tfds_internals.UNFINISHED_FILE_PATTERN):
        file.unlink()
    pattern = f"*/{tfds_internals.UNFINISHED_PATTERN}"
    for folder in sorted(dataset_dir.glob(pattern)):
        final = folder.with_name(folder.name.removeprefix(_OLD))
        kept = kept_dir(folder)
        if folder == kept:
            continue
        if folder != final and not final.exists():
            folder.rename(final)
            yield f"Put back {final}: its replacement was interrupted."
        else:
            number, _ = keep_finished(folder, kept)
            shutil.rmtree(folder)
            yield f"Removed {folder}: a build was interrupted. " + (
                f"Its {number:,} finished shards are kept, for a build that "
                "would write the same."
                if number
                else "Starting anew."
            )


@contextlib.contextmanager
def replacement(version_dir: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a folder for the new version, which then replaces the old one.

    Args:
      version_dir: The old version; it stays until the new one is complete.

    Yields:
      A data dir of its own: the new version is expected in the last three
      parts of `version_dir` (dataset, config, version) below it.
    """
    new = version_dir.with_name(_NEW + version_dir.name)
    old = version_dir.with_name(_OLD + version_dir.name)
    try:
        yield new
        version_dir.rename(old)
        new.joinpath(*version_dir.parts[-3:]).rename(version_dir)
        shutil.rmtree(old)
    finally:
        shutil.rmtree(new, ignore_errors=True)
