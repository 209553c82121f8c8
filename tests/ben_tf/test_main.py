"""All commands by one name."""

import pytest

from tests import in_process


@pytest.mark.parametrize("arguments", [("--help",), ("help",), ("-h",)])
def test_the_commands_are_listed(arguments):
    finished = in_process.run("ben_tf", *arguments)
    assert finished.returncode == 0
    for command in ("build", "train", "evaluate", "retrieve"):
        assert f"\n  {command} " in finished.stdout


@pytest.mark.parametrize("arguments", [(), ("trian",), ("--workdir=x",)])
def test_another_command_is_refused(arguments):
    finished = in_process.run("ben_tf", *arguments)
    assert finished.returncode == 1
    assert finished.stderr.startswith("error: Expected a command, one of quick")


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        ("quickstart", "--verbose"),
        ("sample", "--num_pairs=N"),
        ("build", "--archive_dir=PATH"),
        ("verify", "--csv=PATH"),
        ("statistics", "--split="),
        ("train", "--workdir=PATH"),
        ("import", "--weights="),
        ("evaluate", "--workdir=PATH"),
        ("report", "--runs="),
        ("predict", "--input="),
        ("export", "--format=saved_model|onnx|tflite"),
    ],
)
def test_each_command_runs_its_module(command, flag):
    finished = in_process.run("ben_tf", command, "--help")
    assert finished.returncode == 0
    assert flag in finished.stdout


def test_commands_of_a_command():
    finished = in_process.run("ben_tf", "retrieve", "build", "--help")
    assert finished.returncode == 0
    assert "--distance=chi_square|euclidean|cosine" in finished.stdout


def test_errors_are_those_of_the_command():
    finished = in_process.run("ben_tf", "evaluate", "--workdir=absent")
    assert finished.returncode == 1
    assert "error:" in finished.stderr
    assert "Traceback" not in finished.stderr
