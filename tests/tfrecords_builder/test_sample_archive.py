"""The command: an archive that `verify` finds whole."""

import os
import pathlib
import subprocess
import sys

import pytest

from ben_tf.archive import layout
from tfrecords_builder import verification

pytestmark = pytest.mark.slow


def test_command_line(tmp_path):
    result = subprocess.run(
        [
            *(sys.executable, "-m", "tfrecords_builder.sample_archive"),
            *("--output_dir=sample", "--num_pairs=8", "--seed=1"),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "Wrote 8 pairs to sample\n"
    report = verification.verify(
        tmp_path / "sample", csv_path=tmp_path / "faults.csv", partial=True
    )
    assert report.is_well
    assert report.num_pairs == 8
    assert layout.is_synthetic(tmp_path / "sample")
