"""history.csv of a run that goes on."""

import csv

import pytest
import tensorflow as tf

from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.training import callbacks


def _add_epoch(workdir, *, num_epochs_done, **logs):
    history = callbacks.History(workdir, num_epochs_done=num_epochs_done)
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    model.compile(tf.keras.optimizers.SGD(0.5))
    history.set_model(model)
    history.on_epoch_begin(num_epochs_done, {})
    history.on_epoch_end(num_epochs_done, logs)
    with workdir.history_file.open(newline="") as file:
        return [
            {name: row[name] for name in ("epoch", *logs)}
            for row in csv.DictReader(file)
        ]


def test_rows_of_epochs_that_are_done_are_kept(tmp_path):
    workdir = workdir_lib.Workdir(tmp_path)
    # Its second epoch is not done: it comes again.
    workdir.history_file.write_text("epoch,loss\n1,0.7\n2,0.6\n")
    rows = _add_epoch(workdir, num_epochs_done=1, loss=0.25)
    assert rows == [
        {"epoch": "1", "loss": "0.7"},
        {"epoch": "2", "loss": "0.25"},
    ]


def test_a_version_that_knew_other_metrics_goes_on(tmp_path):
    workdir = workdir_lib.Workdir(tmp_path)
    workdir.history_file.write_text("epoch,loss,old\n1,0.7,0.1\n")
    rows = _add_epoch(workdir, num_epochs_done=1, loss=0.25, new=0.5)
    assert rows == [
        {"epoch": "1", "loss": "0.7", "new": ""},
        {"epoch": "2", "loss": "0.25", "new": "0.5"},
    ]
    assert workdir.read_history()[0]["old"] == "0.1"


def test_damage_is_named_and_kept(tmp_path):
    workdir = workdir_lib.Workdir(tmp_path)
    workdir.history_file.write_text("epoch,loss\n1\n")
    with pytest.raises(errors.UserError, match=r"history\.csv cannot be read"):
        _add_epoch(workdir, num_epochs_done=1, loss=0.25)
    assert workdir.history_file.read_text() == "epoch,loss\n1\n"
