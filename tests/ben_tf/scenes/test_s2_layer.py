"""Bands of one Sentinel-2 image, whatever their files say of their numbers."""

import contextlib

import numpy as np
import pytest
import rasterio

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.scenes import s2_layer
from tests import rasters

BANDS = bigearthnet.GRIDS["s2_10m"].bands
XML = '<x><BOA_ADD_OFFSET band_id="1">-1000</BOA_ADD_OFFSET></x>'


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


def write(folder, pixels=None, **options) -> list:
    pixels = np.full((120, 120), 3000, "uint16") if pixels is None else pixels
    return [
        rasters.write(folder / f"{band}.tif", pixels, pixel_m=10, **options)
        for band in BANDS
    ]


def read(stack, folder, offset=None) -> np.ndarray:
    layers = s2_layer.open_layers(stack, folder, ["s2_10m"], offset=offset)
    return layers["s2_10m"].read(0)


def tag(paths, scale, offset) -> None:
    for path in paths:
        with rasterio.open(path, "r+") as file:
            file.scales, file.offsets = (scale,), (offset,)


def test_bands_stand_in_the_order_of_the_grid(tmp_path, stack):
    for number, path in enumerate(write(tmp_path), start=1):
        with rasterio.open(path, "r+") as file:
            file.write(np.full((1, 120, 120), 1000 * number, "uint16"))
    expected = np.full((120, 120, 4), [1000, 2000, 3000, 4000], np.float32)
    np.testing.assert_array_equal(read(stack, tmp_path), expected)


@pytest.mark.parametrize(
    ("offset", "expected"), [(-0.1, 2000), (0.0, 3000), (0.05, 3500)]
)
def test_scale_and_offset_of_a_file_are_respected(
    tmp_path, stack, offset, expected
):
    tag(write(tmp_path), 1e-4, offset)
    assert (read(stack, tmp_path) == expected).all()


def test_other_scales_are_refused(tmp_path, stack):
    tag(write(tmp_path), 2e-5, -0.2)
    with pytest.raises(errors.UserError, match="the scale 2e-05 and the offs"):
        read(stack, tmp_path)


def test_two_offsets_are_refused(tmp_path, stack):
    """Of the metadata and of the file: is one meant, or both?"""
    tag(write(tmp_path), 1e-4, -0.1)
    (tmp_path / "MTD_MSIL2A.xml").write_text(XML)
    with pytest.raises(errors.UserError, match="metadata name offsets, too"):
        read(stack, tmp_path)


def test_an_offset_by_hand(tmp_path, stack):
    write(tmp_path)
    assert (read(stack, tmp_path, offset=-1000) == 2000).all()


def test_reflectance_from_0_to_1_by_hand(tmp_path, stack):
    write(tmp_path, np.full((120, 120), 0.3, "float32"))
    layers = s2_layer.open_layers(
        stack, tmp_path, ["s2_10m"], offset=-1000, reflectance_scale=1
    )
    np.testing.assert_allclose(layers["s2_10m"].read(0), 2000, rtol=1e-6)


def test_a_scale_by_hand_does_not_contradict_metadata(tmp_path, stack):
    write(tmp_path)
    (tmp_path / "MTD_MSIL2A.xml").write_text(XML)
    with pytest.raises(errors.UserError, match="Leave out `reflectance_scale"):
        s2_layer.open_layers(
            stack, tmp_path, ["s2_10m"], offset=None, reflectance_scale=1
        )


def test_pictures_are_refused(tmp_path, stack):
    write(tmp_path, np.full((120, 120), 120, "uint8"))
    with pytest.raises(errors.UserError, match="holds uint8"):
        read(stack, tmp_path)


def test_stacks_are_refused(tmp_path, stack):
    write(tmp_path, np.full((3, 120, 120), 120, "uint16"))
    with pytest.raises(errors.UserError, match="has 3 bands"):
        read(stack, tmp_path)


@pytest.mark.parametrize(
    "moved", [{"left": rasters.LEFT + 10}, {"crs": "EPSG:32630"}]
)
def test_bands_of_another_place(tmp_path, stack, moved):
    paths = write(tmp_path)
    rasters.write(paths[2], np.ones((120, 120), "uint16"), pixel_m=10, **moved)
    with pytest.raises(
        errors.UserError, match=r"B04\.tif does not cover .* as .*B02\.tif"
    ):
        read(stack, tmp_path)
