"""Maps are PNG files, also of one patch."""

import io

import numpy as np
import pytest
from matplotlib import image

from ben_tf.plots import places


@pytest.mark.parametrize("num_patches", [1, 50])
def test_score_map_is_a_png(num_patches):
    values = np.linspace(0.1, 0.9, num_patches)
    png = places.score_map(
        10 * values, 45 + values, values, label="F2", synthetic=True
    )
    drawn = image.imread(io.BytesIO(png))
    assert drawn.shape[2] in (3, 4)
    # More than black and white: the scale at the side has all of viridis.
    assert len(np.unique(drawn.reshape(-1, drawn.shape[2]), axis=0)) > 100


def test_group_maps_draw_each_group_in_its_own_panel():
    options = {
        "titles": {"a": "A", "b": "B"},
        "captions": {"here": (5.0, 45.0), "near": (6.0, 45.0)},
        "synthetic": False,
    }
    where = np.linspace(0, 10, 40), np.linspace(40, 50, 40)

    def blue_pixels(groups):
        png = places.group_maps(*where, np.array(groups), **options)
        drawn = image.imread(io.BytesIO(png))
        blue = (drawn[..., 2] > 0.6) & (drawn[..., 0] < 0.3)
        middle = drawn.shape[1] // 2
        return blue[:, :middle].sum(), blue[:, middle:].sum()

    left, right = blue_pixels(["a"] * 40)
    assert left > 100
    assert right == 0
    left, right = blue_pixels(["a"] * 20 + ["b"] * 20)
    assert 0 < left < 2 * right < 4 * left


def test_captions_do_not_cover_each_other():
    placed = places._apart(
        {"low": (1.0, 44.9), "high": (0.0, 45.0), "far": (30.0, 45.0)}, gap=2.0
    )
    assert placed == {
        "high": (0.0, 45.0),
        "low": (1.0, 43.0),
        "far": (30.0, 45.0),
    }
