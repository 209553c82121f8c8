"""The command: its exit code says whether all is well."""

import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]


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
    assert ("archive_faults.csv" in last_line) == damaged
    assert "Traceback" not in result.stderr
