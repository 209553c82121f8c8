"""The command: its exit code says whether all is well."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests import in_process

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("damaged", [False, True])
def test_the_exit_code_says_whether_all_is_well(archive_dir, tmp_path, damaged):
    if damaged:
        next(archive_dir.glob("BigEarthNet-v1.0/*/*_B02.tif")).unlink()
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "tfrecords_builder.verify",
            f"--archive_dir={archive_dir}",
            "--partial",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == int(damaged)
    last_line = result.stdout.splitlines()[-1]
    assert (last_line.endswith("_B02.tif is missing.")) == damaged
    assert (last_line == "All is well.") != damaged
    # No list that was not asked for.
    assert not list(tmp_path.glob("*.csv"))
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("damaged", [False, True])
def test_records_are_checked_as_well(data_dir, tmp_path, damaged):
    copy = shutil.copytree(data_dir, tmp_path / "data")
    if damaged:
        os.truncate(next(copy.rglob("*test.tfrecord*")), 1000)
    finished = in_process.run(
        "tfrecords_builder.verify",
        *(f"--data_dir={copy}", "--num_workers=1"),
        cwd=tmp_path,
    )
    assert finished.returncode == int(damaged)
    lines = finished.stdout.splitlines()
    assert ("broken: 1" in lines) == damaged
    assert (lines[-1] == "All is well.") != damaged
    assert "checking" in finished.stderr


def test_scratch_space_for_records_is_not_ignored(tmp_path):
    finished = in_process.run(
        "tfrecords_builder.verify", "--data_dir=x", f"--scratch_dir={tmp_path}"
    )
    assert finished.returncode == 1
    assert "Expected --scratch_dir with --archive_dir only" in finished.stderr


@pytest.mark.parametrize("names", [[], ["archive_dir", "data_dir"]])
def test_an_archive_or_records(names, tmp_path):
    finished = in_process.run(
        "tfrecords_builder.verify", *(f"--{name}=x" for name in names)
    )
    assert finished.returncode == 1
    assert "Expected either --archive_dir" in finished.stderr
    assert "--data_dir" in finished.stderr
