"""Patches to predict come from folders, archives and tarballs alike."""

import errno
import os
import shutil
import tarfile

import numpy as np
import pytest

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import known_pairs
from ben_tf.archive import layout
from ben_tf.archive import open_archive
from ben_tf.archive import patch_files
from ben_tf.archive import patch_pair
from ben_tf.archive import patch_sources

GRIDS = tuple(bigearthnet.GRIDS)


def folder_of(archive_dir, sensor, name):
    return archive_dir / layout.V1.sensors[sensor].folders[0] / name


def assert_is(patch, pair) -> None:
    assert patch.name == pair.official.s2_name
    assert patch.footprint == pair.footprint
    assert patch.grids.keys() == pair.grids.keys()
    for name, pixels in pair.grids.items():
        np.testing.assert_array_equal(patch.grids[name], pixels)
    # In v2.0 there are no others.
    given = {43: pair.metadata.labels_43, 19: pair.metadata.labels_19}
    assert patch.labels == {n: names for n, names in given.items() if names}


@pytest.fixture(scope="module")
def pairs(real_archive, real_pairs) -> list[patch_pair.PatchPair]:
    archive = open_archive.open_archive(real_archive)
    return [patch_pair.read(archive, official) for official in real_pairs]


def test_an_archive_of_v2_gives_all_pairs(v2_archive_dir):
    official = known_pairs.read("v2", v2_archive_dir)
    archive = open_archive.open_archive(v2_archive_dir)
    number, patches = patch_files.from_archive(
        v2_archive_dir, GRIDS, scratch_dir="unused"
    )
    found = {patch.name: patch for patch in patches}
    assert number == len(found) == len(official) == 24
    for name, pair in official.items():
        assert_is(found[name], patch_pair.read(archive, pair))


def test_a_patch_of_v2_that_no_table_has_is_an_error(v2_archive_dir, tmp_path):
    shutil.copytree(v2_archive_dir, tmp_path / "archive")
    patch = next((tmp_path / "archive" / "BigEarthNet-S1").glob("*/S1*"))
    head, _, last = patch.name.rpartition("_")
    other = patch.rename(patch.with_name(f"{head}_{int(last) + 91}"))
    for path in list(other.iterdir()):
        path.rename(other / path.name.replace(patch.name, other.name))
    _, patches = patch_files.from_archive(
        tmp_path / "archive", GRIDS, scratch_dir="unused"
    )
    (error,) = (x for x in patches if isinstance(x, errors.UserError))
    assert "has no known S2 patch" in str(error)


def test_two_folders_are_a_pair_in_any_order(real_archive, pairs):
    official = pairs[0].official
    paths = [
        str(folder_of(real_archive, "S1", official.s1_name)),
        str(folder_of(real_archive, "S2", official.s2_name)),
    ]
    for order in (paths, paths[::-1]):
        patch = patch_files.from_folders(order, GRIDS)
        assert_is(patch, pairs[0])


def test_one_folder_is_enough_for_one_sensor(real_archive, pairs):
    name = pairs[0].official.s1_name
    path = str(folder_of(real_archive, "S1", name))
    patch = patch_files.from_folders([path], ("s1",))
    assert patch.name == name
    assert patch.labels[43] == pairs[0].metadata.labels_43
    with pytest.raises(errors.UserError, match="looks at S2"):
        patch_files.from_folders([path], GRIDS)


def test_patches_of_different_places_are_no_pair(real_archive, real_pairs):
    first, second, *_ = real_pairs
    paths = [
        str(folder_of(real_archive, "S1", first.s1_name)),
        str(folder_of(real_archive, "S2", second.s2_name)),
    ]
    error = patch_files.from_folders(paths, GRIDS)
    assert "do not cover the same ground" in str(error)


@pytest.mark.parametrize("packed", [False, True])
def test_an_archive_gives_all_pairs(real_archive, pairs, tmp_path, packed):
    archive_dir = real_archive
    if packed:
        archive_dir = tmp_path / "packed"
        archive_dir.mkdir()
        for sensor, lies in layout.V1.sensors.items():
            stem = lies.tarball_stems[0]
            folder = real_archive / layout.V1.sensors[sensor].folders[0]
            with tarfile.open(archive_dir / f"{stem}.tar", "w") as tar:
                tar.add(folder, folder.name)
    assert patch_files.is_archive(archive_dir)
    total, items = patch_files.from_archive(
        archive_dir, GRIDS, scratch_dir=tmp_path
    )
    found = list(items)
    by_name = {pair.official.s2_name: pair for pair in pairs}
    assert len(found) == 6 == total
    for patch in found:
        assert_is(patch, by_name.pop(patch.name))


