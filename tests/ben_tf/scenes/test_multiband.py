"""GeoTIFFs with many bands, as rasterio writes what other tools export."""

import contextlib

import numpy as np
import pytest
import rasterio
from rasterio import warp
from rasterio import windows
from rasterio.enums import ColorInterp
from rasterio.enums import Resampling

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.scenes import layers
from tests import rasters

S2_GRIDS = ("s2_10m", "s2_20m", "s2_60m")
GRIDS = ("s1", *S2_GRIDS)
# The order of Earth Engine's collections.
S2_NAMES = tuple("B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B11 B12".split())
EARTH_ENGINE = tuple(name.replace("B0", "B") for name in S2_NAMES)


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """Folder of a product of 2.4 km, a file for each band, and its pixels."""
    folder = tmp_path_factory.mktemp("product")
    rng = np.random.default_rng(0)
    pixels = {}
    for name in S2_GRIDS:
        grid = bigearthnet.GRIDS[name]
        size = 2 * grid.size_px
        for band in grid.bands:
            pixels[band] = rng.integers(1, 10_000, (size, size), np.uint16)
            rasters.write(
                folder / f"{band}.tif",
                pixels[band],
                pixel_m=grid.pixel_size_m,
            )
    return folder, pixels


def export(
    path, product, *, names=S2_NAMES, pixel_m=10, shift_px=(0, 0), size=None,
    dtype="uint16", divisor=1, **options,
):  # fmt: skip
    """Does as Earth Engine: all bands on one grid, the nearest pixel each.

    Args:
      path: The GeoTIFF.
      product: Folder of the bands.
      names: Bands, in order.
      pixel_m: Of the export.
      shift_px: Pixels east and south that it begins later.
      size: Of the export; by default all that is there.
      dtype: Of the export.
      divisor: Of the numbers.
      options: For `rasters.write`.
    """
    left = rasters.LEFT + shift_px[0] * pixel_m
    top = rasters.TOP - shift_px[1] * pixel_m
    size = size or 2400 // pixel_m - max(shift_px)
    bands = []
    for name in names:
        band = np.zeros((size, size), "float64")
        with rasterio.open(product / f"{name}.tif") as source:
            warp.reproject(
                rasterio.band(source, 1),
                band,
                dst_transform=rasterio.transform.from_origin(
                    left, top, pixel_m, pixel_m
                ),
                dst_crs=source.crs,
                resampling=Resampling.nearest,
            )
        bands.append((band / divisor).astype(dtype))
    return rasters.write(
        path, np.stack(bands), pixel_m=pixel_m, left=left, top=top, **options
    )


def read(stack, *paths, grids=S2_GRIDS, top_m=0, **hints):
    opened = layers.open_layers(
        stack, grids, image_paths=paths, hints=layers.Hints(**hints)
    )
    strips, _ = layers.read_strip(opened, top_m, np.array([0]))
    return strips, opened[grids[-1]].frame


def assert_native(strips, frame, pixels, top_m=0):
    """The strips are pixels of the product at their place, bit for bit."""
    for name, strip in strips.items():
        grid = bigearthnet.GRIDS[name]
        metres = grid.pixel_size_m
        row = round((rasters.TOP - frame.top + top_m) / metres)
        column = round((frame.left - rasters.LEFT) / metres)
        for index, band in enumerate(grid.bands):
            np.testing.assert_array_equal(
                strip[..., index],
                pixels[band][
                    row : row + strip.shape[0],
                    column : column + strip.shape[1],
                ],
            )


# --- Resampling ------------------------------------------------------------


