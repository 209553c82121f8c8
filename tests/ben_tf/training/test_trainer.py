"""Training repeats, leaves what it promises, and explains failures."""

import contextvars
import dataclasses
import json
import shutil
import struct

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import errors
from ben_tf import folder_lock
from ben_tf import saved_model
from ben_tf import workdir as workdir_lib
from ben_tf.data import built_dataset
from ben_tf.training import callbacks
from ben_tf.training import checkpoints
from ben_tf.training import devices
from ben_tf.training import fitting
from ben_tf.training import runs
from ben_tf.training import trainer
from tests.ben_tf import history

pytestmark = pytest.mark.slow


def test_the_workdir_holds_what_the_design_says(workdir, tiny_config):
    assert workdir_lib.Workdir(workdir).read_config() == tiny_config
    assert json.loads((workdir / "data.json").read_text())["synthetic"] is True
    assert (workdir / "saved_model" / "saved_model.pb").exists()
    assert (workdir / "saved_model" / "README.md").exists()
    assert list((workdir / "logs").rglob("events.*"))
    (row,) = history.read(workdir)
    assert row["epoch"] == "1"
    assert {"loss", "val_loss", "val_macro_f1", workdir_lib.MONITOR} <= set(row)
    assert saved_model.load(workdir / "saved_model").modality == "MM"


def test_a_run_on_a_part_says_which(tiny_config, tmp_path):
    split = "train[country!=Finland & season!=Winter]"
    config = dataclasses.replace(
        tiny_config,
        train_split=split,
        validation_split="validation[country!=Finland]",
        modality="S1",
    )
    trainer.train(config, tmp_path / "run")
    assert workdir_lib.Workdir(tmp_path / "run").read_data().part == split
    assert saved_model.load(tmp_path / "run" / "saved_model").modality == "S1"


def test_same_seed_gives_the_same_numbers(workdir, tiny_config, tmp_path):
    trainer.train(tiny_config, tmp_path / "again")
    assert history.read(tmp_path / "again") == history.read(workdir)


def test_a_record_of_nan_stops_the_run_by_name(tiny_config, tmp_path):
    """The last good checkpoint stays, and nothing is exported."""
    copy = shutil.copytree(tiny_config.data_dir, tmp_path / "data")
    config = dataclasses.replace(
        tiny_config,
        data_dir=str(copy),
        modality="S1",
        checkpoint_every_steps=1,
        shuffle_buffer=1,
        jit_compile="off",
    )
    # In the second of two steps.
    name = _make_run(config).training_patch_names(0, 1)[3]
    for path in copy.rglob("*-train.tfrecord-*"):
        serialized = list(
            tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        )
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in serialized:
                example = tf.train.Example.FromString(record)
                values = example.features.feature
                if values["patch_name"].bytes_list.value[0] == name.encode():
                    pixels = np.frombuffer(
                        values["s1"].bytes_list.value[0], np.float32
                    ).copy()
                    pixels[7207] = -np.inf
                    values["s1"].bytes_list.value[0] = pixels.tobytes()
                writer.write(example.SerializeToString())
    workdir = workdir_lib.Workdir(tmp_path / "run")
    with pytest.raises(errors.UserError, match=f"{name} holds NaN or infinite"):
        trainer.train(config, workdir.path)
    assert checkpoints.has_state(workdir)
    assert not workdir.saved_model.exists()


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
    (ours,), (theirs,) = history.read(tmp_path), history.read(workdir)
    # Rounding differs between the host's program and the model's.
    assert float(ours["loss"]) == pytest.approx(float(theirs["loss"]), rel=1e-3)


def test_another_configuration_in_the_workdir(workdir, tiny_config):
    with pytest.raises(
        errors.UserError, match=r"`fusion` is 'early', was 'late'"
    ):
        trainer.train(dataclasses.replace(tiny_config, fusion="early"), workdir)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"batch_size": 1000}, "batch_size"),
        ({"train_split": "training"}, "training"),
        (
            {
                "model": "resnet50",
                "initial_weights": "imagenet",
                "imagenet_weights": "nowhere.ckpt",
            },
            "nowhere",
        ),
        ({"initial_workdir": "nowhere"}, "nowhere is not the workdir"),
        ({"loss": "class_weighted", "validation_split": "tset"}, "tset"),
    ],
)
def test_a_failed_first_try_leaves_the_folder_free(
    tiny_config, tmp_path, monkeypatch, changes, expected
):
    monkeypatch.chdir(tmp_path)
    wrong = dataclasses.replace(tiny_config, **changes)
    with pytest.raises(errors.UserError, match=expected):
        trainer.train(wrong, tmp_path / "run")
    with pytest.raises(errors.UserError, match="is not the workdir of"):
        workdir_lib.Workdir(tmp_path / "run").read_config()


