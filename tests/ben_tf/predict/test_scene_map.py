"""GeoTIFFs of a map, read by rasterio and GDAL; their order byte by byte."""

import json
import os
import resource
import struct
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rio_cogeo.cogeo import cog_validate

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.predict import scene_map

_TAGS = {"model": "small_cnn", "fingerprint": "ab", "units": "p < 1 & é"}
_LEFT, _TOP = 600_000, 4_500_000


def _grid(height, width):
    return scene_map.Grid(
        rasterio.crs.CRS.from_epsg(32634), _LEFT, _TOP, 60, height, width
    )


def _values(num_classes, height, width):
    """Random probabilities; the corner and the last row hold no data."""
    values = np.random.default_rng(0).random(
        (num_classes, height, width), np.float32
    )
    values[:, 0, 0] = np.nan
    values[:, -1] = np.nan
    return values


def _write(path, values, *, rows_at_once=7):
    num_classes, height, width = values.shape
    with scene_map.open_map(
        path, _grid(height, width), bigearthnet.CLASSES[num_classes], _TAGS
    ) as write:
        for start in range(0, height, rows_at_once):
            write(values[:, start : start + rows_at_once])


@pytest.fixture(scope="module", params=[19, 43])
def written(request, tmp_path_factory):
    """Folder of a map of 300 x 400 cells, and its values."""
    folder = tmp_path_factory.mktemp("map")
    values = _values(request.param, 300, 400)
    _write(folder / "map.tif", values)
    return folder, values


def test_the_bands_are_what_was_written(written):
    folder, values = written
    names = bigearthnet.CLASSES[len(values)]
    with rasterio.open(folder / "map.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(), values)
        assert dataset.descriptions == names
        assert set(dataset.units) == {"probability"}
        assert np.isnan(dataset.nodata)
        assert dataset.tags().items() >= _TAGS.items()
        assert dataset.crs.to_epsg() == 32634
        assert dataset.transform[:6] == (60, 0, _LEFT, 0, -60, _TOP)


def test_most_probable_class_and_confidence(written):
    folder, values = written
    has_data = ~np.isnan(values[0])
    names = bigearthnet.CLASSES[len(values)]
    with rasterio.open(folder / "map_class.tif") as dataset:
        assert dataset.dtypes == ("uint8",)
        (classes,) = dataset.read()
        assert dataset.nodata == 0
        colors = dataset.colormap(1)
        assert dataset.tags().items() >= _TAGS.items()
    assert not classes[~has_data].any()
    chosen = classes[has_data].astype(int) - 1
    np.testing.assert_array_equal(chosen, values[:, has_data].argmax(axis=0))
    for number, name in enumerate(names, start=1):
        expected = bigearthnet.CLASS_COLORS[len(names)][name]
        assert "#{:02x}{:02x}{:02x}".format(*colors[number]) == expected
        assert colors[number][3] == 255
    with rasterio.open(folder / "map_confidence.tif") as dataset:
        (confidence,) = dataset.read()
    np.testing.assert_array_equal(confidence, values.max(axis=0))


def test_gdal_knows_the_names_of_classes(written):
    folder, values = written
    rasterio.shutil.copy(
        folder / "map_class.tif", folder / "copy.vrt", driver="VRT"
    )
    band = ElementTree.parse(folder / "copy.vrt").find("VRTRasterBand")
    (folder / "copy.vrt").unlink()
    names = [category.text for category in band.iter("Category")]
    assert names == ["no data", *bigearthnet.CLASSES[len(values)]]


def _directories(path):
    """Offset of each directory of a TIFF in its chain, and its entries.

    Entries: number of the tag -> offset of its first value.
    """
    data = path.read_bytes()
    assert data[:4] == b"II*\0"
    (at,) = struct.unpack_from("<I", data, 4)
    directories = []
    while at:
        (count,) = struct.unpack_from("<H", data, at)
        entries = {}
        for number in range(count):
            tag, kind, length, value = struct.unpack_from(
                "<HHII", data, at + 2 + 12 * number
            )
            if kind == 3:  # One short, in the first half.
                value &= 0xFFFF if length == 1 else 0xFFFFFFFF
            entries[tag] = (length, value)
        directories.append((at, entries))
        (at,) = struct.unpack_from("<I", data, at + 2 + 12 * count)
    return data, directories


def _first_block(data, entries):
    """Where the pixels of a directory begin; a missing block is at 0."""
    length, value = entries[324]
    offsets = (
        struct.unpack_from(f"<{length}I", data, value)
        if length > 1
        else (value,)
    )
    return min(offset for offset in offsets if offset)


@pytest.mark.parametrize("name", ["map", "map_class", "map_confidence"])
def test_files_are_cloud_optimised(written, name):
    """The rules of GDAL's validate_cloud_optimized_geotiff.py.

    Tiled, with overviews; all directories at the beginning, each after the one
    before, and pixels from the coarsest overview to the full resolution.
    """
    path = written[0] / f"{name}.tif"
    with rasterio.open(path) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert set(dataset.block_shapes) == {(128, 128)}
        assert [dataset.overviews(i) for i in dataset.indexes] == (
            [[2, 4]] * dataset.count
        )
    data, directories = _directories(path)
    assert len(directories) == 3
    places = [at for at, _ in directories]
    assert places == sorted(places)
    blocks = [_first_block(data, entries) for _, entries in directories]
    assert blocks == sorted(blocks, reverse=True)
    assert places[-1] < blocks[-1]
    assert all(322 in entries for _, entries in directories)


@pytest.mark.parametrize("name", ["map", "map_class", "map_confidence"])
def test_rio_cogeo_finds_nothing_to_say(written, name):
    path = written[0] / f"{name}.tif"
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])


