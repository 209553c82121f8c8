"""Writes GeoJSON: polygons in degrees, properties without nesting."""

import contextlib
import json
import pathlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

# Some centimetres, and no more digits than a float32 has.
_DEGREE_DIGITS = 7
_PROBABILITY_DIGITS = 6

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
            # A ring is closed, and counterclockwise.
            rings = np.append(corners, corners[:, :1], axis=1)
            for ring, own in zip(rings, properties, strict=True):
                geometry = {
                    "type": "Polygon",
                    "coordinates": [ring.round(_DEGREE_DIGITS).tolist()],
                }
                feature = {
                    "type": "Feature",
                    "geometry": geometry,
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
