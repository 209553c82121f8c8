"""The command: records and a summary, or an error in one sentence."""

import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def run(*args: str, cwd) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "tfrecords_builder.build", *args],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )


def test_builds_and_counts_what_was_skipped(archive_dir, tmp_path):
    # The only pair of the test split.
    next(archive_dir.glob("BigEarthNet-v1.0/*_87_48/*_B04.tif")).unlink()
    result = run(
        f"--archive_dir={archive_dir}",
        "--data_dir=data",
        "--on_error=skip",
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[:2] == ["excluded: 1 pairs", "train: 4 pairs"]
    assert lines[2].startswith("skipped: 1, listed in ")
    assert lines[3].endswith("bigearthnet_mm/v1/1.0.0")
    assert "6/6" in result.stderr  # The progress bar.


def test_builds_a_part(real_archive, tmp_path):
    (tmp_path / "names.txt").write_text("S2A_MSIL2A_20170613T101031_87_48\n")
    result = run(
        f"--archive_dir={real_archive}",
        "--data_dir=data",
        "--countries=Austria,Belgium",
        "--patches=names.txt",
        "--max_pairs=10",
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[:2] == [
        "A part of BigEarthNet: countries Austria, Belgium; patches by name, "
        "1; at most 10 pairs",
        "test: 1 pairs",
    ]


def test_an_error_is_a_sentence_that_names_the_flag(tmp_path):
    result = run("--archive_dir=absent", "--data_dir=data", cwd=tmp_path)
    assert result.returncode == 1
    error = result.stderr.splitlines()[-1]
    assert error.startswith("error: There is no archive folder 'absent'.")
    assert error.endswith("Check --archive_dir.")
    assert "Traceback" not in result.stderr


def test_help_answers_without_tfds(tmp_path):
    result = subprocess.run(
        [
            *(sys.executable, "-X", "importtime", "-m"),
            *("tfrecords_builder.build", "--help"),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "--archive_dir" in result.stdout
    assert "--max_pairs" in result.stdout
    assert "tfrecords_builder" in result.stderr
    assert "tensorflow_datasets" not in result.stderr