def test_overviews_know_no_data_from_0(written):
    folder, values = written
    with rasterio.open(folder / "map.tif", overview_level=0) as dataset:
        overview = dataset.read()
    # The corner: three of its four cells hold data.
    np.testing.assert_allclose(
        overview[:, 0, 0],
        np.nanmean(values[:, :2, :2], axis=(1, 2)),
        rtol=1e-5,
    )
    with rasterio.open(folder / "map_class.tif", overview_level=1) as dataset:
        assert set(np.unique(dataset.read())) <= set(range(len(values) + 1))


def test_a_small_map_needs_no_overview(tmp_path):
    values = _values(19, 3, 4)
    _write(tmp_path / "map.tiff", values)
    with rasterio.open(tmp_path / "map.tiff") as dataset:
        np.testing.assert_array_equal(dataset.read(), values)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "map.qml",
        "map.tiff",
        "map_class.qml",
        "map_class.tiff",
        "map_class.tiff.aux.xml",
        "map_confidence.qml",
        "map_confidence.tiff",
    ]


def test_an_error_leaves_what_was_there(tmp_path):
    _write(tmp_path / "map.tif", _values(19, 3, 4))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with (
        pytest.raises(RuntimeError),
        scene_map.open_map(
            tmp_path / "map.tif", _grid(3, 4), bigearthnet.CLASSES_19, {}
        ) as write,
    ):
        write(np.zeros((19, 1, 4), np.float32))
        raise RuntimeError
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


_KILLED = """
import os, signal, sys
import numpy as np
from ben_tf import bigearthnet
from ben_tf.predict import scene_map
import rasterio
grid = scene_map.Grid(rasterio.crs.CRS.from_epsg(32634), 0, 0, 60, 3, 4)
moment, path = sys.argv[1:]
def kill(*args, **options):
    os.kill(os.getpid(), signal.SIGKILL)
with scene_map.open_map(path, grid, bigearthnet.CLASSES_19, {}) as write:
    write(np.ones((19, 3, 4), np.float32))
    if moment == "collecting":
        kill()
    if moment == "copying":
        copy = scene_map.rasterio.shutil.copy
        scene_map.rasterio.shutil.copy = lambda *a, **o: (copy(*a, **o), kill())
    if moment == "naming":
        replace = os.replace
        os.replace = lambda *names: (replace(*names), kill())
"""


@pytest.mark.parametrize("moment", ["collecting", "copying", "naming"])
def test_what_was_killed_leaves_no_map_and_the_next_one_tidies_up(
    tmp_path, moment
):
    path = tmp_path / "map.tif"
    finished = subprocess.run(
        [sys.executable, "-c", _KILLED, moment, os.fspath(path)], check=False
    )
    assert finished.returncode == -9
    assert not path.exists()
    values = _values(19, 3, 4)
    _write(path, values)
    assert len(list(tmp_path.iterdir())) == 7
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(), values)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.98, 0.9999])
def test_a_map_without_room_is_an_error_and_leaves_nothing(tmp_path, share):
    """Also where only the last bytes do not fit, of which GDAL says nothing."""
    values = _values(19, 140, 140)
    _write(tmp_path / "map.tif", values)
    size = (tmp_path / "map.tif").stat().st_size
    for path in tmp_path.iterdir():
        path.unlink()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * share), before[1]))
    try:
        with pytest.raises(errors.UserError, match="could not be written"):
            _write(tmp_path / "map.tif", values)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_the_way_is_found_before_the_work(tmp_path):
    (tmp_path / "map_class.qml").mkdir()
    with (
        pytest.raises(IsADirectoryError, match=r"map_class\.qml"),
        scene_map.open_map(
            tmp_path / "map.tif", _grid(3, 4), bigearthnet.CLASSES_19, {}
        ),
    ):
        pytest.fail("began")


def test_tags_are_text_of_any_kind(tmp_path):
    tags = {"trained_on": json.dumps(["<&>", 'é"'])}
    with scene_map.open_map(
        tmp_path / "map.tif", _grid(1, 1), bigearthnet.CLASSES_43, tags
    ) as write:
        write(np.zeros((43, 1, 1), np.float32))
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.tags().items() >= tags.items()
