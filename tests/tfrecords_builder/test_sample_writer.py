"""The sample archive looks like the official one and says what it is."""

import collections
import filecmp
import json

import pytest
import rasterio

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from tfrecords_builder import sample_writer

S1_FOLDER = "BigEarthNet-S1-v1.0"
S2_FOLDER = "BigEarthNet-v1.0"


def _patches(archive_dir):
    return [
        official_lists.official_patches()[path.name]
        for path in (archive_dir / S2_FOLDER).iterdir()
    ]


def test_real_pairs_are_copied_byte_for_byte(sample_archive_dir, real_archive):
    for folder in (S1_FOLDER, S2_FOLDER):
        for patch in (real_archive / folder).iterdir():
            names = [path.name for path in patch.iterdir()]
            _, mismatch, errors = filecmp.cmpfiles(
                patch,
                sample_archive_dir / folder / patch.name,
                names,
                shallow=False,
            )
            assert names
            assert not mismatch
            assert not errors


def test_synthetic_files_equal_the_real_ones_in_form(sample_archive_dir):
    """Same profile and size, but for a few bytes of newer GDAL's header."""
    forms = collections.defaultdict(set)
    sizes = collections.defaultdict(list)
    for path in sorted(sample_archive_dir.glob("*/*/*.tif")):
        band = path.stem.rsplit("_", 1)[1]
        with rasterio.open(path) as dataset:
            profile = dataset.profile
            bounds = dataset.bounds
        assert bounds.right - bounds.left == bigearthnet.PATCH_SIZE_M
        del profile["crs"], profile["transform"]
        forms[band].add(str(sorted(profile.items())))
        sizes[band].append(path.stat().st_size)
    assert len(forms) == 14
    assert all(max(size) - min(size) <= 16 for size in sizes.values())
    assert {band: len(form) for band, form in forms.items()} == dict.fromkeys(
        forms, 1
    )


def test_synthetic_geotiffs_are_what_gdal_writes(
    sample_archive_dir, real_archive, tmp_path
):
    """Read and written by GDAL, a file is the same byte for byte."""
    real = {path.name for path in real_archive.glob("*/*/*.tif")}
    synthetic = [
        path
        for path in sorted(sample_archive_dir.glob("*/*/*.tif"))
        if path.name not in real
    ]
    for path in synthetic[::9]:
        with rasterio.open(path) as dataset:
            profile = {
                name: value
                for name, value in dataset.profile.items()
                if name not in ("blockysize", "tiled", "interleave")
            }
            pixels = dataset.read()
        with rasterio.open(tmp_path / path.name, "w", **profile) as dataset:
            dataset.write(pixels)
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_json_keys_equal_the_real_ones(sample_archive_dir):
    keys = collections.defaultdict(set)
    for path in sample_archive_dir.glob("*/*/*.json"):
        content = json.loads(path.read_text())
        keys[path.parent.parent.name].add((*content, *content["coordinates"]))
    assert {folder: len(k) for folder, k in keys.items()} == {
        S1_FOLDER: 1,
        S2_FOLDER: 1,
    }


def test_every_stratum_occurs():
    patches = sample_writer.choose_patches(1000, seed=0)
    assert len({patch.s2_name for patch in patches}) == 1000
    assert {patch.split for patch in patches} == set(bigearthnet.SPLIT_SIZES)
    for split in ("train", "test"):
        chosen = [patch for patch in patches if patch.split == split]
        assert {p.country for p in chosen} == set(bigearthnet.COUNTRIES)
        assert {p.season for p in chosen} == set(bigearthnet.SEASONS)
    assert any(patch.seasonal_snow for patch in patches)
    assert any(patch.cloud_or_shadow for patch in patches)


def test_same_seed_same_archive(sample_archive_dir, tmp_path):
    again = sample_writer.write_sample_archive(tmp_path / "a", num_pairs=48)
    other = sample_writer.write_sample_archive(
        tmp_path / "b", num_pairs=8, seed=1
    )
    for path in sample_archive_dir.rglob("*"):
        if path.is_file():
            copy = again / path.relative_to(sample_archive_dir)
            assert copy.read_bytes() == path.read_bytes()
    names = {patch.s2_name for patch in _patches(sample_archive_dir)}
    assert not {patch.s2_name for patch in _patches(other)} <= names


def test_the_archive_says_that_it_is_synthetic(sample_archive_dir):
    text = (sample_archive_dir / layout.SYNTHETIC_MARKER).read_text()
    assert "say nothing about BigEarthNet" in text
    assert "S2A_MSIL2A_20170617T113321_36_85" in text


def test_labels_suit_the_split(sample_archive_dir):
    folder = sample_archive_dir / S2_FOLDER
    for patch in _patches(sample_archive_dir):
        (path,) = (folder / patch.s2_name).glob("*.json")
        labels = json.loads(path.read_text())["labels"]
        if patch.split != "excluded":
            assert bigearthnet.labels_43_to_19(labels)


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "precious").write_text("")
    with pytest.raises(errors.UserError, match="is not empty"):
        sample_writer.write_sample_archive(tmp_path, num_pairs=8)
    assert (tmp_path / "precious").exists()