def test_without_memory_the_folder_stays_free(
    tiny_config, tmp_path, monkeypatch
):
    """It is found missing in the first step, after config.json was written."""

    def fit(*args):
        raise MemoryError

    wrong = dataclasses.replace(tiny_config, modality="S2", loss="focal")
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "fit", fit)
        with pytest.raises(MemoryError):
            trainer.train(wrong, tmp_path / "run")
    trainer.train(tiny_config, tmp_path / "run")
    assert workdir_lib.Workdir(tmp_path / "run").read_config() == tiny_config


def test_callbacks_of_others_are_called(tiny_config, tmp_path):
    seen = []
    trainer.train(
        tiny_config,
        tmp_path / "run",
        callbacks=[
            tf.keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: seen.append((epoch, logs))
            )
        ],
    )
    ((epoch, logs),) = seen
    (row,) = history.read(tmp_path / "run")
    assert epoch == 0
    assert logs["val_loss"] == float(row["val_loss"])


def test_split_smaller_than_a_batch(tiny_config, tmp_path):
    config = dataclasses.replace(tiny_config, batch_size=500)
    with pytest.raises(errors.UserError, match="fewer than one batch"):
        trainer.train(config, tmp_path)


def test_workdir_that_cannot_be_made(tiny_config, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match=f"{tmp_path}/file"):
        trainer.train(tiny_config, tmp_path / "file" / "run")


def test_two_do_not_train_in_one_workdir(tiny_config, tmp_path):
    with (
        folder_lock.alone_in(tmp_path, message="the first"),
        pytest.raises(errors.UserError, match=f"trains in {tmp_path}"),
    ):
        contextvars.Context().run(trainer.train, tiny_config, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_run_goes_on_from_the_checkpoint_before(
    tiny_config, tmp_path, capsys
):
    """And ends with the same weights, history and best epoch."""
    config = dataclasses.replace(tiny_config, epochs=2)
    whole, damaged = tmp_path / "whole", tmp_path / "damaged"
    trainer.train(config, whole)
    shutil.copytree(whole, damaged)
    last = damaged / "checkpoints" / "last"
    (last / "ckpt-2.index").write_bytes(b"damaged")
    (last / "checkpoint").write_bytes(b"\xff damaged, too")
    (last / "ckpt-3_temp").mkdir()
    capsys.readouterr()
    trainer.train(config, damaged)
    captured = capsys.readouterr()
    assert f"Going on from {last}/ckpt-1." in captured.err
    assert "resuming after step 2" in captured.out
    assert saved_model.load(damaged / "saved_model").fingerprint == (
        saved_model.load(whole / "saved_model").fingerprint
    )
    lines = [
        (folder / "history.csv").read_text().splitlines()
        for folder in (whole, damaged)
    ]
    assert len(lines[0]) == len(lines[1]) == 3
    assert not list(last.glob("*_temp"))


@pytest.mark.parametrize("every_steps", [0, 1])
def test_a_dataset_that_is_replaced_is_not_trained_across(
    tiny_config, data_dir, tmp_path, monkeypatch, every_steps
):
    copy, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(data_dir, copy)
    config = dataclasses.replace(
        tiny_config, data_dir=str(copy), checkpoint_every_steps=every_steps
    )

    def replace_once(*_):
        if not (tmp_path / "old").exists():
            copy.rename(tmp_path / "old")
            shutil.copytree(tmp_path / "old", copy)

    with monkeypatch.context() as patches:
        patches.setattr(callbacks.NotFinite, "on_train_batch_end", replace_once)
        with pytest.raises(errors.UserError, match="was changed while it was"):
            trainer.train(config, run)
    assert not list((run / "checkpoints").glob("*/*"))
    # The new one holds the same records, so that the run may go on.
    trainer.train(config, run)
    assert len(history.read(run)) == 1


def test_other_records_are_refused_and_nothing_of_the_run_is_changed(
    workdir, tiny_config, data_dir, tmp_path
):
    run, other = tmp_path / "run", tmp_path / "other"
    shutil.copytree(workdir, run)
    shutil.copytree(data_dir, other)
    (shard, *_) = other.rglob("*-train.tfrecord-*")
    content = bytearray(shard.read_bytes())
    (length,) = struct.unpack_from("<Q", content)
    # The checksum of the first record.
    content[12 + length] ^= 1
    shard.write_bytes(content)
    before = {path: path.read_bytes() for path in run.glob("*.*")}
    config = dataclasses.replace(tiny_config, data_dir=str(other))
    with pytest.raises(errors.UserError, match="on other records than those"):
        trainer.train(config, run)
    assert {path: path.read_bytes() for path in run.glob("*.*")} == before | {
        run / ".lock": b""
    }
