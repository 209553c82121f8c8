"""Radar images of any tool: the right band, the right unit, no filling."""

import contextlib

import numpy as np
import pytest
import rasterio
from rasterio import crs
from rasterio import warp

from ben_tf import errors
from ben_tf.scenes import frames
from ben_tf.scenes import s1_layer
from tests import rasters

VV, VH = -10.0, -17.0
CRS = crs.CRS.from_epsg(32629)


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s1.tif"


def radar(size=120, seed=0) -> np.ndarray:
    """VV and VH with speckle, (2, size, size)."""
    speckle = np.random.default_rng(seed).normal(0, 2, (2, size, size))
    return (speckle + np.array([VV, VH])[:, None, None]).astype(np.float32)


def read(stack, path, frame=None, bands=None) -> np.ndarray:
    layer = s1_layer.open_layer(stack, path, frame, bands=bands)
    return layer.read(0)


def fails(stack, path, match, **options) -> None:
    with pytest.raises(errors.UserError, match=match):
        read(stack, path, **options)


@pytest.mark.parametrize(
    ("descriptions", "order"),
    [
        (None, (0, 1)),
        (("VV", "VH"), (0, 1)),
        (("vh", "vv"), (1, 0)),
        (("Sigma0_VH_db", "Sigma0_VV_db"), (1, 0)),
        (("Gamma0 VV [dB]", "Gamma0 VH [dB]"), (0, 1)),
        (("Intensity_VH", "Intensity_VV_db", "incidence angle"), (1, 0)),
    ],
)
def test_bands_are_told_by_description(stack, path, descriptions, order):
    pixels = radar()
    bands = [pixels[i] for i in np.argsort(order)]
    if descriptions and len(descriptions) > 2:
        bands.append(np.full((120, 120), 37, np.float32))
    rasters.write(path, bands, pixel_m=10, descriptions=descriptions)
    np.testing.assert_array_equal(read(stack, path), np.moveaxis(pixels, 0, -1))


@pytest.mark.parametrize(
    ("descriptions", "can_be_named"),
    [
        (("VV", "VV"), True),
        (("VV", "band 2"), True),
        # Horizontal is not vertical, whatever one calls it.
        (("HH", "HV"), False),
        (("VH", "HV"), False),
    ],
)
def test_descriptions_that_leave_it_open_ask(
    stack, path, descriptions, can_be_named
):
    rasters.write(path, radar(), pixel_m=10, descriptions=descriptions)
    fails(stack, path, rf"2 bands: {descriptions[0]}, .*`s1_bands=VV,VH`")
    if can_be_named:
        assert read(stack, path, bands=["vv", " vh"]).shape == (120, 120, 2)
    else:
        fails(stack, path, "says that it is", bands=["VV", "VH"])


def test_bands_without_a_name_ask_where_vh_is_the_brighter_one(stack, path):
    pixels = radar()
    rasters.write(path, pixels[::-1], pixel_m=10)
    fails(
        stack,
        path,
        r"does not say .*-1[67]\.\d and -(9|10)\.\d dB.*`s1_bands=VV",
    )
    read_ = read(stack, path, bands=["VH", "VV"])
    np.testing.assert_array_equal(read_, np.moveaxis(pixels, 0, -1))


def test_names_do_not_override_descriptions(stack, path):
    rasters.write(path, radar(), pixel_m=10, descriptions=("VV", "VH_db"))
    assert read(stack, path, bands=["VV", "VH"]).shape == (120, 120, 2)
    fails(stack, path, "Band 2 of .* is VH_db, not VV", bands=["VH", "VV"])


@pytest.mark.parametrize(
    "names", [["VV"], ["VV", "VV"], ["VV", "HH"], ["VV", "VH", "x"]]
)
def test_names_that_do_not_fit_the_file(stack, path, names):
    rasters.write(path, radar(), pixel_m=10)
    fails(stack, path, "Received: `s1_bands=VV", bands=names)


def test_three_bands_without_names(stack, path):
    rasters.write(path, [*radar(), radar()[0]], pixel_m=10)
    fails(stack, path, "has 3 bands: no name, no name, no name. Expected one")


@pytest.mark.parametrize(
    "filling", [0, -9999, 1e30, -1e30, np.nan, np.inf, -np.inf, 9.96921e36]
)
def test_what_no_radar_measures_is_no_data(stack, path, filling):
    pixels = radar()
    pixels[:, :, :40] = filling
    rasters.write(path, pixels, pixel_m=10)
    found = read(stack, path)
    assert np.isnan(found[:, :40]).all()
    np.testing.assert_array_equal(
        found[:, 40:], np.moveaxis(pixels, 0, -1)[:, 40:]
    )


