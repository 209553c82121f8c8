"""Grounds of images: measured, compared, and what several have in common."""

import contextlib

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio import crs as crs_lib
from rasterio import warp

from ben_tf import errors
from ben_tf.scenes import frames
from ben_tf.scenes import images
from tests import rasters

PIXELS = np.arange(120 * 120, dtype=np.uint16).reshape(120, 120) + 1
UTM = crs_lib.CRS.from_epsg(32629)


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        stack.enter_context(rasterio.Env(**images.GDAL_OPTIONS))
        yield stack


@pytest.mark.parametrize("epsg", [32629, 32734, 3035, 27700, 2154])
def test_ground_is_measured_as_geodesists_do(tmp_path, stack, epsg):
    """Against the scale that PROJ itself has, by small steps."""
    # A place in each system: its coordinates on the map.
    left, top = {
        32629: (600_000, 4_500_000),
        32734: (400_000, 7_000_000),
        3035: (4_000_000, 3_000_000),
        27700: (400_000, 300_000),
        2154: (700_000, 6_600_000),
    }[epsg]
    path = rasters.write(
        tmp_path / "a.tif",
        PIXELS,
        pixel_m=10,
        crs=f"EPSG:{epsg}",
        left=left,
        top=top,
    )
    dataset = images.open_image(stack, path)
    frame = frames.frame_of(dataset, 10)
    assert (frame.left, frame.top, frame.width_m) == (left, top, 1200)
    # Cartesian coordinates of neighbours on the ellipsoid.
    points = [(left + 600, top - 600), (left + 1600, top - 600)]
    longitudes, latitudes = warp.transform(
        dataset.crs, "EPSG:4326", *zip(*points, strict=True)
    )
    x, y, z = warp.transform(
        "EPSG:4979", "EPSG:4978", longitudes, latitudes, [0.0, 0.0]
    )
    width = np.linalg.norm(np.diff([x, y, z], axis=1)) / 100
    np.testing.assert_allclose(
        frames.pixel_on_ground_m(dataset)[0], width, rtol=1e-4
    )


@pytest.mark.parametrize(
    ("crs", "left", "top", "pixel_m", "found"),
    [
        ("EPSG:3857", 1e6, 69e5, 10, "6.08 m on the ground"),
        ("EPSG:4326", 13.0, 52.0, 1e-4, "0.0001 x 0.0001 degrees"),
        ("EPSG:2263", 980_000, 200_000, 10, "10 x 10 US survey foot"),
        ("EPSG:32629", 6e5, 45e5, 20, "20 x 20 metre"),
        (None, 0, 0, 10, "no coordinate system"),
    ],
)
def test_other_grids_are_refused_with_a_remedy(
    tmp_path, stack, crs, left, top, pixel_m, found
):
    path = rasters.write(
        tmp_path / "a.tif", PIXELS, pixel_m=pixel_m, crs=crs, left=left, top=top
    )
    dataset = images.open_image(stack, path)
    with pytest.raises(errors.UserError, match=found) as error:
        frames.frame_of(dataset, 10)
    assert ("gdalwarp -t_srs EPSG:32" in str(error.value)) == bool(crs)


def test_the_remedy_that_is_named_helps(tmp_path, stack):
    path = rasters.write(
        tmp_path / "a.tif", PIXELS, pixel_m=10, crs="EPSG:3857", left=1e6,
        top=69e5,
    )  # fmt: skip
    with pytest.raises(errors.UserError) as error:
        frames.frame_of(images.open_image(stack, path), 10)
    crs = str(error.value).split("-t_srs ")[1].split()[0]
    with rasterio.open(path) as source:
        transform, width, height = warp.calculate_default_transform(
            source.crs, crs, *source.shape[::-1], *source.bounds, resolution=10
        )
    pixels = np.zeros((height, width), np.uint16)
    warped = rasters.write(
        tmp_path / "b.tif", pixels, pixel_m=10, crs=crs, left=transform.c,
        top=transform.f,
    )  # fmt: skip
    frames.frame_of(images.open_image(stack, warped), 10)


def test_images_without_a_place_on_earth(tmp_path, stack):
    path = rasters.write(
        tmp_path / "a.tif", PIXELS, pixel_m=10, left=1e12, top=1e12
    )
    with pytest.raises(errors.UserError, match=r"on earth"):
        frames.frame_of(images.open_image(stack, path), 10)


def test_a_thousandth_of_a_pixel_is_no_difference(tmp_path, stack):
    def frame(left):
        path = rasters.write(tmp_path / "a.tif", PIXELS, pixel_m=10, left=left)
        return frames.frame_of(images.open_image(stack, path), 10)

    first = frame(rasters.LEFT)
    assert first.covers_as(frame(rasters.LEFT + 1e-9), 10)
    assert first.covers_as(frame(rasters.LEFT + 0.009), 10)
    assert not first.covers_as(frame(rasters.LEFT + 0.011), 10)