@pytest.mark.parametrize("shift_px", [(0, 0), (1, 0), (0, 1), (3, 5), (6, 6)])
@pytest.mark.parametrize("top_m", [0, 1080])
def test_repeated_pixels_come_back_exactly(
    tmp_path, stack, product, shift_px, top_m
):
    """Wherever the export begins: the ground that is read is on all grids."""
    folder, pixels = product
    path = export(
        tmp_path / "x.tif",
        folder,
        shift_px=shift_px,
        descriptions=EARTH_ENGINE,
    )
    strips, frame = read(stack, path, top_m=top_m)
    assert frame.left % 60 == frame.top % 60 == 0
    first = [-(-shift // 6) * 60 for shift in shift_px]
    assert frame.left == rasters.LEFT + first[0]
    assert frame.top == rasters.TOP - first[1]
    assert_native(strips, frame, pixels, top_m)


def test_pixels_of_the_scene_are_as_of_a_folder_of_bands(
    tmp_path, stack, product
):
    folder, _ = product
    path = export(tmp_path / "x.tif", folder, descriptions=S2_NAMES)
    found, frame = read(stack, path)
    expected = layers.open_layers(stack, S2_GRIDS, s2_scene=folder)
    assert expected["s2_10m"].frame == frame
    for name, strip in found.items():
        np.testing.assert_array_equal(strip, expected[name].read(0))


def test_finer_pixels_are_averaged(tmp_path, stack):
    """As `Resampling.average` of GDAL does."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(1, 10_000, (12, 120, 120)).astype(np.float32)
    path = rasters.write(
        tmp_path / "x.tif", pixels, pixel_m=10, descriptions=S2_NAMES
    )
    strips, _ = read(stack, path)
    for name, strip in strips.items():
        grid = bigearthnet.GRIDS[name]
        for index, band in enumerate(grid.bands):
            with rasterio.open(path) as source:
                expected = source.read(
                    S2_NAMES.index(band) + 1,
                    out_shape=(grid.size_px, grid.size_px),
                    resampling=Resampling.average,
                )
            np.testing.assert_allclose(strip[..., index], expected, atol=0.51)


def test_a_file_for_each_resolution(tmp_path, stack, product):
    folder, pixels = product
    paths = [
        export(
            tmp_path / f"{name}.tif",
            folder,
            names=bigearthnet.GRIDS[name].bands,
            pixel_m=bigearthnet.GRIDS[name].pixel_size_m,
            # Two of them are cut otherwise.
            shift_px=(number % 2, 0),
            descriptions=bigearthnet.GRIDS[name].bands,
        )
        for number, name in enumerate(S2_GRIDS)
    ]
    strips, frame = read(stack, *paths)
    assert frame.left == rasters.LEFT + 60
    assert_native(strips, frame, pixels)


def test_an_image_of_one_patch_that_begins_elsewhere(tmp_path, stack, product):
    """There is no room for the next multiple of 60 m."""
    folder, pixels = product
    path = export(
        tmp_path / "x.tif",
        folder,
        shift_px=(1, 2),
        size=120,
        descriptions=S2_NAMES,
    )
    strips, frame = read(stack, path)
    assert (frame.left, frame.top) == (rasters.LEFT + 10, rasters.TOP - 20)
    np.testing.assert_array_equal(
        strips["s2_10m"][..., 0], pixels["B02"][2:122, 1:121]
    )


def test_pixels_of_no_multiple_begin_at_their_own_corner(tmp_path, stack):
    path = rasters.write(
        tmp_path / "x.tif",
        np.full((12, 240, 240), 1000, np.uint16),
        pixel_m=10,
        left=rasters.LEFT + 3.5,
        descriptions=S2_NAMES,
    )
    _, frame = read(stack, path)
    assert (frame.left, frame.top) == (rasters.LEFT + 3.5, rasters.TOP)


@pytest.mark.parametrize(
    ("pixel_m", "match"),
    [
        (20, r"B02 of .*x\.tif has pixels of 20 m. Expected its own, 10 m"),
        (8, r"has pixels of 8 x 8 metre. Expected squares of 10 m"),
        (0.0001, "Expected squares of 10 m"),
    ],
)
def test_other_pixels_are_refused(tmp_path, stack, pixel_m, match):
    pixels = np.full((12, 150, 150), 1000, np.uint16)
    path = rasters.write(
        tmp_path / "x.tif", pixels, pixel_m=pixel_m, descriptions=S2_NAMES
    )
    with pytest.raises(errors.UserError, match=match):
        read(stack, path)


def test_degrees_are_refused_with_the_remedy(tmp_path, stack):
    """Earth Engine's default where an export names no system."""
    path = rasters.write(
        tmp_path / "x.tif",
        np.full((12, 150, 150), 1000, np.uint16),
        pixel_m=8.983e-5,
        crs="EPSG:4326",
        left=-7.8,
        top=40.6,
        descriptions=S2_NAMES,
    )
    with pytest.raises(errors.UserError, match="gdalwarp -t_srs EPSG:32629"):
        read(stack, path)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (
            {"crs": "EPSG:32630"},
            r"b\.tif is in EPSG:32630, .*a\.tif in EPSG:32629",
        ),
        ({"left": rasters.LEFT + 50_000}, "do not overlap"),
        ({"left": rasters.LEFT + 5}, "begin at different places"),
    ],
)
def test_files_that_do_not_fit_each_other(
    tmp_path, stack, product, options, match
):
    names = bigearthnet.GRIDS["s2_10m"].bands
    first = export(
        tmp_path / "a.tif", product[0], names=names, descriptions=names
    )
    names = bigearthnet.GRIDS["s2_20m"].bands
    second = rasters.write(
        tmp_path / "b.tif",
        np.full((6, 120, 120), 1000, np.uint16),
        pixel_m=20,
        descriptions=names,
        **options,
    )
    with pytest.raises(errors.UserError, match=match):
        read(stack, first, second, grids=("s2_10m", "s2_20m"))


