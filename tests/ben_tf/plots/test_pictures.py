"""Pictures of patches: neither black nor burnt, whatever the pixels."""

import io

import numpy as np
import pytest
from matplotlib import image

from ben_tf import bigearthnet
from ben_tf.plots import pictures


def _grids(value=None, seed=0):
    random = np.random.default_rng(seed)
    return {
        name: (
            random.normal(-15, 3, grid.shape)
            if grid.sensor == "S1"
            else random.normal(800, 150, grid.shape)
        ).astype(grid.dtype)
        if value is None
        else np.full(grid.shape, value, grid.dtype)
        for name, grid in bigearthnet.GRIDS.items()
    }


@pytest.mark.parametrize("picture", pictures.PICTURES)
def test_pixels_fill_the_range(picture):
    drawn = pictures.render(_grids(), picture)
    num_channels = len(pictures.PICTURES[picture])
    assert drawn.dtype == np.uint8
    assert drawn.shape == (120, 120) + (() if num_channels == 1 else (3,))
    assert 100 < drawn.mean() < 155
    assert drawn.std() > 30
    assert (drawn == 0).mean() < 0.05
    assert (drawn == 255).mean() < 0.05


def test_channels_are_the_named_bands():
    grids = _grids(100)
    bands = bigearthnet.GRIDS["s2_10m"].bands
    grids["s2_10m"][:60, :, bands.index("B04")] = 3000
    drawn = pictures.render(grids, "True colour")
    assert drawn[0, 0, 0] == 255
    assert drawn[119, 0, 0] == 0
    assert (drawn[..., 1:] == 128).all()


def test_a_calm_sea_is_not_stretched_into_noise():
    grids = _grids(200)
    grids["s2_10m"][::2] += 3
    assert np.ptp(pictures.render(grids, "True colour")) < 10


def test_damaged_decibels_are_black_and_take_no_part():
    grids = _grids()
    expected = pictures.render(grids, "VV")
    grids["s1"][0, :2] = [-np.inf, np.nan]
    drawn = pictures.render(grids, "VV")
    assert (drawn[0, :2] == 0).all()
    assert np.abs(drawn[1:].astype(int) - expected[1:]).max() <= 2
    grids["s1"][:] = np.nan
    assert (pictures.render(grids, "VV") == 0).all()


@pytest.mark.parametrize("picture", ["True colour", "VH"])
def test_png_holds_the_pixels(picture):
    drawn = pictures.render(_grids(), picture)
    decoded = image.imread(io.BytesIO(pictures.to_png(drawn)))
    np.testing.assert_array_equal(np.round(decoded * 255), drawn)
