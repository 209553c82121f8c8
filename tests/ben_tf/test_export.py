"""The command exports a run in every format, and says what it measured."""

import re
import shutil
import sys

import pytest

from ben_tf import saved_model
from tests import in_process


@pytest.fixture
def run_folder(workdir, tmp_path):
    """A copy of a run, without its export."""
    return shutil.copytree(
        workdir,
        tmp_path / "run",
        ignore=shutil.ignore_patterns("saved_model", "logs"),
    )


def _export(run_folder, *arguments) -> in_process.Finished:
    return in_process.run(
        "ben_tf.export", f"--workdir={run_folder}", *arguments
    )


@pytest.mark.slow
def test_the_saved_model_is_that_of_the_training(run_folder, workdir):
    finished = _export(run_folder)
    assert finished.returncode == 0, finished.stderr
    folder = run_folder / "saved_model"
    assert finished.stdout == f"Exported the best model to {folder}\n"
    exported = saved_model.load(folder).description
    assert exported == saved_model.load(workdir / "saved_model").description
    # The run's data are synthetic.
    assert "Trained on SYNTHETIC" in (folder / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("model_format", ["onnx", "tflite"])
def test_a_conversion_says_how_far_it_is_from_the_model(
    run_folder, tmp_path, model_format
):
    finished = _export(
        run_folder, f"--format={model_format}", f"--output={tmp_path / 'x'}"
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    first, second = finished.stdout.splitlines()
    assert first == f"Exported the best model to {tmp_path / 'x'}"
    (number,) = re.fullmatch(
        "Largest difference from the SavedModel on random patches: (.+)", second
    ).groups()
    assert float(number) < 1e-5
    assert (tmp_path / "x" / f"model.{model_format}").is_file()
    # Nothing but what was asked for.
    assert not (run_folder / "saved_model").exists()


@pytest.mark.slow
def test_the_folder_for_a_server_is_named_after_it(run_folder):
    finished = _export(run_folder, "--serving=tensorflow_serving")
    assert finished.returncode == 0, finished.stderr
    folder = run_folder / "tensorflow_serving"
    assert (folder / "small_cnn" / "1" / "saved_model.pb").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--serving=triton", "--format=tflite"),
            "--serving=triton does not run --format=tflite.",
        ),
        (("--format=keras",), "Expected one of saved_model"),
        (("--output={run}/config.json",), "Choose another --output."),
    ],
)
def test_faults_are_found_before_anything_is_computed(
    run_folder, arguments, message, monkeypatch
):
    from ben_tf.training import exports

    monkeypatch.setattr(
        exports, "export_best", lambda *_: pytest.fail("it began")
    )
    finished = _export(
        run_folder, *(x.format(run=run_folder) for x in arguments)
    )
    assert finished.returncode == 1
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr


def test_the_missing_extra_is_named(run_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    finished = _export(run_folder, "--format=onnx")
    assert finished.returncode == 1
    assert "--format=onnx needs packages of the extra [export]" in (
        finished.stderr
    )


def test_no_run(tmp_path):
    finished = _export(tmp_path)
    assert finished.returncode == 1
    assert "is not the workdir of a training run" in finished.stderr
