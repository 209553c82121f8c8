"""Images of any format, place and grid: read rightly, or refused by name."""

import contextlib
import http.server
import shutil
import threading

import numpy as np
import pytest
import rasterio
from rasterio import warp
from rasterio import windows

from ben_tf import errors
from ben_tf.scenes import frames
from ben_tf.scenes import images
from tests import rasters

PIXELS = np.arange(120 * 120, dtype=np.uint16).reshape(120, 120) + 1


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        stack.enter_context(rasterio.Env(**images.GDAL_OPTIONS))
        yield stack


def read(band) -> np.ndarray:
    height, width = band.dataset.shape
    return band.read(windows.Window(0, 0, width, height))


@pytest.mark.parametrize(
    ("name", "driver"),
    [("a.tif", "GTiff"), ("a.TIFF", "COG"), ("a.jp2", "JP2OpenJPEG")],
)
def test_formats_of_scenes(tmp_path, stack, name, driver):
    path = rasters.write(tmp_path / name, PIXELS, pixel_m=10, driver=driver)
    band = images.Band(images.open_image(stack, path), 1)
    np.testing.assert_array_equal(read(band), PIXELS)


@pytest.fixture
def server():
    """Notes what is asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_:
        thread = threading.Thread(target=http_.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http_.server_port}", asked
        http_.shutdown()
        thread.join()


VRT = """<VRTDataset rasterXSize="120" rasterYSize="120">
<VRTRasterBand dataType="UInt16" band="1"><SimpleSource>
<SourceFilename relativeToVRT="0">{}</SourceFilename><SourceBand>1</SourceBand>
</SimpleSource></VRTRasterBand></VRTDataset>"""


@pytest.mark.parametrize("name", ["B03.tif", "B03.jp2", "B03"])
def test_a_file_that_names_others_reads_none(tmp_path, stack, server, name):
    address, asked = server
    secret = rasters.write(tmp_path / "secret.tif", PIXELS, pixel_m=10)
    for source in (secret, f"/vsicurl/{address}/x.tif"):
        (tmp_path / name).write_text(VRT.format(source))
        with pytest.raises(errors.UserError, match="cannot be read as an im"):
            images.open_image(stack, tmp_path / name)
    assert not asked


def test_a_mask_that_names_others_reads_none(tmp_path, stack, server):
    address, asked = server
    path = rasters.write(tmp_path / "B03.tif", PIXELS, pixel_m=10)
    for suffix in (".msk", ".ovr", ".aux.xml"):
        beside = tmp_path / f"B03.tif{suffix}"
        beside.write_text(VRT.format(f"/vsicurl/{address}/x.tif"))
    dataset = images.open_image(stack, path)
    np.testing.assert_array_equal(read(images.Band(dataset, 1)), PIXELS)
    with pytest.raises(errors.UserError, match=r"B03\.tif\.msk cannot be read"):
        images.open_mask(stack, dataset)
    assert not asked


def expected_with_nan(where) -> np.ndarray:
    return np.where(where, np.nan, PIXELS)


def test_no_data_in_all_their_forms(tmp_path, stack):
    west = np.zeros((120, 120), bool)
    west[:, :40] = True
    mask = np.where(west, 0, 255).astype(np.uint8)

    path = rasters.write(tmp_path / "tag.tif", PIXELS, pixel_m=10, nodata=7)
    band = images.Band(images.open_image(stack, path), 1)
    np.testing.assert_array_equal(read(band), expected_with_nan(PIXELS == 7))

    path = rasters.write(tmp_path / "inside.tif", PIXELS, pixel_m=10)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "r+") as file,
    ):
        file.write_mask(mask)
    assert not (tmp_path / "inside.tif.msk").exists()
    band = images.Band(images.open_image(stack, path), 1)
    np.testing.assert_array_equal(read(band), expected_with_nan(west))

    path = rasters.write(tmp_path / "beside.tif", PIXELS, pixel_m=10)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False),
        rasterio.open(path, "r+") as file,
    ):
        file.write_mask(mask)
    assert (tmp_path / "beside.tif.msk").exists()
    dataset = images.open_image(stack, path)
    band = images.Band(dataset, 1, mask=images.open_mask(stack, dataset))
    np.testing.assert_array_equal(read(band), expected_with_nan(west))

    path = rasters.write(
        tmp_path / "alpha.tif",
        np.stack([PIXELS, mask.astype(np.uint16) * 257]),
        pixel_m=10,
        photometric="minisblack",
        alpha="yes",
    )
    band = images.Band(images.open_image(stack, path), 1)
    np.testing.assert_array_equal(read(band), expected_with_nan(west))


def test_0_as_no_data_comes_before_what_is_added(tmp_path, stack):
    path = rasters.write(tmp_path / "a.tif", PIXELS - 1, pixel_m=10)
    dataset = images.open_image(stack, path)
    added = read(images.Band(dataset, 1, add=-1000, is_positive=True))
    expected = np.where(PIXELS == 1, np.nan, PIXELS - 1001.0)
    np.testing.assert_array_equal(added, expected)


def test_masks_of_another_size(tmp_path, stack):
    path = rasters.write(tmp_path / "a.tif", PIXELS, pixel_m=10)
    mask = rasters.write(tmp_path / "mask.tif", PIXELS[:9, :9], pixel_m=10)
    shutil.move(mask, tmp_path / "a.tif.msk")
    with pytest.raises(errors.UserError, match=r"Expected \(120, 120\)"):
        images.open_mask(stack, images.open_image(stack, path))


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


@pytest.mark.parametrize("dtype", ["uint8", "int8", "complex64"])
def test_numbers_of_pictures_are_refused(tmp_path, stack, dtype):
    path = rasters.write(tmp_path / "a.tif", PIXELS.astype(dtype), pixel_m=10)
    with pytest.raises(errors.UserError, match=f"holds {dtype}. Expected x;"):
        images.check_type(images.open_image(stack, path), "iuf", "x")
