"""Cleans up after interrupted builds.

What is unfinished lies next to the versions of a dataset, under names that TFDS
never loads. A build starts from scratch: it takes minutes, and half a dataset
of another archive or another `on_error` must not become part of it.
"""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator

from tfrecords_builder import tfds_internals

_NEW = tfds_internals.unfinished_prefix("NEW")
_OLD = tfds_internals.unfinished_prefix("OLD")


def clean_up(dataset_dir: str | os.PathLike[str]) -> Iterator[str]:
    """Removes unfinished versions and files of all configs.

    Yields what it did, but for files, of which TFDS writes new ones.

    A version that was being replaced is put back if the new one had not taken
    its place yet.
    """
    dataset_dir = pathlib.Path(dataset_dir)
    for file in dataset_dir.rglob(tfds_internals.UNFINISHED_FILE_PATTERN):
        file.unlink()
    pattern = f"*/{tfds_internals.UNFINISHED_PATTERN}"
    for folder in sorted(dataset_dir.glob(pattern)):
        final = folder.with_name(folder.name.removeprefix(_OLD))
        if folder != final and not final.exists():
            folder.rename(final)
            yield f"Put back {final}: its replacement was interrupted."
        else:
            shutil.rmtree(folder)
            yield f"Removed {folder}: a build was interrupted. Starting anew."


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
