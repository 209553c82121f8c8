"""The command explains itself and its failures."""

import dataclasses
import os
import re
import subprocess
import sys

import pytest
from absl import flags

from ben_tf import bigearthnet
from ben_tf import config as config_lib
from ben_tf.config import config_flags
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


@pytest.mark.parametrize(
    "given",
    [
        ["--epochs=3", "--experiment=table2_vgg16"],
        ["--experiment", "table2_vgg16", "--epochs=3"],
        [
            "--experiment=table2_vgg19",
            "--experiment=table2_vgg16",
            "--epochs=3",
        ],
        ["--flagfile={file}", "--epochs=3"],
    ],
)
def test_flags_beside_an_experiment_count_more(given, tmp_path):
    file = tmp_path / "x.flags"
    file.write_text("--experiment=table2_vgg16\n--epochs=9\n")
    values = flags.FlagValues()
    config_flags.define_flags(values)
    flags.DEFINE_string("experiment", None, "", flag_values=values)
    flags.DEFINE_string("flagfile", "", "", flag_values=values)
    values(["train", *(word.format(file=file) for word in given)])
    expected = config_flags.from_experiment("table2_vgg16", epochs=3)
    assert config_flags.from_flags(values) == expected
    assert expected.model == "vgg16"


def test_an_experiment_brings_its_statistics():
    values = flags.FlagValues()
    config_flags.define_flags(values)
    flags.DEFINE_string("experiment", "v2_resnet50", "", flag_values=values)
    values(["train"])
    found = config_flags.from_flags(values)
    assert found == config_flags.from_experiment("v2_resnet50")
    assert found.statistics == bigearthnet.STATISTICS["v2"]


def test_an_unknown_experiment_is_refused_with_the_names_of_all():
    finished = in_process.run("ben_tf.train", "--experiment=table3")
    assert finished.returncode == 1
    assert "table2_resnet50" in finished.stderr + finished.stdout
    assert "Traceback" not in finished.stderr
