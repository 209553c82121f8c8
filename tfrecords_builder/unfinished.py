"""What an interrupted build leaves behind, and that two never run at once."""

import contextlib
import fcntl
import os
import pathlib
import shutil
from collections.abc import Iterator

from ben_tf import command_line

# TFDS builds in a folder of such a name and renames it at the very end.
_UNFINISHED = "incomplete.*_*"


@contextlib.contextmanager
def alone_in(dataset_dir: str | os.PathLike[str]) -> Iterator[None]:
    """Holds a lock on the dataset's folder, which a killed process loses.

    Raises:
      command_line.UserError: Another process holds it.
    """
    pathlib.Path(dataset_dir).mkdir(parents=True, exist_ok=True)
    folder = os.open(dataset_dir, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise command_line.UserError(
                f"Another build is writing to {os.fspath(dataset_dir)}. Wait "
                "for it or choose another --data_dir."
            ) from error
        yield
    finally:
        os.close(folder)


def remove(dataset_dir: str | os.PathLike[str]) -> list[pathlib.Path]:
    """Removes unfinished versions of all configs; returns what was there."""
    found = sorted(pathlib.Path(dataset_dir).glob(f"*/{_UNFINISHED}"))
    for folder in found:
        shutil.rmtree(folder)
    return found
