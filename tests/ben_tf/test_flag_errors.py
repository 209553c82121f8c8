"""Bad flags end with a sentence that says how to write them."""

import pytest

from tests import in_process


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--modle=x"], "Unknown flag --modle. Did you mean --model? --help"),
        (["--flagfil=x"], "Unknown flag --flagfil. Did you mean --flagfile?"),
        (["--zzz"], "Unknown flag --zzz. --help describes the flags."),
        (
            ["--epochs=abc"],
            "Invalid --epochs. Expected an integer. Received: 'abc'",
        ),
        (
            ["--num_classes=many"],
            "Invalid --num_classes. Expected one of 19, 43. Received: 'many'",
        ),
        (
            ["--dry_run=perhaps"],
            "Invalid --dry_run. Expected true or false. Received: 'perhaps'",
        ),
        (
            ["--experiment=table2_resnet5"],
            "Received: 'table2_resnet5'. Did you mean table2_resnet50?",
        ),
        (["--workdir"], "Missing value for flag --workdir. --help"),
        ([], "Expected --workdir=FOLDER, or --dry_run."),
        (["--workdir=w", "x: y"], "Unexpected arguments ['x: y']. Every"),
    ],
)
def test_of_training(arguments, expected):
    finished = in_process.run("ben_tf.train", *arguments)
    assert finished.returncode == 1
    assert finished.stderr.startswith("error: ")
    assert expected in finished.stderr
    assert finished.stderr.count("\n") == 1
    assert not finished.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["query"],
            "error: --index is required. --help describes the flags.\n",
        ),
        (
            ["query", "--index=x", "--k=0"],
            "error: Invalid --k. Expected a positive integer. Received: '0'\n",
        ),
        (
            ["evaluate", "--archive=x", "--queries=x", "--ks=1,a"],
            "error: Expected whole numbers, comma-separated.\n",
        ),
    ],
)
def test_of_retrieval(arguments, expected):
    finished = in_process.run("ben_tf.retrieval", *arguments)
    assert finished.returncode == 1
    assert finished.stderr == expected


@pytest.mark.parametrize("module", ["ben_tf", "ben_tf.retrieval"])
def test_a_command_that_is_none(module):
    finished = in_process.run(module, "quer")
    assert finished.returncode == 1
    close = module == "ben_tf.retrieval"
    assert ("Received: quer. Did you mean query?" in finished.stderr) == close
    finished = in_process.run(module)
    assert finished.stderr.endswith("Received: none.\n")
