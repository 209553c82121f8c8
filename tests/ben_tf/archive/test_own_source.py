"""Files of own patches, found and split against rasterio."""

import os

import numpy as np
import pytest
import rasterio

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import geotiff
from ben_tf.archive import own_source

GRID = bigearthnet.GRIDS["s2_10m"]
PROFILE = {
    "driver": "GTiff",
    "count": 4,
    "width": 120,
    "height": 120,
    "dtype": "uint16",
    "crs": "EPSG:32633",
    "transform": rasterio.transform.from_origin(300_000, 5_000_040, 10, 10),
}
PIXELS = np.arange(4 * 120 * 120, dtype=np.uint16).reshape(4, 120, 120)


def _write(path, pixels=PIXELS, descriptions=None, **profile):
    with rasterio.open(path, "w", **PROFILE | profile) as file:
        file.write(pixels)
        if descriptions:
            file.descriptions = descriptions
    return path


def _source(column, path):
    return own_source.TableSource("S2", ["a"], {column: [str(path)]})


@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"interleave": "pixel", "compress": "deflate", "predictor": 2},
        {"tiled": True, "blockxsize": 64, "blockysize": 64},
        {"BIGTIFF": "YES"},
    ],
)
def test_bands_of_one_file_have_its_values_and_place(tmp_path, profile):
    path = _write(tmp_path / "x.tif", descriptions=GRID.bands, **profile)
    source = _source("s2_10m", path)
    for number, band in enumerate(GRID.bands):
        data = source.read_file("a", f"a_{band}.tif")
        raster = geotiff.decode(data, place="a", grid=GRID)
        np.testing.assert_array_equal(raster.pixels, PIXELS[number])
        assert raster.footprint == (32633, (300_000, 5_000_040))
        # The same bytes each time, by which shards are known again.
        assert data == _source("s2_10m", path).read_file("a", f"a_{band}.tif")


@pytest.mark.parametrize(
    ("profile", "match"),
    [
        (
            {"pixels": PIXELS[:3], "count": 3},
            "3 band.s. of 120 x 120 pixels. Expected a GeoTIFF with 4 bands, "
            "B02, B03, B04, B08 in this order",
        ),
        (
            {"pixels": PIXELS[:, :60, :60], "width": 60, "height": 60},
            "4 band.s. of 60 x 60",
        ),
        (
            {"descriptions": ("B08", "B04", "B03", "B02")},
            "bands are named B08, B04, B03, B02",
        ),
    ],
)
def test_files_of_other_bands_are_refused(tmp_path, profile, match):
    source = _source("s2_10m", _write(tmp_path / "x.tif", **profile))
    with pytest.raises(errors.ArchiveError, match=match):
        source.read_file("a", "a_B02.tif")


def test_names_of_bands_that_nobody_knows_do_not_matter(tmp_path):
    path = _write(tmp_path / "x.tif", descriptions=("a", "b", "c", "d"))
    assert _source("s2_10m", path).read_file("a", "a_B02.tif")


def test_a_scale_is_passed_on_to_be_refused(tmp_path):
    path = _write(tmp_path / "x.tif")
    with rasterio.open(path, "r+") as file:
        file.scales = (1, 1, 0.5, 1)
    source = _source("s2_10m", path)
    geotiff.decode(source.read_file("a", "a_B03.tif"), place="", grid=GRID)
    with pytest.raises(errors.ArchiveError, match=r"has a scale of 0\.5"):
        geotiff.decode(source.read_file("a", "a_B04.tif"), place="", grid=GRID)


@pytest.mark.parametrize("data", [b"", b"II*\0 and no more", b"x" * 5000])
def test_what_is_no_geotiff_is_refused(tmp_path, data):
    path = tmp_path / "x.tif"
    path.write_bytes(data)
    with pytest.raises(errors.ArchiveError, match=r"a_B02\.tif (is|lies)"):
        _source("s2_10m", path).read_file("a", "a_B02.tif")


@pytest.mark.parametrize(
    ("names", "found", "match"),
    [
        (["any_B02.tif", "any_B03.tif"], "any_B02.tif", None),
        (["B02.TIFF", ".x_B02.tif"], "B02.TIFF", None),
        (["any_B02.tif", "other_B02.tif"], None, "any_B02.tif and other_B02"),
        (["anyB02.tif", "x_B02.tif.aux.xml"], None, "no file in .* ends in"),
    ],
)
def test_the_band_in_a_folder_is_found_by_its_ending(
    tmp_path, names, found, match
):
    for name in names:
        (tmp_path / name).write_text(name)
    source = _source("s2_folder", tmp_path)
    if match is None:
        assert source.read_file("a", "a_B02.tif") == found.encode()
    else:
        with pytest.raises(errors.ArchiveError, match=match):
            source.read_file("a", "a_B02.tif")


def test_files_that_cannot_be_read_are_faults_of_their_patch(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(bytes(2 << 20))
    for path, match in (
        (tmp_path / "nowhere", "there is no file"),
        (tmp_path, "cannot be read"),
        (tmp_path / "pipe", "cannot be read"),
        (tmp_path / "large", "is too large"),
        ("", "an empty cell in column B02"),
    ):
        with pytest.raises(errors.ArchiveError, match=match):
            _source("B02", path).read_file("a", "a_B02.tif")
    with pytest.raises(errors.ArchiveError, match="there is no folder"):
        _source("s2_folder", tmp_path / "x").read_file("a", "a_B02.tif")
