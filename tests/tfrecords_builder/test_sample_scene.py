"""The synthetic scene lies on one grid, is marked, and is made once."""

import numpy as np
import pytest
import rasterio

from ben_tf import bigearthnet
from tfrecords_builder import sample_scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> sample_scene.SampleScene:
    folder = tmp_path_factory.mktemp("sample") / "scene"
    return sample_scene.make_sample_scene(folder, num_windows=3)


def test_bands_cover_the_same_ground_in_their_units(scene):
    bounds = set()
    for band in bigearthnet.BANDS["S2"]:
        grid = bigearthnet.grid_of_band(band)
        with rasterio.open(scene.s2_folder / f"{band}.tif") as file:
            bounds.add(file.bounds)
            assert file.res == (grid.pixel_size_m, grid.pixel_size_m)
            assert file.dtypes == ("uint16",)
            assert file.read().min() > 0
    with rasterio.open(scene.s1_file) as file:
        bounds.add(file.bounds)
        assert file.descriptions == ("VV", "VH")
        assert -60 < file.read().mean() < 0
    (box,) = bounds
    assert box.right - box.left == box.top - box.bottom == 3 * 1200


def test_it_says_that_it_is_synthetic(scene):
    assert "SYNTHETIC" in (scene.s1_file.parent / "SYNTHETIC.txt").read_text()


def test_labels_are_those_that_were_drawn(scene):
    """Water is dark in the near infrared, as its signature says."""
    assert [len(row) for row in scene.labels] == [3, 3, 3]
    assert {x for row in scene.labels for window in row for x in window} <= set(
        bigearthnet.CLASSES_19
    )
    with rasterio.open(scene.s2_folder / "B08.tif") as file:
        pixels = file.read(1)
    darkest = {True: [], False: []}
    for y, row in enumerate(scene.labels):
        for x, window in enumerate(row):
            part = pixels[120 * y : 120 * (y + 1), 120 * x : 120 * (x + 1)]
            darkest["Marine waters" in window].append(np.percentile(part, 5))
    assert np.mean(darkest[True]) < 0.75 * np.mean(darkest[False])


def test_made_once_and_the_same_each_time(scene, tmp_path):
    again = sample_scene.make_sample_scene(scene.s1_file.parent, num_windows=3)
    assert again == scene
    other = sample_scene.make_sample_scene(tmp_path / "other", num_windows=3)
    assert other.labels == scene.labels
    assert other.s1_file.read_bytes() == scene.s1_file.read_bytes()
