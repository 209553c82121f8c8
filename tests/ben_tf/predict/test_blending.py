"""Means of overlapping windows, worked by hand and by a loop over cells."""

import numpy as np
import pytest

from ben_tf.predict import blending


def _blend(windows, *, stride, size):
    """(classes, rows, columns) of windows -> (classes, height, width)."""
    windows = np.asarray(windows, np.float32)
    parts = blending.blended(
        windows.transpose(1, 0, 2),
        num_classes=len(windows),
        num_columns=windows.shape[2],
        stride=stride,
        size=size,
    )
    return np.concatenate(list(parts), axis=1)


def test_half_overlapping_windows_by_hand():
    (cells,) = _blend([[[0, 1], [0.5, 0.25]]], stride=1, size=2)
    np.testing.assert_array_equal(
        cells,
        [
            [0, 0.5, 1],
            [0.25, 0.4375, 0.625],
            [0.5, 0.375, 0.25],
        ],
    )


def test_windows_side_by_side_stay_as_they_are():
    windows = np.random.default_rng(0).random((3, 2, 4), np.float32)
    np.testing.assert_array_equal(_blend(windows, stride=1, size=1), windows)


def test_windows_apart_leave_gaps():
    (cells,) = _blend([[[1, 2]]], stride=3, size=2)
    nan = np.nan
    np.testing.assert_array_equal(cells, [[1, 1, nan, 2, 2]] * 2)
    (cells,) = _blend([[[1], [2]]], stride=3, size=2)
    np.testing.assert_array_equal(cells.T, [[1, 1, nan, 2, 2]] * 2)


def test_windows_without_data_take_no_part():
    nan = np.nan
    (cells,) = _blend([[[nan, nan, 0.5, 1]]], stride=1, size=2)
    np.testing.assert_array_equal(cells, [[nan, nan, 0.5, 0.75, 1]] * 2)


@pytest.mark.parametrize(
    ("stride", "size"), [(1, 20), (2, 3), (3, 2), (5, 5), (7, 20)]
)
def test_a_cell_is_the_mean_of_the_windows_that_cover_it(stride, size):
    rng = np.random.default_rng(1)
    windows = rng.random((2, 4, 5), np.float32)
    windows[:, rng.random((4, 5)) < 0.3] = np.nan
    cells = _blend(windows, stride=stride, size=size)
    assert cells.shape == (2, 3 * stride + size, 4 * stride + size)
    for row, column in np.ndindex(cells.shape[1:]):
        covering = [
            windows[:, y, x]
            for y, x in np.ndindex(4, 5)
            if 0 <= row - y * stride < size
            and 0 <= column - x * stride < size
            and not np.isnan(windows[0, y, x])
        ]
        expected = np.mean(covering, axis=0) if covering else np.nan
        np.testing.assert_allclose(cells[:, row, column], expected, rtol=1e-6)
