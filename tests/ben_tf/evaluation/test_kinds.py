"""Scores of different kinds never stand in one table."""

import pytest

from ben_tf import bigearthnet
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import kinds
from ben_tf.evaluation import published
from ben_tf.evaluation import results
from tests.ben_tf.evaluation import made_runs


def _kind(num_classes=19, version="v1", part="", synthetic=False):
    return kinds.Kind(
        tuple(bigearthnet.CLASSES[num_classes]), version, part, synthetic
    )


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (_kind(43), "averages over other classes"),
        (_kind(version="v2"), "differ in splits and labels"),
        (_kind(part="countries Finland"), "hold other patches"),
        (_kind(synthetic=True), "say nothing about real ones"),
    ],
)
def test_what_differs_is_the_reason(other, reason):
    (found,) = kinds.reasons([_kind(), other])
    assert reason in found
    assert kinds.reasons([other]) == []
    groups = kinds.grouped(
        {"a": 1, "b": 2, "c": 3}, {"a": other, "b": _kind(), "c": other}
    )
    assert groups == {other: {"a": 1, "c": 3}, _kind(): {"b": 2}}


def test_a_kind_is_described():
    assert str(_kind()) == "19 classes, v1"
    assert (
        str(_kind(43, "v2", "seasons Summer", synthetic=True))
        == "43 classes, v2, a part: seasons Summer, synthetic data"
    )


def test_training_and_evaluation_agree(tmp_path):
    for number, fields in enumerate(
        [
            {"num_classes": 43},
            {"dataset": made_runs.V2, "synthetic": False},
            {"part": "countries Finland"},
        ]
    ):
        run = made_runs.write(tmp_path / str(number), **fields)
        assert kinds.of_evaluation(
            results.Evaluation.read(run, "test")
        ) == kinds.of_training(run.read_config().num_classes, run.read_data())


def test_published_scores_have_a_kind():
    assert kinds.of_published(published.SOURCES["paper"]) == _kind()
    assert kinds.of_published(published.SOURCES["v2"]) == _kind(version="v2")
    real = workdir_lib.DataDescription(made_runs.V1, False, {"train": 1})
    assert kinds.of_training(19, real) == _kind()
