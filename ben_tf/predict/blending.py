"""Overlapping windows become one map: the mean of all that cover a cell."""

from collections.abc import Iterable
from collections.abc import Iterator

import numpy as np


def num_cells(num_windows: int, stride: int, size: int) -> int:
    """Cells from the first window's first one to the last window's last."""
    return (num_windows - 1) * stride + size


def blended(
    rows: Iterable[np.ndarray],
    *,
    num_classes: int,
    num_columns: int,
    stride: int,
    size: int,
) -> Iterator[np.ndarray]:
    """Averages windows, a row of windows at a time.

    A cell is covered by up to (size / stride)^2 windows, by fewer at the edges
    and next to windows without data. No more than one row of windows is in
    memory.

    Args:
      rows: From north to south, the values of the windows of a row, at least
        one: (num_classes, num_columns) float32, NaN for a window without data.
      num_classes: Values of each window.
      num_columns: Windows in each row.
      stride: Cells between the first cells of neighbouring windows.
      size: Cells that a window covers, each way.

    Yields:
      Finished rows of cells, from north to south: (num_classes, height, width)
      float32, NaN where no window has a value; together `num_cells` high.
    """
    width = num_cells(num_columns, stride, size)
    height = max(stride, size)
    sums = np.zeros((num_classes, height, width))
    counts = np.zeros((height, width))
    for number, row in enumerate(rows):
        if number:
            yield _mean(sums[:, :stride], counts[:stride])
            for cells in (sums, counts):
                cells[..., :-stride, :] = cells[..., stride:, :].copy()
                cells[..., -stride:, :] = 0
        has_data = ~np.isnan(row).any(axis=0)
        # Below each other, the cells of a window are alike.
        sums[:, :size] += _spread(np.where(has_data, row, 0), stride, size)
        counts[:size] += _spread(has_data[None], stride, size)[0]
    yield _mean(sums[:, :size], counts[:size])


def _spread(values: np.ndarray, stride: int, size: int) -> np.ndarray:
    """(N, columns) of windows -> (N, 1, width), sums over those at a cell."""
    width = num_cells(values.shape[1], stride, size)
    line = np.zeros((len(values), 1, width))
    for first in range(size):
        # The first cell of each window, then the second of each.
        line[:, 0, first : width - size + first + 1 : stride] += values
    return line


def _mean(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.where(counts, sums / np.maximum(counts, 1), np.nan).astype(
        np.float32
    )
