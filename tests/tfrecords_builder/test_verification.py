"""Whole archives pass; every fault is listed."""

import csv
import json
import os
import pathlib
import shutil
import tarfile

import numpy as np
import pytest
import rasterio

from ben_tf import errors
from ben_tf.archive import layout
from tfrecords_builder import verification

S1 = "BigEarthNet-S1-v1.0"
S2 = "BigEarthNet-v1.0"
PATCH = "S2A_MSIL2A_20170613T101031_87_48"
PARTNER = "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_87_48"


def verify(archive_dir, tmp_path, **kwargs):
    report = verification.verify(
        archive_dir, csv_path=tmp_path / "faults.csv", **kwargs
    )
    with open(report.csv_path, newline="") as file:
        return report, list(csv.DictReader(file))


def test_a_part_of_the_archive_is_well(real_archive, tmp_path):
    report, faults = verify(real_archive, tmp_path, partial=True)
    assert report.is_well
    assert faults == []
    assert report.num_pairs == 6
    assert report.counts == report.expected
    assert report.counts["split"] == {"train": 4, "test": 1, "excluded": 1}
    assert "6 pairs checked" in verification.summary(report)


def test_the_same_from_tarballs(real_archive, tmp_path):
    packed = tmp_path / "packed"
    packed.mkdir()
    for folder, stem in ((S1, S1), (S2, "BigEarthNet-S2-v1.0")):
        with tarfile.open(packed / f"{stem}.tar.gz", "w:gz") as tar:
            tar.add(real_archive / folder, folder)
    report, _ = verify(packed, tmp_path, partial=True, num_workers=2)
    assert report.is_well
    assert report.num_pairs == 6


def test_a_whole_archive_is_expected_by_default(real_archive, tmp_path):
    """One line for each split in place of half a million."""
    report, faults = verify(real_archive, tmp_path)
    assert not report.is_well
    assert report.faults.counts["missing"] == 590_326 - 6
    assert [(fault["place"], fault["reason"]) for fault in faults] == [
        ("excluded", "lacks 71,041 pairs of the official list."),
        ("test", "lacks 125,865 pairs of the official list."),
        ("train", "lacks 269,691 pairs of the official list."),
        ("validation", "lacks 123,723 pairs of the official list."),
    ]
    assert report.expected["split"].total() == 590_326
    text = verification.summary(report)
    assert "a part of BigEarthNet: 590,320 of its 590,326 pairs" in text
    assert "`partial` expects only those that are" in text


def set_nan(path: pathlib.Path) -> None:
    with rasterio.open(path, "r+") as source:
        pixels = source.read(1)
        pixels[3, 4] = np.nan
        source.write(pixels, 1)


def edit(path: pathlib.Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_every_fault_is_listed(archive_dir, tmp_path):
    s2 = archive_dir / S2 / PATCH
    s1 = archive_dir / S1 / PARTNER
    (s2 / f"{PATCH}_B02.tif").unlink()
    os.truncate(s2 / f"{PATCH}_B03.tif", 100)
    shutil.copy(s2 / f"{PATCH}_B01.tif", s2 / f"{PATCH}_B04.tif")
    (s2 / "notes.txt").touch()
    edit(s2 / f"{PATCH}_labels_metadata.json", labels=["Moon"])
    set_nan(s1 / f"{PARTNER}_VH.tif")
    other = next(p for p in (archive_dir / S1).iterdir() if p != s1)
    edit(
        other / f"{other.name}_labels_metadata.json",
        corresponding_s2_patch=PATCH,
    )
    lonely = next(
        p for p in (archive_dir / S1).iterdir() if p not in (s1, other)
    )
    shutil.rmtree(lonely)
    (archive_dir / S1 / "S1X").mkdir()

    report, faults = verify(archive_dir, tmp_path, partial=True)
    found = {(fault["kind"], fault["place"].split("/")[-1]) for fault in faults}
    s2_of_lonely = next(
        fault["place"] for fault in faults if lonely.name in fault["reason"]
    )
    assert found == {
        ("missing", f"{PATCH}_B02.tif"),
        ("broken", f"{PATCH}_B03.tif"),
        ("broken", f"{PATCH}_B04.tif"),
        ("surplus", "notes.txt"),
        ("broken", f"{PATCH}_labels_metadata.json"),
        ("broken", f"{PARTNER}_VH.tif"),
        ("broken", f"{other.name}_labels_metadata.json"),
        ("missing", s2_of_lonely),
        ("surplus", "S1X"),
    }
    assert len(faults) == len(found)
    assert report.faults.counts == {"missing": 2, "surplus": 2, "broken": 5}
    assert report.counts["split"].total() == 3


def test_of_a_sample_nothing_else_is_expected(archive_dir):
    (archive_dir / layout.SYNTHETIC_MARKER).touch()
    report = verification.verify(archive_dir)
    assert report.is_well
    assert report.counts == report.expected
    text = verification.summary(report)
    assert text.startswith("This is a synthetic sample of BigEarthNet;")
    assert text.endswith("All is well.")
    shutil.rmtree(archive_dir / S2 / PATCH)
    report = verification.verify(archive_dir)
    assert report.faults.counts == {"missing": 1, "surplus": 0, "broken": 0}


def test_the_list_of_faults_is_complete_or_not_there(archive_dir, tmp_path):
    path = tmp_path / "faults.csv"
    with pytest.raises(errors.UserError, match="no archive folder"):
        verification.verify(tmp_path / "absent", csv_path=path)
    assert not list(tmp_path.glob("faults*"))
