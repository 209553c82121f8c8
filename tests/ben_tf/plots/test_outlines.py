"""Coasts and borders lie where an atlas has them."""

import numpy as np
import pytest

from ben_tf.plots import outlines

# Degrees east and north.
PLACES = {
    "Cabo da Roca, the west end of the mainland": (-9.50, 38.78),
    "Three-Country Cairn of Finland, Norway and Sweden": (20.55, 69.06),
    "Vaalserberg of Belgium, Germany and the Netherlands": (6.02, 50.75),
    "Schengen, of Luxembourg, France and Germany": (6.37, 49.47),
    "Malin Head, the north end of Ireland": (-7.37, 55.38),
    "Mizen Head, its south-west end": (-9.82, 51.45),
    "Hanko, the south end of Finland": (22.96, 59.81),
    "Tromejnik of Kosovo, Albania and North Macedonia": (20.59, 41.86),
    "Triplex confinium of Austria, Hungary and Slovakia": (17.16, 48.01),
}


def _km_to_nearest(longitude: float, latitude: float) -> float:
    """From a place to the nearest line, on a plane that touches there."""
    scale = 111.2 * np.array([np.cos(np.radians(latitude)), 1])
    nearest = np.inf
    for line in outlines.lines():
        points = (line - (longitude, latitude)) * scale
        starts, steps = points[:-1], np.diff(points, axis=0)
        lengths = np.maximum((steps**2).sum(axis=1), 1e-12)
        along = np.clip(-(starts * steps).sum(axis=1) / lengths, 0, 1)
        distances = np.linalg.norm(starts + along[:, None] * steps, axis=1)
        nearest = min(nearest, distances.min())
    return nearest


@pytest.mark.parametrize("place", PLACES)
def test_a_line_passes_a_place_on_a_border_or_coast(place):
    assert _km_to_nearest(*PLACES[place]) < 8


@pytest.mark.parametrize(
    "place", [(8.0, 46.9), (25.5, 62.5), (-8.0, 53.3), (21.0, 44.2)]
)
def test_no_line_passes_the_middle_of_a_country(place):
    assert _km_to_nearest(*place) > 40


def test_a_box_gets_the_lines_that_may_cross_it():
    ireland = outlines.lines_within(-11, 51, -5, 56)
    assert 0 < len(ireland) < len(outlines.lines()) / 5
    assert outlines.lines_within(-31, 40, -30, 41) == []
    for line in outlines.lines():
        assert line.shape[1] == 2
        assert len(line) > 1
