"""TensorBoard's own reader finds each chart once."""

import csv

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from ben_tf import workdir as workdir_lib
from ben_tf.training import tensorboard


def _read(folder):
    reader = event_accumulator.EventAccumulator(str(folder))
    reader.Reload()
    return reader


def _points(reader, tag):
    return (
        {event.step: event.value for event in reader.Scalars(tag)}
        if (tag in reader.Tags()["scalars"])
        else {
            event.step: tf.make_ndarray(event.tensor_proto).item()
            for event in reader.Tensors(tag)
        }
    )


def test_charts_of_a_run_are_those_of_its_history(workdir):
    folder = workdir / "logs"
    with open(workdir / "history.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    for name, prefix in (("train", ""), ("validation", "val_")):
        reader = _read(folder / name)
        for metric in ("loss", "macro_f1", "macro_average_precision"):
            points = _points(reader, f"epoch/{metric}")
            assert points == {
                1: pytest.approx(float(row[prefix + metric]), rel=1e-6)
            }
    # Nothing of Keras' own beside them.
    assert sorted(x.name for x in folder.iterdir()) == ["train", "validation"]
    tags = _read(folder / "train").Tags()["tensors"]
    assert not [tag for tag in tags if tag.startswith(("epoch_", "batch_"))]
    assert "configuration" in " ".join(tags)


def test_steps_go_on_where_a_run_resumes(tiny_config, tmp_path):
    workdir = workdir_lib.Workdir(tmp_path)
    writer = tensorboard.TensorBoard(
        workdir, tiny_config, steps_per_epoch=50, first_step=30
    )
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    model.compile(tf.keras.optimizers.Adam(0.25))
    writer.set_model(model)
    writer.on_train_begin()
    for epoch, num_steps in ((2, 20), (3, 50)):
        writer.on_epoch_begin(epoch)
        for step in range(num_steps):
            writer.on_train_batch_end(step, {"loss": epoch + step / 100})
        writer.on_epoch_end(epoch, {"loss": 1.0, "val_loss": 2.0})
    writer.on_train_end()
    reader = _read(tmp_path / "logs" / "train")
    points = _points(reader, "step/loss")
    # Steps of the whole run, from 1: epoch 2 begins after 100.
    assert list(points) == [140, 160, 180, 200]
    np.testing.assert_allclose(
        list(points.values()), [2.09, 3.09, 3.29, 3.49], rtol=1e-6
    )
    assert set(_points(reader, "step/learning_rate").values()) == {0.25}
    assert list(_points(reader, "epoch/loss")) == [3, 4]
    shown = _read(tmp_path / "logs" / "validation")
    assert list(_points(shown, "epoch/loss")) == [3, 4]


def test_hyperparameters_are_those_of_the_run(tiny_config, tmp_path):
    writer = tensorboard.TensorBoard(
        workdir_lib.Workdir(tmp_path),
        tiny_config,
        steps_per_epoch=1,
        first_step=0,
    )
    writer.on_train_begin()
    writer.on_train_end()
    reader = _read(tmp_path / "logs" / "train")
    (metadata,) = [
        value
        for tag, value in (
            (tag, reader.SummaryMetadata(tag))
            for tag in reader.Tags()["tensors"]
        )
        if value.plugin_data.plugin_name == "hparams"
    ]
    content = metadata.plugin_data.content
    assert b"small_cnn" in content
    assert b"learning_rate" in content