# --- Names -----------------------------------------------------------------


@pytest.mark.parametrize(
    "texts",
    [
        S2_NAMES,
        EARTH_ENGINE,
        [name.lower() for name in S2_NAMES],
        [f"Sentinel-2 {name} (10 m)" for name in S2_NAMES],
    ],
)
def test_bands_are_told_by_description(tmp_path, stack, product, texts):
    folder, pixels = product
    path = export(tmp_path / "x.tif", folder, descriptions=texts)
    assert_native(*read(stack, path), pixels)


def test_bands_in_any_order_among_others(tmp_path, stack, product):
    folder, pixels = product
    order = S2_NAMES[::-1]
    path = export(tmp_path / "x.tif", folder, names=(*order, "B02"))
    assert_native(*read(stack, path, bands=[*order, "SCL"]), pixels)


def test_an_alpha_band_is_a_mask_and_needs_no_name(tmp_path, stack, product):
    folder, pixels = product
    path = export(tmp_path / "x.tif", folder)
    with rasterio.open(path) as file:
        bands = file.read()
    alpha = np.full((1, 240, 240), 65_535, np.uint16)
    alpha[0, :, 200:] = 0
    path = rasters.write(path, np.concatenate([bands, alpha]), pixel_m=10)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = (*file.colorinterp[:-1], ColorInterp.alpha)
    strips, frame = read(stack, path, bands=S2_NAMES)
    found = {name: x[:, : 2 * x.shape[1] // 3] for name, x in strips.items()}
    assert_native(found, frame, pixels)
    opened = layers.open_layers(
        stack,
        S2_GRIDS,
        image_paths=[path],
        hints=layers.Hints(bands=S2_NAMES),
    )
    lacking = np.isnan(opened["s2_20m"].read(0)).all(axis=(0, 2))
    assert np.flatnonzero(lacking).tolist() == list(range(100, 120))


def test_names_go_on_in_the_next_file(tmp_path, stack, product):
    folder, pixels = product
    paths = [
        export(tmp_path / f"{n}.tif", folder, names=names)
        for n, names in enumerate((S2_NAMES[:5], S2_NAMES[5:]))
    ]
    assert_native(*read(stack, *paths, bands=EARTH_ENGINE), pixels)


@pytest.mark.parametrize(
    ("descriptions", "bands", "match"),
    [
        (None, None, "has no band B02 but no name, no name.*bands=B02,B03"),
        (("B02",) * 12, None, "has 12 bands B02"),
        (("SCL", *S2_NAMES[1:]), None, "has no band B01 but SCL, B02"),
        (None, S2_NAMES[1:], "has 12 bands. Expected a name for each.*11:"),
        (None, ["B02"] * 12, "has 12 bands B02"),
        (
            S2_NAMES,
            ("B02", "B01", *S2_NAMES[2:]),
            r"Band 1 of .*x\.tif says that it is B01, not B02",
        ),
        (S2_NAMES, ("x", *S2_NAMES[1:]), "it is B01, not another"),
        # Of the cirrus band, not of the first one.
        (("B10", *S2_NAMES[1:]), None, "has no band B01 but B10"),
    ],
)
def test_names_that_leave_it_open(
    tmp_path, stack, product, descriptions, bands, match
):
    path = export(tmp_path / "x.tif", product[0], descriptions=descriptions)
    with pytest.raises(errors.UserError, match=match):
        read(stack, path, bands=bands)


def test_a_model_takes_only_what_it_looks_at(tmp_path, stack, product):
    folder, pixels = product
    names = bigearthnet.GRIDS["s2_10m"].bands
    path = export(tmp_path / "x.tif", folder, names=names, descriptions=names)
    assert_native(*read(stack, path, grids=("s2_10m",)), pixels)
    with pytest.raises(errors.UserError, match="has no band B05"):
        read(stack, path, grids=("s2_10m", "s2_20m"))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"s2_scene": "x", "image_paths": ["x"]}, "instead of scenes"),
        (
            {"image_paths": ["x"], "hints": layers.Hints(s1_bands=["VV"])},
            "`s1_bands` names the bands of `s1_scene`",
        ),
        (
            {"s2_scene": "x", "hints": layers.Hints(bands=["B02"])},
            "`bands` names the bands of `image`",
        ),
    ],
)
def test_nothing_is_ignored(stack, options, match):
    with pytest.raises(errors.UserError, match=match):
        layers.open_layers(stack, ["s2_10m"], **options)


