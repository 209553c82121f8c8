"""Reads memory-mapped arrays block by block, so that a block is what counts.

Pages of a mapped file stay with the process once they were looked at, and a
process that has read all of an index looks as large as the index. Whoever is
done with rows gives their pages back; the file cache keeps what it has room
for.
"""

import mmap
from collections.abc import Iterator

import numpy as np

_ROWS_TAKEN_AT_ONCE = 1024


def blocks(array: np.ndarray, *, rows_at_once: int) -> Iterator[slice]:
    """Slices of rows that cover the array; each is given back after its turn.

    Args:
      array: (N, ...); memory-mapped, or any other.
      rows_at_once: Rows of a block.
    """
    for start in range(0, len(array), rows_at_once):
        rows = slice(start, start + rows_at_once)
        yield rows
        release(array, rows)


def take(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows of an array in any order, read in the order of the file.

    A row that is looked at brings up to 2 MiB of the file around it. In the
    order of the file that is for its neighbours too, and little at a time.

    Args:
      array: (N, ...); memory-mapped, or any other.
      rows: (M,) integers.

    Returns:
      (M, ...), in memory.
    """
    taken = np.empty((len(rows), *array.shape[1:]), array.dtype)
    turns = np.argsort(rows)
    for start in range(0, len(rows), _ROWS_TAKEN_AT_ONCE):
        some = turns[start : start + _ROWS_TAKEN_AT_ONCE]
        taken[some] = array[rows[some]]
        release(array)
    return taken


def release(array: np.ndarray, rows: slice = slice(None)) -> None:
    """Gives back the pages of a memory-mapped file; nothing is lost.

    They are mapped again when somebody looks at them. Other arrays stay as they
    are, so does a mapping whose changes do not reach the file.

    Args:
      array: A whole array, as `np.memmap` made it.
      rows: Which of its rows.
    """
    if not (
        isinstance(array, np.memmap)
        and isinstance(array.base, mmap.mmap)
        and array.mode != "c"
        and hasattr(mmap, "MADV_DONTNEED")
    ):
        return
    start, stop, _ = rows.indices(len(array))
    # The mapping begins at a multiple of the granularity.
    offset = array.offset % mmap.ALLOCATIONGRANULARITY
    begin = offset + start * array.strides[0]
    begin -= begin % mmap.PAGESIZE
    end = offset + stop * array.strides[0]
    if end > begin:
        array.base.madvise(mmap.MADV_DONTNEED, begin, end - begin)
