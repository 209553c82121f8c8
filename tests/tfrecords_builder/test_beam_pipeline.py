"""The same files from Beam, on this machine and on Dask, as without it."""

import os
import shutil
import tarfile

import pytest

from ben_tf import errors
from tests.ben_tf.cluster import dask_processes
from tfrecords_builder import dataset

TARBALLS = {
    "BigEarthNet-v1.0": "BigEarthNet-S2-v1.0",
    "BigEarthNet-S1-v1.0": "BigEarthNet-S1-v1.0",
}


def contents(data_dir) -> dict[str, bytes]:
    """What a dataset holds, but for when it was made."""
    return {
        str(path.relative_to(data_dir)): path.read_bytes()
        for path in data_dir.rglob("*")
        if path.is_file() and path.name != "dataset_info.json"
    }


def build_with_beam(archive_dir, data_dir, **kwargs):
    dataset.build(
        archive_dir=archive_dir,
        data_dir=data_dir,
        beam_runner="DirectRunner",
        beam_pipeline_options="direct_num_workers=1",
        **kwargs,
    )


def build_with_dask(dask, archive_dir, data_dir, **kwargs):
    dataset.build(
        archive_dir=archive_dir,
        data_dir=data_dir,
        beam_runner="DaskRunner",
        beam_pipeline_options=dask.options,
        **kwargs,
    )


@pytest.mark.slow
def test_files_equal_those_of_the_local_path(real_archive, tmp_path):
    dataset.build(archive_dir=real_archive, data_dir=tmp_path / "local")
    build_with_beam(real_archive, tmp_path / "beam")
    # No task or result files are left.
    assert contents(tmp_path / "beam") == contents(tmp_path / "local")


@pytest.mark.slow
def test_damage_is_named_or_skipped(archive_dir, tmp_path):
    next(archive_dir.glob("BigEarthNet-v1.0/*_87_48/*_B04.tif")).unlink()
    with pytest.raises(errors.UserError, match=r"_B04\.tif is missing") as e:
        build_with_beam(archive_dir, tmp_path / "data")
    assert "`on_error=skip`" in str(e.value)
    build_with_beam(archive_dir, tmp_path / "data", on_error="skip")
    (skipped,) = tmp_path.rglob("skipped.csv")
    assert "_B04.tif" in skipped.read_text()


@pytest.mark.slow
def test_beam_writes_array_records(real_archive, tmp_path):
    options = {"file_format": "array_record", "archive_dir": real_archive}
    dataset.build(data_dir=tmp_path / "local", num_workers=1, **options)
    build_with_beam(data_dir=tmp_path / "beam", **options)
    assert contents(tmp_path / "beam") == contents(tmp_path / "local")
    assert len(list(tmp_path.glob("beam/*/*/*/*.array_record-*"))) == 3


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_dask_writes_the_same_files(
    dask, data_dir, sample_archive_dir, tmp_path, monkeypatch, packed
):
    archive_dir = sample_archive_dir
    if packed:
        archive_dir = tmp_path / "packed"
        archive_dir.mkdir()
        for folder in sample_archive_dir.iterdir():
            if folder.is_dir():
                with tarfile.open(
                    archive_dir / f"{TARBALLS[folder.name]}.tar.gz", "w:gz"
                ) as tar:
                    tar.add(folder, folder.name)
            else:
                shutil.copy(folder, archive_dir)
    # Workers have another working directory.
    monkeypatch.chdir(tmp_path)
    build_with_dask(dask, os.path.relpath(archive_dir), "on_dask")
    assert contents(tmp_path / "on_dask") == contents(data_dir)


# A worker that runs it dies in the middle of the training shard, at the third
# record; with a file "once" only the first worker does. Dask runs it twice.
DEADLY = """
import os, pathlib, signal
from tfrecords_builder import record
serialize = getattr(record, "really", record.serialize)
record.really = serialize
folder = pathlib.Path({folder!r})
count = 0
def serialize_and_die(pair):
    global count
    count += pair.official.split == "train"
    if count == 3:
        try:
            if (folder / "once").exists():
                (folder / "died").touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return serialize(pair)
record.serialize = serialize_and_die
"""


@pytest.fixture
def deadly_dask(tmp_path):
    preload = tmp_path / "preload.py"
    preload.write_text(DEADLY.format(folder=str(tmp_path)))
    with dask_processes.started(tmp_path / "x", num_workers=0) as dask:
        dask.add_workers(2, f"--preload={preload}")
        yield dask


@pytest.mark.slow
def test_a_worker_is_killed_in_the_middle(
    deadly_dask, data_dir, sample_archive_dir, tmp_path
):
    (tmp_path / "once").touch()
    build_with_dask(deadly_dask, sample_archive_dir, tmp_path / "data")
    assert (tmp_path / "died").exists()
    dead = [each for each in deadly_dask.workers if each.poll() is not None]
    assert len(dead) == 1
    assert contents(tmp_path / "data") == contents(data_dir)


@pytest.mark.slow
def test_all_workers_are_killed_and_a_rerun_takes_over(
    deadly_dask,
    dask,
    data_dir,
    sample_archive_dir,
    tmp_path,
    monkeypatch,
    capsys,
):
    monkeypatch.setattr("ben_tf.cluster.dask_cluster._LOOK_S", 0.1)
    monkeypatch.setattr("ben_tf.cluster.dask_cluster._PATIENCE_S", 0.2)
    with pytest.raises(errors.UserError, match="are gone"):
        build_with_dask(deadly_dask, sample_archive_dir, tmp_path / "data")
    assert not list(tmp_path.glob("data/*/*/1.0.0"))
    assert "finished shards" in capsys.readouterr().err
    build_with_dask(dask, sample_archive_dir, tmp_path / "data")
    assert "were finished by an interrupted" in capsys.readouterr().err
    assert contents(tmp_path / "data") == contents(data_dir)
