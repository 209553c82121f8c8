"""Writes GeoJSON files: polygons in degrees, properties without nesting."""

import contextlib
import json
import pathlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

from ben_tf.data import geojson

_PROBABILITY_DIGITS = 6  # As many as a float32 has.

# Takes corners, (N, 4, 2) degrees, and the properties of each polygon.
Write = Callable[[np.ndarray, Iterable[Mapping[str, Any]]], None]


@contextlib.contextmanager
def open_polygons(
    path: pathlib.Path, members: Mapping[str, str]
) -> Iterator[Write]:
    """Yields a function that writes polygons, some at a time.

    Args:
      path: The file.
      members: What the collection says of itself.
    """
    with path.open("w", encoding="utf-8") as file:
        head = json.dumps({"type": "FeatureCollection"} | dict(members))
        file.write(f'{head[:-1]}, "features": [')
        separator = "\n"

        def write(
            corners: np.ndarray, properties: Iterable[Mapping[str, Any]]
        ) -> None:
            nonlocal separator
            for ring, own in zip(corners, properties, strict=True):
                feature = {
                    "type": "Feature",
                    "geometry": geojson.polygon(ring),
                    "properties": own,
                }
                # JSON has no NaN, and readers stop at one.
                file.write(separator + json.dumps(feature, allow_nan=False))
                separator = ",\n"

        yield write
        file.write("\n]}\n")


def rounded(probabilities: np.ndarray) -> list[float]:
    """Probabilities as the numbers of a file, without the noise of float32."""
    return [round(float(value), _PROBABILITY_DIGITS) for value in probabilities]
