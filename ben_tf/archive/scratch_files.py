"""The scratch files that a compressed tarball is inflated to.

Whoever will read the patches in an order known beforehand says so. What is read
early then lies in other files than what is read late, and each file goes as
soon as its patches were read: a conversion takes hardly more disk than its
records, which grow as these files go.
"""

import functools
import pathlib
from collections.abc import Callable
from typing import BinaryIO
from typing import NamedTuple

# Enough that a file is little of the whole, few enough to be open at once.
NUM_FILES = 64


# Name of a patch -> number of its file, 0 to `NUM_FILES`: the first are read
# first, all of the last one may be read at any time.
Order = Callable[[str], int]


def any_order(patch_name: str) -> int:
    """The order of those who read any patch at any time."""
    del patch_name
    return NUM_FILES


class Place(NamedTuple):
    """Where bytes go.

    Attributes:
      number: Number of the file.
      position: Where in it.
      file: Takes them.
    """

    number: int
    position: int
    file: BinaryIO


class ScratchFiles:
    """Files that are written one after another in many small pieces."""

    def __init__(self, stem: str, order: Order):
        """Writes nothing yet.

        Args:
          stem: What their paths begin with.
          order: In which the patches will be read.
        """
        self._stem = stem
        # The files of a patch mostly come one after the other.
        self._number_of = functools.lru_cache(maxsize=1)(order)
        self._files: dict[int, BinaryIO] = {}
        self._sizes: dict[int, int] = {}

    def __enter__(self) -> "ScratchFiles":
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            file.close()

    @property
    def num_bytes(self) -> int:
        """Size of all files."""
        return sum(self._sizes.values())

    def place(self, patch_name: str, num_bytes: int) -> Place:
        """Makes room for bytes of a patch, after what already has its place."""
        number = self._number_of(patch_name)
        if number not in self._files:
            self._files[number] = open(path(self._stem, number), "wb")
            self._sizes[number] = 0
        position = self._sizes[number]
        self._sizes[number] += num_bytes
        return Place(number, position, self._files[number])


def path(stem: str, number: int) -> str:
    """Path of a file."""
    return f"{stem}.{number}"


def drop(stem: str, numbers: range) -> None:
    """Removes files that nobody will read any more."""
    for number in numbers:
        pathlib.Path(path(stem, number)).unlink(missing_ok=True)
