"""Images of any format, place and grid: read rightly, or refused by name."""

import contextlib
import http.server
import shutil
import threading

import numpy as np
import pytest
import rasterio
from rasterio import windows

from ben_tf import errors
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


@pytest.mark.parametrize("dtype", ["uint8", "int8", "complex64"])
def test_numbers_of_pictures_are_refused(tmp_path, stack, dtype):
    path = rasters.write(tmp_path / "a.tif", PIXELS.astype(dtype), pixel_m=10)
    with pytest.raises(errors.UserError, match=f"holds {dtype}. Expected x;"):
        images.check_type(images.open_image(stack, path), "iuf", "x")


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (12_000, {"count": 1}),
        (4096, {"count": 9, "interleave": "pixel"}),
    ],
)
def test_what_is_read_in_one_huge_piece_is_refused(
    tmp_path, stack, size, options
):
    path = tmp_path / "x.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=size,
        height=size,
        dtype="uint16",
        tiled=True,
        blockxsize=size,
        blockysize=size,
        compress="deflate",
        sparse_ok=True,
        **options,
    ):
        pass
    assert path.stat().st_size < 10_000
    with pytest.raises(errors.UserError, match="can only be read as"):
        images.open_image(stack, path)
