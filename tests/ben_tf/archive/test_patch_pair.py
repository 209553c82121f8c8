"""A pair is what rasterio and the JSON say, or it is refused."""

import numpy as np
import pytest
import rasterio

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import layout
from ben_tf.archive import open_archive
from ben_tf.archive import patch_metadata
from ben_tf.archive import patch_pair


@pytest.fixture(scope="module")
def archive(real_archive):
    return open_archive.open_archive(real_archive)


@pytest.fixture(scope="module")
def metadata(archive, real_pairs):
    """The JSON of both patches of the first pair, by sensor."""
    pair = real_pairs[0]
    return {
        sensor: patch_metadata.read_json(archive[sensor], sensor, name)
        for sensor, name in (("S1", pair.s1_name), ("S2", pair.s2_name))
    }


def test_pixels_and_place_are_those_of_the_files(
    archive, real_archive, real_pairs
):
    official = real_pairs[0]
    pair = patch_pair.read(archive, official)
    assert pair.official == official
    names = {"S1": official.s1_name, "S2": official.s2_name}
    for key, grid in bigearthnet.GRIDS.items():
        assert pair.grids[key].shape == grid.shape
        assert pair.grids[key].dtype == grid.dtype
        name = names[grid.sensor]
        folder = real_archive / layout.V1.sensors[grid.sensor].folders[0] / name
        for index, band in enumerate(grid.bands):
            with rasterio.open(folder / f"{name}_{band}.tif") as file:
                np.testing.assert_array_equal(
                    pair.grids[key][..., index], file.read(1)
                )
                assert pair.footprint == (
                    file.crs.to_epsg(),
                    (file.bounds.left, file.bounds.top),
                )


def test_labels_and_times_are_those_of_the_json(archive, real_pairs, metadata):
    pair = patch_pair.read(archive, real_pairs[0])
    labels = pair.metadata.labels_43
    assert labels == metadata["S2"].labels == metadata["S1"].labels
    assert pair.metadata.s1_time == metadata["S1"].time
    assert pair.metadata.s2_time == metadata["S2"].time


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"s2_name": "another"}, "names the S2 patch 'another'"),
        ({"labels": ("Pastures",)}, "gives other labels"),
        ({"epsg": 32601}, "gives another footprint"),
        ({"upper_left": (0.0, 0.0)}, "gives another footprint"),
    ],
)
def test_patches_that_contradict_each_other_are_refused(
    metadata, real_pairs, changes, reason
):
    s1 = metadata["S1"]
    patch_metadata.check_agreement(s1, metadata["S2"], real_pairs[0])
    if changes.keys() <= {"epsg", "upper_left"}:
        changes = {"footprint": s1.footprint._replace(**changes)}
    with pytest.raises(errors.ArchiveError, match=reason) as caught:
        patch_metadata.check_agreement(
            s1._replace(**changes), metadata["S2"], real_pairs[0]
        )
    assert caught.value.place.startswith(real_pairs[0].s1_name)


def test_a_band_must_lie_where_its_json_says(archive, real_pairs, metadata):
    source, name = archive["S2"], real_pairs[0].s2_name
    expected = metadata["S2"].footprint
    patch_pair.read_band(source, name, "B8A", footprint=expected)
    elsewhere = expected._replace(epsg=expected.epsg + 1)
    with pytest.raises(errors.ArchiveError, match="lies elsewhere") as caught:
        patch_pair.read_band(source, name, "B8A", footprint=elsewhere)
    assert caught.value.place == f"{name}/{name}_B8A.tif"
    # Without a JSON to compare with, the place is not checked.
    raster = patch_pair.read_band(source, name, "B8A")
    assert raster.footprint == expected