@pytest.mark.parametrize("filling", [0, -9999, np.nan])
@pytest.mark.parametrize("epsg", [32629, 32630])
def test_filling_takes_no_part_in_resampling(stack, path, filling, epsg):
    """-10 dB and 0 would make -5 dB at the border."""
    left, top = rasters.LEFT, rasters.TOP
    if epsg != 32629:
        (left,), (top,) = warp.transform(
            "EPSG:32629", f"EPSG:{epsg}", [left], [top]
        )
    pixels = np.full((2, 400, 400), -10, np.float32)
    pixels[1] = -17
    pixels[:, :, :200] = filling
    rasters.write(
        path,
        pixels,
        pixel_m=10,
        crs=f"EPSG:{epsg}",
        left=left - 2003,
        top=top + 1003,
    )
    frame = frames.Frame(CRS, rasters.LEFT - 600, rasters.TOP, 1200, 1200)
    found = read(stack, path, frame)
    valid = np.isfinite(found).all(axis=-1)
    assert 0.3 < valid.mean() < 0.7
    np.testing.assert_allclose(found[valid], [[-10, -17]] * valid.sum())


@pytest.mark.parametrize("subtracted", [0.0, 0.004])
def test_linear_backscatter_is_known(stack, path, subtracted):
    linear = 10 ** (radar() / 10) - subtracted
    assert (linear.min() < 0) == bool(subtracted)
    rasters.write(path, linear.astype(np.float32), pixel_m=10)
    fails(stack, path, "are not dB.*10 \\* log10")


@pytest.mark.parametrize("dtype", ["uint16", "int16"])
def test_digital_numbers_are_refused(stack, path, dtype):
    rasters.write(path, (radar() * -10).astype(dtype), pixel_m=10)
    fails(stack, path, f"holds {dtype}. Expected float32 backscatter")


def test_scaled_files_are_refused(stack, path):
    rasters.write(path, radar(), pixel_m=10)
    with rasterio.open(path, "r+") as file:
        file.scales = (0.01, 0.01)
    fails(stack, path, "have a scale or an offset")


def test_nothing_but_filling_is_an_error(stack, path):
    rasters.write(path, radar() * 0, pixel_m=10)
    fails(stack, path, "holds no data")


@pytest.mark.parametrize(
    ("pixel_m", "match"),
    [(20, "20 x 20 m on the ground"), (4, "4 x 4 m on the ground")],
)
def test_resolution_is_checked_beside_sentinel_2(stack, path, pixel_m, match):
    rasters.write(path, radar(), pixel_m=pixel_m)
    frame = frames.Frame(CRS, rasters.LEFT, rasters.TOP, 1200, 1200)
    fails(stack, path, match, frame=frame)
    fails(stack, path, "Expected squares of 10 m")


def test_degrees_are_resampled(stack, path):
    """What SNAP writes by default."""
    (longitude,), (latitude,) = warp.transform(
        "EPSG:32629", "EPSG:4326", [rasters.LEFT], [rasters.TOP]
    )
    pixels = np.full((2, 400, 400), -10, np.float32)
    pixels[1] = -17
    rasters.write(
        path,
        pixels,
        pixel_m=8.983e-5,
        crs="EPSG:4326",
        left=longitude - 0.005,
        top=latitude + 0.005,
    )
    frame = frames.Frame(CRS, rasters.LEFT, rasters.TOP, 1200, 1200)
    found = read(stack, path, frame)
    np.testing.assert_allclose(found, np.full((120, 120, 2), [-10, -17]))


def test_images_without_a_place(stack, path):
    rasters.write(path, radar(), pixel_m=10, crs=None)
    frame = frames.Frame(CRS, rasters.LEFT, rasters.TOP, 1200, 1200)
    fails(stack, path, "does not say where on earth", frame=frame)
    fails(stack, path, "has no coordinate system")


def test_images_of_elsewhere(stack, path):
    rasters.write(path, radar(), pixel_m=10, left=rasters.LEFT + 50_000)
    frame = frames.Frame(CRS, rasters.LEFT, rasters.TOP, 1200, 1200)
    fails(stack, path, "do not overlap", frame=frame)
