"""Writes the map of a scene as GeoJSON: a polygon for each cell with data.

Properties: `class`, the most probable one, `confidence`, its probability, and
the probability of every class under its name.
"""

import contextlib
import os
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from ben_tf import files
from ben_tf.data import geography
from ben_tf.predict import polygons
from ben_tf.predict import scene_map


@contextlib.contextmanager
def open_features(
    path: str | os.PathLike,
    grid: scene_map.Grid,
    class_names: Sequence[str],
    tags: Mapping[str, str],
) -> Iterator[scene_map.Write]:
    """As `scene_map.open_map`, for a .polygons."""
    num_written = 0
    with (
        files.replacing(path) as part,
        polygons.open_polygons(part, tags) as write_polygons,
    ):

        def write(rows: np.ndarray) -> None:
            nonlocal num_written
            for values in np.moveaxis(rows, 0, -1):
                (columns,) = np.nonzero(~np.isnan(values).any(axis=1))
                write_polygons(
                    _corners(grid, num_written, columns),
                    [_properties(row, class_names) for row in values[columns]],
                )
                num_written += 1

        yield write


def _corners(grid: scene_map.Grid, row: int, columns: np.ndarray) -> np.ndarray:
    """Corners of cells in degrees, (N, 4, 2), counterclockwise."""
    left = grid.left + columns * grid.cell_m
    top = np.full(len(columns), grid.top - row * grid.cell_m)
    return geography.square_corners(
        grid.crs, np.stack([left, top], axis=1), grid.cell_m
    )


def _properties(
    values: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    numbers = polygons.rounded(values)
    best = int(values.argmax())
    return {
        "class": class_names[best],
        "confidence": numbers[best],
        **dict(zip(class_names, numbers, strict=True)),
    }
