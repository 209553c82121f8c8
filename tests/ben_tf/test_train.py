"""Training repeats, resumes, leaves what it promises, and explains failures."""

import csv
import dataclasses
import json
import os
import subprocess
import sys

import pytest

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import saved_model
from ben_tf import workdir as workdir_lib
from ben_tf.data import built_dataset
from ben_tf.training import checkpoints
from ben_tf.training import devices
from ben_tf.training import runs
from ben_tf.training import trainer
from tests import in_process


def _history(workdir) -> list[dict[str, str]]:
    with (workdir / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["seconds"]
    return rows


def test_the_workdir_holds_what_the_design_says(workdir, tiny_config):
    assert workdir_lib.Workdir(workdir).read_config() == tiny_config
    assert json.loads((workdir / "data.json").read_text())["synthetic"] is True
    assert (workdir / "saved_model" / "saved_model.pb").exists()
    assert list((workdir / "logs").rglob("events.*"))
    (row,) = _history(workdir)
    assert row["epoch"] == "1"
    assert {"loss", "val_loss", "val_macro_f1", checkpoints.MONITOR} <= set(row)
    assert saved_model.load(workdir / "saved_model").modality == "MM"


def test_same_seed_gives_the_same_numbers(workdir, tiny_config, tmp_path):
    trainer.train(tiny_config, tmp_path / "again")
    assert _history(tmp_path / "again") == _history(workdir)


def test_another_seed_gives_other_weights_and_another_order(tiny_config):
    first, other = (
        _make_run(dataclasses.replace(tiny_config, modality="S1", seed=seed))
        for seed in (0, 1)
    )
    assert first.training_patch_names(0, 0) != other.training_patch_names(0, 0)
    for ours, theirs in zip(
        first.model.trainable_variables,
        other.model.trainable_variables,
        strict=True,
    ):
        if "kernel" in ours.name:
            assert (ours.numpy() != theirs.numpy()).all()


def _make_run(config) -> runs.Run:
    runs.make_repeatable(config.seed)
    return runs.make_run(
        config,
        built_dataset.open_dataset(config.data_dir),
        devices.make_devices(config.strategy),
    )


def test_preprocessing_on_the_device_gives_the_same_loss(
    workdir, tiny_config, tmp_path
):
    config = dataclasses.replace(tiny_config, preprocessing="device")
    trainer.train(config, tmp_path)
    (ours,), (theirs,) = _history(tmp_path), _history(workdir)
    # Rounding differs between the host's program and the model's.
    assert float(ours["loss"]) == pytest.approx(float(theirs["loss"]), rel=1e-3)


def test_another_configuration_in_the_workdir(workdir, tiny_config):
    with pytest.raises(
        errors.UserError, match=r"`fusion` is 'early', was 'late'"
    ):
        trainer.train(dataclasses.replace(tiny_config, fusion="early"), workdir)


def test_split_smaller_than_a_batch(tiny_config, tmp_path):
    config = dataclasses.replace(tiny_config, batch_size=500)
    with pytest.raises(errors.UserError, match="fewer than one batch"):
        trainer.train(config, tmp_path)


def test_workdir_that_cannot_be_made(tiny_config, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.UserError, match="Cannot write"):
        trainer.train(tiny_config, tmp_path / "file" / "run")


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


def test_help_teaches_without_loading_tensorflow(tmp_path):
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ben_tf.train", "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert "tensorflow" not in process.stderr
    for field in dataclasses.fields(config_lib.Config):
        assert f"{field.name}:" in process.stdout


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
