"""Coasts and borders of Europe, for maps without a network.

They are Natural Earth's, 1:50 million, version 4.1, in the public domain
(https://www.naturalearthdata.com/about/terms-of-use/), as the npm package
world-atlas 2.0.2 redistributes them: every arc of its countries between
32 degrees west and 46 east, 27 and 72.5 degrees north, simplified to 0.02
degrees, about 2 km. A package that brings them would be far larger: cartopy,
geodatasets and regionmask load them over the network.
"""

import functools
import json
import pathlib
from collections.abc import Sequence

import numpy as np

FILE = pathlib.Path(__file__).with_name("outlines.json")
_PER_DEGREE = 100


@functools.cache
def lines() -> Sequence[np.ndarray]:
    """All coasts and borders, a border once.

    Returns:
      Lines, each (points, 2) float64: longitude and latitude, degrees.
    """
    # A line is its first point and the steps from each point to the next, in
    # hundredths of a degree: a third of the size of coordinates.
    return [
        np.cumsum(np.reshape(steps, (-1, 2)), axis=0) / _PER_DEGREE
        for steps in json.loads(FILE.read_text("utf-8"))
    ]


def lines_within(
    west: float, south: float, east: float, north: float
) -> list[np.ndarray]:
    """The lines that may cross a box in degrees; a line is not cut."""
    return [
        line
        for line in lines()
        if (line.max(axis=0) >= (west, south)).all()
        and (line.min(axis=0) <= (east, north)).all()
    ]
