"""All faults of a pair at once, each with its file."""

import json
import os

import numpy as np
import pytest
import rasterio

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import layout
from ben_tf.archive import open_archive
from ben_tf.archive import pair_check
from ben_tf.archive import patch_pair


def check(archive_dir, pair) -> set[tuple[str, str]]:
    faults = pair_check.check_pair(pair, open_archive.open_archive(archive_dir))
    return {(fault.kind, fault.place.partition("/")[2]) for fault in faults}


def test_whole_pairs_have_no_fault(real_archive, real_pairs):
    archive = open_archive.open_archive(real_archive)
    assert pair_check.check_pairs(real_pairs, archive) == [[]] * 6


def test_every_fault_of_a_pair_is_found(archive_dir, real_pairs):
    pair = real_pairs[0]
    s1, s2 = pair.s1_name, pair.s2_name
    s1_dir = archive_dir / layout.V1.sensors["S1"].folders[0] / s1
    s2_dir = archive_dir / layout.V1.sensors["S2"].folders[0] / s2
    (s2_dir / f"{s2}_B02.tif").unlink()
    os.truncate(s2_dir / f"{s2}_B03.tif", 100)
    (s2_dir / "notes.txt").touch()
    path = s1_dir / f"{s1}_labels_metadata.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"labels": ["Airports"]})
    )
    with rasterio.open(s1_dir / f"{s1}_VH.tif", "r+") as file:
        pixels = file.read(1)
        pixels[3, 4] = np.inf
        file.write(pixels, 1)
    assert check(archive_dir, pair) == {
        ("missing", f"{s2}_B02.tif"),
        ("broken", f"{s2}_B03.tif"),
        ("surplus", "notes.txt"),
        ("broken", f"{s1}_labels_metadata.json"),
        ("broken", f"{s1}_VH.tif"),
    }


def test_without_a_json_the_pixels_are_still_checked(archive_dir, real_pairs):
    pair = real_pairs[0]
    s2 = pair.s2_name
    folder = archive_dir / layout.V1.sensors["S2"].folders[0] / s2
    (folder / f"{s2}_labels_metadata.json").unlink()
    os.truncate(folder / f"{s2}_B8A.tif", 100)
    assert check(archive_dir, pair) == {
        ("missing", f"{s2}_labels_metadata.json"),
        ("broken", f"{s2}_B8A.tif"),
    }


def _fill(archive_dir, sensor, name, bands, change):
    """Changes the pixels of some bands of a patch."""
    folder = archive_dir / layout.V1.sensors[sensor].folders[0] / name
    for band in bands:
        with rasterio.open(folder / f"{name}_{band}.tif", "r+") as file:
            change(file)


def _pixels(function):
    def change(file):
        file.write(function(file.read()).astype(file.dtypes[0]))

    return change


def _scales(file):
    file.scales, file.offsets = (1e-4,), (0.0,)


@pytest.mark.parametrize(
    ("sensor", "bands", "change", "reason"),
    [
        ("S1", ["VV"], _pixels(lambda x: 10 ** (x / 10)), "linear"),
        ("S1", ["VH"], _pixels(lambda x: 0 * x), "but 0"),
        ("S1", ["VH"], _pixels(lambda x: 0 * x - 9999), "from -9999 to"),
        ("S1", ["VV"], _pixels(lambda x: 0 * x + 1e30), "1e"),
        ("S2", bigearthnet.S2_BANDS, _pixels(lambda x: 0 * x), "but 0"),
        ("S2", ["B09"], _pixels(lambda x: 0 * x), "but 0"),
        ("S2", ["B05"], _pixels(lambda x: 0 * x + 65_535), "but 65535"),
        (
            "S2",
            bigearthnet.GRIDS["s2_10m"].bands,
            _pixels(lambda x: x > 300),
            "from 0 to 1",
        ),
        ("S2", ["B02"], _scales, "scale of 0.0001"),
    ],
)
def test_implausible_pixels_are_found_and_not_converted(
    archive_dir, real_pairs, sensor, bands, change, reason
):
    pair = real_pairs[0]
    name = pair.s1_name if sensor == "S1" else pair.s2_name
    _fill(archive_dir, sensor, name, bands, change)
    archive = open_archive.open_archive(archive_dir)
    faults = pair_check.check_pair(pair, archive)
    assert faults
    for fault in faults:
        assert fault.kind == "broken"
        assert fault.place.startswith(name)
        assert reason in fault.reason
    with pytest.raises(errors.ArchiveError) as refused:
        patch_pair.read(archive, pair)
    assert refused.value.place == faults[0].place
    # Others are not touched.
    assert not pair_check.check_pair(real_pairs[1], archive)