# --- Units -----------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_reflectance_becomes_the_numbers_of_products(
    tmp_path, stack, product, dtype
):
    folder, pixels = product
    path = export(
        tmp_path / "x.tif",
        folder,
        dtype=dtype,
        divisor=10_000,
        descriptions=S2_NAMES,
    )
    with pytest.raises(
        errors.UserError, match=r"not surface reflectance.*reflectance_scale=1"
    ):
        read(stack, path)
    assert_native(*read(stack, path, reflectance_scale=1), pixels)


@pytest.mark.parametrize("scale", [0, -1, np.nan, np.inf])
def test_scales_that_are_none(tmp_path, stack, product, scale):
    path = export(tmp_path / "x.tif", product[0], descriptions=S2_NAMES)
    with pytest.raises(errors.UserError, match="a number above 0"):
        read(stack, path, reflectance_scale=scale)


def test_a_scale_that_the_file_says_is_not_said_twice(tmp_path, stack, product):
    folder, pixels = product
    path = export(tmp_path / "x.tif", folder, descriptions=S2_NAMES)
    with rasterio.open(path, "r+") as file:
        file.scales = (1e-4,) * 12
    assert_native(*read(stack, path), pixels)
    with pytest.raises(errors.UserError, match="`reflectance_scale` names"):
        read(stack, path, reflectance_scale=10_000)


def test_an_offset_by_hand(tmp_path, stack, product):
    folder, pixels = product
    path = export(tmp_path / "x.tif", folder, descriptions=S2_NAMES)
    strips, _ = read(stack, path, s2_offset=-1000)
    np.testing.assert_array_equal(
        strips["s2_10m"][..., 0],
        np.maximum(pixels["B02"][:120].astype(int) - 1000, 0),
    )


def test_a_name_of_a_time_of_shifted_products_asks(tmp_path, stack, product):
    path = export(
        tmp_path / "T29SNB_20230517T112119.tif",
        product[0],
        descriptions=S2_NAMES,
    )
    with pytest.raises(errors.UserError, match="may be shifted by 1,000"):
        read(stack, path)
    read(stack, path, s2_offset=0)


def test_pictures_are_refused(tmp_path, stack, product):
    path = export(
        tmp_path / "x.tif",
        product[0],
        dtype="uint8",
        divisor=50,
        descriptions=S2_NAMES,
    )
    with pytest.raises(errors.UserError, match="holds uint8"):
        read(stack, path)


# --- No data ---------------------------------------------------------------


