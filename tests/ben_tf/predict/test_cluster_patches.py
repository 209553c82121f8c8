"""Predictions on Beam equal those of one process, row for row."""

import csv
import os
import shutil

import numpy as np
import pytest
from pyarrow import parquet

from ben_tf import errors
from ben_tf import saved_model
from ben_tf.archive import patch_files
from ben_tf.predict import cluster_patches
from ben_tf.predict import patches
from tests import in_process

SPLIT = "train[:20]+validation[season=Summer]+test+excluded"


@pytest.fixture(params=["DirectRunner", "DaskRunner"])
def beam(request) -> dict[str, str]:
    options = "direct_num_workers=1"
    if request.param == "DaskRunner":
        options = request.getfixturevalue("dask").options
    return {"beam_runner": request.param, "beam_pipeline_options": options}


def rows_of(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def assert_equal_rows(found, expected):
    """Floats may differ in their last bit, where batches are others."""
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            if name == "date":
                continue
            try:
                assert float(value) == pytest.approx(
                    float(other[name]), abs=1e-6
                )
            except ValueError:
                assert value == other[name]


@pytest.mark.slow
def test_archive(beam, sample_archive_dir, workdir, tmp_path, monkeypatch):
    # Workers have another working directory.
    monkeypatch.chdir(tmp_path)
    archive = shutil.copytree(sample_archive_dir, tmp_path / "archive")
    broken = next((archive / "BigEarthNet-v1.0").glob("*/*_B04.tif"))
    broken.write_bytes(broken.read_bytes()[:100])
    arguments = {
        "saved_model": os.path.relpath(workdir / "saved_model"),
        "input_paths": ["archive"],
        "batch_size": 5,
    }
    expected = patches.predict(output="local.csv", **arguments)
    found = patches.predict(output="beam.csv", **arguments, **beam)
    assert found.num_patches == expected.num_patches == 47
    assert found.faults == expected.faults
    assert_equal_rows(
        rows_of(tmp_path / "beam.csv"), rows_of(tmp_path / "local.csv")
    )
    assert not (tmp_path / "beam.csv.tasks").exists()


@pytest.mark.slow
def test_splits_in_the_order_of_one_process(beam, data_dir, workdir, tmp_path):
    arguments = {
        "saved_model": workdir / "saved_model",
        "data_dir": data_dir,
        "split": SPLIT,
        "batch_size": 4,
    }
    for name, options in (("local", {}), ("beam", beam)):
        patches.predict(
            output=tmp_path / f"{name}.parquet", **arguments, **options
        )
    found, expected = (
        parquet.read_table(tmp_path / f"{name}.parquet")
        for name in ("beam", "local")
    )
    assert found.column_names == expected.column_names
    for name in found.column_names:
        one, other = found.column(name), expected.column(name)
        assert one.type == other.type
        if str(one.type) == "float":
            np.testing.assert_allclose(one, other, atol=1e-6)
        else:
            assert one.equals(other)


@pytest.mark.slow
def test_a_killed_job_is_resumed(
    data_dir, workdir, tmp_path, monkeypatch, dask
):
    """Finished tasks are taken over, unless something else is asked for."""
    arguments = {
        "saved_model": workdir / "saved_model",
        "data_dir": data_dir,
        "split": "validation+test",
        "output": tmp_path / "x.csv",
        "beam_runner": "DaskRunner",
        "beam_pipeline_options": dask.options,
    }

    tasks = tmp_path / "x.csv.tasks"

    def stop_at_the_end() -> dict[str, int]:
        """Name of each result -> when it was written."""
        with monkeypatch.context() as patch:
            patch.setattr(cluster_patches, "_in_order", stop_after_a_batch)
            with pytest.raises(KeyboardInterrupt):
                patches.predict(**arguments)
        return {
            path.name: path.stat().st_mtime_ns
            for path in tasks.glob("*.result.*")
        }

    before = stop_at_the_end()
    assert len(before) == 2
    (tasks / "000001.result.json").unlink()
    after = stop_at_the_end()
    assert after["000000.result.json"] == before["000000.result.json"]
    assert after["000001.result.json"] > before["000001.result.json"]
    patches.predict(**arguments)
    assert not tasks.exists()
    num_rows = len(rows_of(tmp_path / "x.csv"))
    # Of another job no result fits.
    stop_at_the_end()
    patches.predict(**(arguments | {"split": "test"}))
    assert 0 < len(rows_of(tmp_path / "x.csv")) < num_rows
    assert not tasks.exists()


def stop_after_a_batch(parts, places, batch_size):
    next(parts)
    raise KeyboardInterrupt
    yield


def test_a_model_that_was_replaced(workdir, tmp_path):
    path = str(workdir / "saved_model")
    with pytest.raises(errors.UserError, match="replaced meanwhile"):
        saved_model.load_once(path, "0123")
    model = saved_model.load(path)
    found = saved_model.load_once(path, model.fingerprint)
    assert saved_model.load_once(path, model.fingerprint) is found


def test_tarballs_are_refused(tmp_path):
    (tmp_path / "BigEarthNet-S2-v1.0.tar").touch()
    with pytest.raises(errors.UserError, match=r"is a tarball.*Extract it"):
        patch_files.names_in_folders(tmp_path, ("s2_10m",))


def test_what_is_not_many_patches_is_refused(workdir, real_archive, tmp_path):
    arguments = [
        f"--saved_model={workdir / 'saved_model'}",
        f"--output={tmp_path / 'x.tif'}",
        "--beam_runner=DirectRunner",
    ]
    finished = in_process.run("ben_tf.predict", *arguments, "--image=scene.tif")
    assert finished.returncode == 1
    assert "A scene is predicted by one process" in finished.stderr
    (folder, *_) = (real_archive / "BigEarthNet-v1.0").iterdir()
    with pytest.raises(errors.UserError, match="A cluster is for many patches"):
        patches.predict(
            saved_model=workdir / "saved_model",
            input_paths=[str(folder)],
            output=tmp_path / "x.csv",
            beam_runner="DirectRunner",
        )
