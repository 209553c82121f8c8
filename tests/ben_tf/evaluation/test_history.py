"""history.csv as training writes it, and damaged."""

import math

import pytest

from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import history


def _read(tmp_path, text):
    workdir = workdir_lib.Workdir(tmp_path)
    workdir.history_file.write_text(text)
    return history.History.read(workdir)


def test_curves_have_a_value_for_each_epoch(tmp_path):
    read = _read(tmp_path, "epoch,loss,val_loss\n1,0.5,\n2,0.25,0.75\n")
    assert read.epochs == [1, 2]
    assert read.curves["loss"] == [0.5, 0.25]
    assert math.isnan(read.curves["val_loss"][0])
    assert read.curves["val_loss"][1] == 0.75


def test_a_run_without_an_epoch(tmp_path):
    assert history.History.read(workdir_lib.Workdir(tmp_path)) is None
    assert _read(tmp_path, "epoch,loss\n") is None


@pytest.mark.parametrize(
    "text",
    ["epoch,loss\n1,much\n", "loss\n1\n", 'epoch\n"1\n'],
)
def test_damage_is_named(tmp_path, text):
    with pytest.raises(errors.UserError, match=r"history\.csv cannot be read"):
        _read(tmp_path, text)


@pytest.mark.parametrize(
    ("scores", "epoch"),
    [
        ([0.5, 0.7, 0.7, 0.6], 2),
        ([float("nan"), 0.1, float("nan")], 2),
        ([float("nan")] * 3, 1),
    ],
)
def test_the_best_epoch_is_the_first_of_the_best(scores, epoch):
    learned = history.History(
        range(1, len(scores) + 1), {workdir_lib.MONITOR: scores}
    )
    assert learned.best_epoch == epoch


@pytest.mark.parametrize(
    ("scores", "best"), [("0.5 0.75", 0.75), ("nan nan", None), ("", None)]
)
def test_the_best_score_is_that_of_the_best_epoch(tmp_path, scores, best):
    rows = [f"{n},{x}" for n, x in enumerate(scores.split(), start=1)]
    head = f"epoch,{workdir_lib.MONITOR}"
    if not scores:
        head, rows = "epoch,loss", ["1,0.5"]
    read = _read(tmp_path, "\n".join([head, *rows]))
    assert read.best_score == best
