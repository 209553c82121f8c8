"""Opening folders and tarballs, where there is room for them."""

import dataclasses
import gzip
import shutil

import pytest

from ben_tf import errors
from ben_tf.archive import layout
from ben_tf.archive import open_archive
from ben_tf.archive import patch_sources
from ben_tf.archive import tarball


def tiny_tarballs(folder, suffix) -> dict:
    """Tarballs that end at once, by sensor."""
    content = bytes(1024)
    paths = {}
    for sensor in ("S1", "S2"):
        path = folder / f"BigEarthNet-{sensor}-v1.0{suffix}"
        is_compressed = suffix.endswith(".gz")
        path.write_bytes(gzip.compress(content) if is_compressed else content)
        paths[sensor] = path
    return paths


def test_each_sensor_may_be_a_folder_or_a_tarball(real_archive, tmp_path):
    tiny_tarballs(tmp_path, ".tar.gz")["S1"].unlink()
    (tmp_path / "BigEarthNet-S1-v1.0").symlink_to(
        real_archive / "BigEarthNet-S1-v1.0"
    )
    archive = open_archive.open_archive(
        tmp_path, scratch_dir=tmp_path / "scratch"
    )
    assert isinstance(archive["S1"], patch_sources.FolderSource)
    assert isinstance(archive["S2"], tarball.TarSource)
    assert len(archive["S1"].patch_names()) == 6
    assert archive["S2"].patch_names() == []


def test_folders_need_no_scratch_space(real_archive):
    assert set(open_archive.open_archive(real_archive).sources) == {"S1", "S2"}


def test_tarballs_need_scratch_space(tmp_path):
    tiny_tarballs(tmp_path, ".tar")
    with pytest.raises(ValueError, match="`scratch_dir`"):
        open_archive.open_archive(tmp_path)


def test_inflating_takes_twice_the_size_or_what_the_official_ones_take(
    tmp_path, monkeypatch
):
    paths = tiny_tarballs(tmp_path, ".tar.gz")
    sizes = {sensor: path.stat().st_size for sensor, path in paths.items()}
    lies = layout.V1
    inflated = open_archive.inflated_bytes(paths, lies)
    assert inflated == 2 * sum(sizes.values())
    monkeypatch.setitem(
        lies.sensors,
        "S1",
        dataclasses.replace(lies.sensors["S1"], largest_tar_bytes=3),
    )
    assert open_archive.inflated_bytes(paths, lies) == 3 + 2 * sizes["S2"]
    plain = tiny_tarballs(tmp_path, ".tar")
    assert open_archive.inflated_bytes(plain, lies) == 0


def test_too_little_disk_is_said_before_the_start(tmp_path, monkeypatch):
    tiny_tarballs(tmp_path, ".tar.gz")
    monkeypatch.setattr(
        open_archive.shutil,
        "disk_usage",
        lambda path: shutil._ntuple_diskusage(10, 9, 1),
    )
    with pytest.raises(
        errors.UserError, match=r"GB needed, 0\.0 GB free in .*scratch"
    ):
        open_archive.open_archive(tmp_path, scratch_dir=tmp_path / "scratch")
    assert not list((tmp_path / "scratch").iterdir())