def test_a_broken_patch_of_an_archive_keeps_no_other_from_being_read(
    archive_dir, real_pairs, tmp_path
):
    first, second, *_ = real_pairs
    folder = folder_of(archive_dir, "S2", first.s2_name)
    os.truncate(folder / f"{first.s2_name}_B02.tif", 100)
    folder = folder_of(archive_dir, "S1", second.s1_name)
    (folder / f"{second.s1_name}_labels_metadata.json").write_text("{")
    total, items = patch_files.from_archive(
        archive_dir, GRIDS, scratch_dir=tmp_path
    )
    found = list(items)
    broken = [str(item) for item in found if isinstance(item, Exception)]
    assert len(found) == 6 == total
    assert len(broken) == 2
    assert any(first.s2_name in text for text in broken)
    assert any(second.s1_name in text for text in broken)


@pytest.mark.parametrize("packed", [False, True])
def test_one_sensor_needs_no_other(archive_dir, real_pairs, tmp_path, packed):
    (archive_dir / layout.V1.sensors["S1"].folders[0]).rename(tmp_path / "away")
    if packed:
        folder = archive_dir / layout.V1.sensors["S2"].folders[0]
        stem = layout.V1.sensors["S2"].tarball_stems[0]
        with tarfile.open(archive_dir / f"{stem}.tar.gz", "w:gz") as tar:
            tar.add(folder, folder.name)
        shutil.rmtree(folder)
    total, found = patch_files.from_archive(
        archive_dir, ("s2_10m",), scratch_dir=tmp_path
    )
    assert total == 6
    assert [patch.name for patch in found] == sorted(
        pair.s2_name for pair in real_pairs
    )
    with pytest.raises(errors.UserError, match="holds no S1 patches"):
        patch_files.from_archive(archive_dir, ("s1",), scratch_dir=tmp_path)


@pytest.mark.parametrize("content", [None, "{"])
def test_new_images_have_no_labels(archive_dir, real_pairs, content):
    name = real_pairs[0].s2_name
    folder = folder_of(archive_dir, "S2", name)
    path = folder / f"{name}_labels_metadata.json"
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    patch = patch_files.from_folders([str(folder)], ("s2_10m",))
    assert patch.name == name
    assert patch.labels == {}


@pytest.mark.parametrize("grid", ["s1", "s2_60m"])
def test_one_sensor_of_v2_has_labels_where_its_table_lies(
    v2_archive_dir, tmp_path, grid
):
    official = known_pairs.read("v2", v2_archive_dir)
    by_name = {pair.s1_name: pair for pair in official.values()} | official
    shutil.copytree(v2_archive_dir, tmp_path / "archive")
    _, patches = patch_files.from_archive(
        tmp_path / "archive", (grid,), scratch_dir="unused"
    )
    for patch in patches:
        assert patch.labels == {19: by_name[patch.name].labels_19}
    for table in (tmp_path / "archive").glob("*.parquet"):
        table.unlink()
    number, patches = patch_files.from_archive(
        tmp_path / "archive", (grid,), scratch_dir="unused"
    )
    found = list(patches)
    assert number == len(found) == 24
    assert not any(patch.labels for patch in found)


def test_a_damaged_table_is_not_taken_for_none(v2_archive_dir, tmp_path):
    archive = shutil.copytree(v2_archive_dir, tmp_path / "archive")
    (archive / "metadata.parquet").write_bytes(b"damaged")
    with pytest.raises(errors.UserError, match=r"metadata\.parquet"):
        patch_files.from_archive(archive, ("s1",), scratch_dir="unused")


def test_a_disk_that_fails_is_not_taken_for_missing_labels(
    archive_dir, real_pairs, monkeypatch
):
    folder = folder_of(archive_dir, "S2", real_pairs[0].s2_name)
    read_file = patch_sources.FolderSource.read_file

    def read(self, patch_name, file_name):
        if file_name.endswith(".json"):
            error = OSError(errno.EIO, "Input/output error")
            raise patch_sources.unreadable_file(file_name, error)
        return read_file(self, patch_name, file_name)

    monkeypatch.setattr(patch_sources.FolderSource, "read_file", read)
    fault = patch_files.from_folders([str(folder)], ("s2_10m",))
    assert isinstance(fault, patch_sources.UnreadableError)