@pytest.mark.parametrize(
    ("left", "top", "size", "expected"),
    [
        # On a multiple of 60 m already.
        (600, 6000, (2400, 1200), (600, 6000, 2400, 1200)),
        # The next one to the east and to the south.
        (610, 6050, (2400, 2400), (660, 6000, 2340, 2340)),
        # Below 0 as well, and a thousandth of a pixel is no difference.
        (-10.000001, -10, (2400, 2400), (0, -60, 2340, 2340)),
        # 1.2 km are left: just enough, and not.
        (610, 6000, (1250, 1200), (660, 6000, 1200, 1200)),
        (610, 6000, (1240, 1200), (610, 6000, 1200, 1200)),
        # No multiples of their pixels.
        (603, 6000, (2400, 2400), (603, 6000, 2400, 2400)),
        # Smaller than a patch: whoever reads it says so.
        (600, 6000, (600, 90), (600, 6000, 600, 60)),
    ],
)
def test_an_image_begins_at_multiples_of_60_m(left, top, size, expected):
    own = frames.Frame(UTM, left, top, *size)
    found = frames.shared({"a": own}, {"a": 10})
    np.testing.assert_allclose(
        (found.left, found.top, found.width_m, found.height_m), expected
    )


def test_images_share_what_all_of_them_cover():
    first = frames.Frame(UTM, 0, 6000, 6000, 3000)
    second = frames.Frame(UTM, 1000, 5000, 9000, 9000)
    found = frames.shared({"a": first, "b": second}, {"a": 10, "b": 20})
    assert found == frames.Frame(UTM, 1020, 4980, 4980, 1980 // 60 * 60)


@pytest.mark.parametrize(
    ("frame", "pixel_m", "lies"),
    [
        ((0, 0, 60, 60), 10, True),
        ((60, -60, 540, 540), 60, True),
        ((30, 0, 60, 60), 20, False),
        ((0, -30, 60, 60), 20, False),
        ((-60, 0, 60, 60), 10, False),
        ((0, 60, 60, 60), 10, False),
        ((60, 0, 600, 60), 10, False),
        ((0, -60, 60, 600), 10, False),
    ],
)
def test_a_frame_lies_on_whole_pixels_or_not(frame, pixel_m, lies):
    own = frames.Frame(UTM, 0, 0, 600, 600)
    assert frames.lies_on(frames.Frame(UTM, *frame), own, pixel_m) == lies
    other = crs_lib.CRS.from_epsg(32630)
    assert not frames.lies_on(frames.Frame(other, *frame), own, pixel_m)


def test_a_window_is_where_rasterio_finds_it(tmp_path, stack):
    path = rasters.write(tmp_path / "a.tif", PIXELS, pixel_m=20)
    dataset = images.open_image(stack, path)
    frame = frames.Frame(UTM, rasters.LEFT + 60, rasters.TOP - 120, 1200, 1800)
    window = frames.window_of(dataset, frame, 300, 600)
    expected = rasterio.windows.from_bounds(
        rasters.LEFT + 60,
        rasters.TOP - 120 - 300 - 600,
        rasters.LEFT + 1260,
        rasters.TOP - 120 - 300,
        dataset.transform,
    )
    assert window == expected.round_offsets().round_lengths()


def test_places_in_a_frame():
    """Oracle: GeoPandas."""
    zone = crs_lib.CRS.from_epsg(32633)
    frame = frames.Frame(zone, 500_000, 5_400_000, 6000, 3000)

    def to_degrees(x, y):
        """Metres from the western and the northern edge."""
        place = geopandas.points_from_xy(
            [500_000 + x], [5_400_000 - y], crs=32633
        ).to_crs(4326)
        return float(place.x[0]), float(place.y[0])

    corners = [(0, 0), (6000, 0), (6000, 3000), (0, 3000)]
    np.testing.assert_allclose(
        frames.outline(frame), [to_degrees(*x) for x in corners], atol=1e-9
    )
    point = to_degrees(1234, 1235)
    assert frames.place_in(frame, *point) == pytest.approx((1234, 1235))
    for outside in ((-1, 9), (6001, 9), (9, -1), (9, 3001)):
        with pytest.raises(errors.UserError, match="lies outside"):
            frames.place_in(frame, *to_degrees(*outside))
    # Where the projection of the scene does not reach.
    with pytest.raises(errors.UserError, match="lies outside"):
        frames.place_in(frame, -75, 0)