@pytest.mark.parametrize("how", ["nan", "zero", "nodata", "mask", "msk"])
def test_no_data_in_all_their_forms(tmp_path, stack, product, how):
    """One pixel of 10 m takes its whole pixel of 20 and 60 m with it."""
    path = export(
        tmp_path / "x.tif",
        product[0],
        dtype="float32",
        descriptions=S2_NAMES,
        nodata={"nodata": -9999}.get(how),
    )
    value = {"nan": np.nan, "zero": 0, "nodata": -9999}.get(how)
    one = windows.Window(130, 7, 1, 1)
    mask = np.full((240, 240), 255, np.uint8)
    mask[7, 130] = 0
    if value is not None:
        with rasterio.open(path, "r+") as file:
            file.write(np.full((12, 1, 1), value, np.float32), window=one)
    elif how == "mask":
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(path, "r+") as file,
        ):
            file.write_mask(mask)
    else:
        rasters.write(tmp_path / "x.tif.msk", mask, pixel_m=10)
    opened = layers.open_layers(stack, S2_GRIDS, image_paths=[path])
    for name, layer in opened.items():
        lacking = np.isnan(layer.read(0))
        metres = bigearthnet.GRIDS[name].pixel_size_m
        expected = np.zeros(lacking.shape, bool)
        expected[70 // metres, 1300 // metres] = True
        np.testing.assert_array_equal(lacking, expected)
    _, whole = layers.read_strip(opened, 0, np.array([0, 60, 120, 1200]))
    assert whole.tolist() == [0, 1]


# --- Sentinel-1 ------------------------------------------------------------


def decibels(size=240):
    speckle = np.random.default_rng(2).normal(0, 2, (2, size, size))
    return (speckle + np.array([-10, -17])[:, None, None]).astype(np.float32)


def test_both_sensors_in_one_file(tmp_path, stack, product):
    folder, pixels = product
    path = export(tmp_path / "s2.tif", folder, dtype="float32")
    with rasterio.open(path) as file:
        both = np.concatenate([file.read(), decibels()[::-1]])
    path = rasters.write(
        tmp_path / "both.tif",
        both,
        pixel_m=10,
        descriptions=(*EARTH_ENGINE, "VH", "VV"),
    )
    strips, frame = read(stack, path, grids=GRIDS)
    np.testing.assert_array_equal(
        strips.pop("s1"), np.moveaxis(decibels(), 0, -1)[:120]
    )
    assert_native(strips, frame, pixels)


@pytest.mark.parametrize("begins", [0, -20, 40])
def test_sentinel_1_on_the_same_pixels_in_another_file(
    tmp_path, stack, product, begins
):
    """Equal bit for bit; where it lacks, there are no data."""
    s2 = export(tmp_path / "s2.tif", product[0], descriptions=S2_NAMES)
    s1 = rasters.write(
        tmp_path / "s1.tif",
        decibels(300),
        pixel_m=10,
        left=rasters.LEFT + 10 * begins,
        descriptions=("VV", "VH"),
    )
    opened = layers.open_layers(stack, GRIDS, image_paths=[s2, s1])
    found = opened["s1"].read(1200)
    expected = np.full((120, 240, 2), np.nan)
    there = slice(max(begins, 0), 240)
    expected[:, there] = np.moveaxis(decibels(300), 0, -1)[
        120:240, max(-begins, 0) : 240 - begins
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    if begins <= 0:
        np.testing.assert_array_equal(found, expected)


def test_polarisations_in_two_files(tmp_path, stack):
    vv, vh = decibels()
    paths = [
        rasters.write(
            tmp_path / f"{name}.tif", band, pixel_m=10, descriptions=(name,)
        )
        for name, band in (("VH", vh), ("VV", vv))
    ]
    strips, _ = read(stack, *paths, grids=("s1",))
    np.testing.assert_array_equal(
        strips["s1"], np.moveaxis(decibels(), 0, -1)[:120]
    )
    rasters.write(
        paths[0], vh, pixel_m=10, left=rasters.LEFT + 10, descriptions=("VH",)
    )
    with pytest.raises(errors.UserError, match="cover the same ground"):
        read(stack, *paths, grids=("s1",))


def test_linear_power_is_refused_with_the_formula(tmp_path, stack, product):
    linear = 10 ** (decibels() / 10)
    path = rasters.write(
        tmp_path / "s1.tif", linear, pixel_m=10, descriptions=("VV", "VH")
    )
    with pytest.raises(
        errors.UserError, match=r"are not dB.* 10 \* log10\(value\)"
    ):
        read(stack, path, grids=("s1",))
    s2 = export(tmp_path / "s2.tif", product[0], descriptions=S2_NAMES)
    with pytest.raises(errors.UserError, match="are not dB"):
        read(stack, s2, path, grids=GRIDS)


def test_whole_numbers_are_no_decibels(tmp_path, stack, product):
    path = export(
        tmp_path / "x.tif",
        product[0],
        names=("B02", "B03"),
        descriptions=("VV", "VH"),
    )
    with pytest.raises(errors.UserError, match=r"holds uint16\. Expected"):
        read(stack, path, grids=("s1",))
