"""The command explains itself and its failures."""

import dataclasses
import os
import re
import subprocess
import sys

import pytest

from ben_tf import config as config_lib
from tests import in_process


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--workdir=w", "--model=resnet18"], "one of small_cnn"),
        (["--workdir=w", "--data_dir=nowhere"], "No dataset found"),
        (["--workdir=w", "stray"], "Unexpected arguments"),
        ([], "--workdir"),
    ],
)
def test_bad_flags_end_with_one_sentence(arguments, expected, tmp_path):
    process = in_process.run("ben_tf.train", *arguments, cwd=tmp_path)
    assert process.returncode == 1
    assert expected in process.stderr
    assert "Traceback" not in process.stderr
    assert process.stdout.count("\n") < 60


@pytest.mark.slow
def test_help_teaches_without_loading_tensorflow(tmp_path):
    process = subprocess.run(
        [
            sys.executable,
            "-X",
            "importtime",
            "-m",
            "ben_tf.train",
            "--helpfull",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert "tensorflow" not in process.stderr
    for field in dataclasses.fields(config_lib.Config):
        assert re.search(rf"--(\[no\])?{field.name}[=\n]", process.stdout)


@pytest.mark.slow
def test_the_console_shows_only_our_words(tiny_config, tmp_path):
    """A process of its own: most of the others' words are of C++."""
    process = subprocess.run(
        [
            *(sys.executable, "-m", "ben_tf.train"),
            f"--data_dir={tiny_config.data_dir}",
            f"--workdir={tmp_path / 'run'}",
            "--model=small_cnn",
            "--modality=S1",
            "--batch_size=8",
            "--epochs=1",
            "--train_split=train[:8]",
        ],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    bars = [
        line
        for line in process.stderr.replace("\r", "\n").splitlines()
        if line.strip()
    ]
    assert all(line.startswith("epoch 1/1") for line in bars), bars
    assert len(process.stdout.splitlines()) == 3
