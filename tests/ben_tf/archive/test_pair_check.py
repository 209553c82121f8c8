"""All faults of a pair at once, each with its file."""

import json
import os

import numpy as np
import rasterio

from ben_tf.archive import layout
from ben_tf.archive import open_archive
from ben_tf.archive import pair_check


def check(archive_dir, pair) -> set[tuple[str, str]]:
    faults = pair_check.check_pair(pair, open_archive.open_archive(archive_dir))
    return {(fault.kind, fault.place.partition("/")[2]) for fault in faults}


def test_whole_pairs_have_no_fault(real_archive, real_pairs):
    archive = open_archive.open_archive(real_archive)
    assert pair_check.check_pairs(real_pairs, archive) == [[]] * 6


def test_every_fault_of_a_pair_is_found(archive_dir, real_pairs):
    pair = real_pairs[0]
    s1, s2 = pair.s1_name, pair.s2_name
    s1_dir = archive_dir / layout.SENSOR_FOLDERS["S1"][0] / s1
    s2_dir = archive_dir / layout.SENSOR_FOLDERS["S2"][0] / s2
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
    folder = archive_dir / layout.SENSOR_FOLDERS["S2"][0] / s2
    (folder / f"{s2}_labels_metadata.json").unlink()
    os.truncate(folder / f"{s2}_B8A.tif", 100)
    assert check(archive_dir, pair) == {
        ("missing", f"{s2}_labels_metadata.json"),
        ("broken", f"{s2}_B8A.tif"),
    }
