"""The same files from Apache Beam's DirectRunner as from this machine."""

import os
import sys

import pytest

from ben_tf import errors
from tfrecords_builder import dataset


def shards(data_dir) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in data_dir.rglob("*.tfrecord-*")}


def build_with_beam(archive_dir, data_dir, **kwargs):
    dataset.build(
        archive_dir=archive_dir,
        data_dir=data_dir,
        beam_runner="DirectRunner",
        beam_pipeline_options="direct_num_workers=1",
        **kwargs,
    )


@pytest.mark.slow
def test_files_equal_those_of_the_local_path(real_archive, tmp_path):
    dataset.build(archive_dir=real_archive, data_dir=tmp_path / "local")
    build_with_beam(real_archive, tmp_path / "beam")
    local, beam = shards(tmp_path / "local"), shards(tmp_path / "beam")
    assert len(local) == 3
    assert beam == local
    tables = [p.read_bytes() for p in tmp_path.rglob("patches.parquet")]
    assert tables[0] == tables[1]
    # No task or result files are left.
    (folder,) = tmp_path.glob("beam/bigearthnet_mm/v1/1.0.0")
    (expected,) = tmp_path.glob("local/bigearthnet_mm/v1/1.0.0")
    assert sorted(os.listdir(folder)) == sorted(os.listdir(expected))


@pytest.mark.slow
def test_damage_is_named_or_skipped(archive_dir, tmp_path):
    next(archive_dir.glob("BigEarthNet-v1.0/*_87_48/*_B04.tif")).unlink()
    with pytest.raises(errors.UserError, match=r"_B04\.tif is missing"):
        build_with_beam(archive_dir, tmp_path / "data")
    build_with_beam(archive_dir, tmp_path / "data", on_error="skip")
    (skipped,) = tmp_path.rglob("skipped.csv")
    assert "_B04.tif" in skipped.read_text()


@pytest.mark.slow
def test_beam_writes_array_records(real_archive, tmp_path):
    options = {"file_format": "array_record", "archive_dir": real_archive}
    dataset.build(data_dir=tmp_path / "local", num_workers=1, **options)
    build_with_beam(data_dir=tmp_path / "beam", **options)
    written = {
        path.relative_to(tmp_path / "local"): path.read_bytes()
        for path in tmp_path.glob("local/*/*/*/*.array_record-*")
    }
    assert len(written) == 3
    for path, content in written.items():
        assert (tmp_path / "beam" / path).read_bytes() == content


def test_without_beam_the_error_says_how_to_install(
    real_archive, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(errors.UserError, match="pip install"):
        build_with_beam(real_archive, tmp_path)
