"""Exact scores against scikit-learn, hand-worked matrices and properties."""

import hypothesis
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import strategies as st

from ben_tf.metrics import exact
from tests.ben_tf.metrics import examples

_BETAS = {"f1": 1.0, "f2": 2.0, "f0_5": 0.5}


@pytest.mark.parametrize("num_classes", [19, 43])
@pytest.mark.parametrize("average", ["macro", "micro", "per_class", "sample"])
def test_count_scores_equal_scikit_learn(average, num_classes):
    labels, probabilities = examples.random_predictions(num_classes=num_classes)
    scores = exact.compute(labels, probabilities)
    predictions = probabilities >= 0.5

    def ours(name):
        if average == "per_class":
            return scores.per_class[name]
        return scores.overall[f"{average}_{name}"]

    # The authors' code defines 0/0 as 0 for samples and nowhere else.
    options = {
        "average": {"sample": "samples", "per_class": None}.get(
            average, average
        ),
        "zero_division": 0 if average == "sample" else np.nan,
    }
    precision = sklearn.metrics.precision_score(labels, predictions, **options)
    recall = sklearn.metrics.recall_score(labels, predictions, **options)
    np.testing.assert_allclose(ours("precision"), precision, rtol=1e-6)
    np.testing.assert_allclose(ours("recall"), recall, rtol=1e-6)
    for name, beta in _BETAS.items():
        expected = sklearn.metrics.fbeta_score(
            labels, predictions, beta=beta, **options
        )
        np.testing.assert_allclose(ours(name), expected, rtol=1e-6)


def test_jaccard_equals_scikit_learn_where_defined():
    labels, probabilities = examples.random_predictions()
    labels[:, 3] = probabilities[:, 3] > 0.3
    predictions = probabilities >= 0.5
    labels[~(labels | predictions).any(axis=1), 0] = True
    scores = exact.compute(labels, probabilities).overall
    for ours, average in (
        ("sample_accuracy", "samples"),
        ("macro_accuracy", "macro"),
        ("micro_accuracy", "micro"),
    ):
        expected = sklearn.metrics.jaccard_score(
            labels, predictions, average=average
        )
        assert scores[ours] == pytest.approx(expected, rel=1e-6)


def test_ranking_metrics_equal_scikit_learn():
    labels, probabilities = examples.random_predictions()
    # scikit-learn defines other values for samples without a label, and for
    # samples with all of them.
    labels[5, 2] = True
    labels[6, 2] = False
    labels = labels[labels.any(axis=1)]
    probabilities = probabilities[: len(labels)]
    scores = exact.compute(labels, probabilities).overall
    for ours, oracle in (
        (
            "label_ranking_average_precision",
            sklearn.metrics.label_ranking_average_precision_score,
        ),
        ("ranking_loss", sklearn.metrics.label_ranking_loss),
        ("coverage", sklearn.metrics.coverage_error),
    ):
        expected = oracle(labels, probabilities)
        assert scores[ours] == pytest.approx(expected, rel=1e-6), ours


def test_hamming_loss_and_subset_accuracy_equal_scikit_learn():
    labels, probabilities = examples.random_predictions()
    predictions = probabilities >= 0.5
    scores = exact.compute(labels, probabilities).overall
    assert scores["hamming_loss"] == pytest.approx(
        sklearn.metrics.hamming_loss(labels, predictions), rel=1e-6
    )
    assert scores["subset_accuracy"] == pytest.approx(
        sklearn.metrics.accuracy_score(labels, predictions), rel=1e-6
    )


def test_average_precision_equals_scikit_learn_with_ties():
    labels, probabilities = examples.random_predictions()
    labels[6, 3] = False
    scores = exact.compute(labels, probabilities)
    for index, ours in enumerate(scores.per_class["average_precision"]):
        if index == 3:
            assert np.isnan(ours)
            continue
        expected = sklearn.metrics.average_precision_score(
            labels[:, index], probabilities[:, index]
        )
        assert ours == pytest.approx(expected, rel=1e-9)
    assert scores.overall["micro_average_precision"] == pytest.approx(
        sklearn.metrics.average_precision_score(
            labels, probabilities, average="micro"
        ),
        rel=1e-9,
    )
    assert scores.overall["macro_average_precision"] == pytest.approx(
        np.nanmean(scores.per_class["average_precision"]), rel=1e-9
    )
    assert scores.undefined["macro_average_precision"] == 1


def test_negative_zero_ties_with_zero():
    labels = np.array([True, False])
    scores = np.array([-0.0, 0.0], np.float32)
    assert exact.average_precision(labels, scores) == 0.5


def test_classes_worked_out_by_hand():
    # Class 0: TP 2, FP 1, FN 1. Class 1: never predicted, FN 1. Class 2: does
    # not occur, FP 1. Class 3: neither.
    labels = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    probabilities = np.array(
        [
            [0.9, 0.1, 0.1, 0.1],
            [0.8, 0.1, 0.6, 0.1],
            [0.3, 0.1, 0.1, 0.1],
            [0.5, 0.1, 0.1, 0.1],
        ]
    )
    scores = exact.compute(labels, probabilities)
    nan = np.nan
    for name, expected in {
        "precision": [2 / 3, nan, 0, nan],
        "recall": [2 / 3, 0, nan, nan],
        "f1": [2 / 3, 0, 0, nan],
        "f2": [2 / 3, 0, 0, nan],
        "accuracy": [1 / 2, 0, 0, nan],
        "num_positives": [3, 1, 0, 0],
    }.items():
        np.testing.assert_allclose(scores.per_class[name], expected)
    assert scores.overall["macro_precision"] == pytest.approx(1 / 3)
    assert scores.overall["macro_f1"] == pytest.approx(2 / 9)
    # Pooled: TP 2, FP 2, FN 2.
    assert scores.overall["micro_f1"] == pytest.approx(1 / 2)
    assert scores.overall["micro_accuracy"] == pytest.approx(1 / 3)
    # The last sample has no label, so no pair to rank.
    assert scores.undefined == {
        "ranking_loss": 1,
        "macro_precision": 2,
        "macro_recall": 2,
        "macro_f1": 1,
        "macro_f2": 1,
        "macro_f0_5": 1,
        "macro_accuracy": 1,
        "macro_average_precision": 2,
    }


def test_threshold_may_differ_between_classes():
    labels = np.array([[1, 1]])
    probabilities = np.array([[0.4, 0.4]], np.float32)
    scores = exact.compute(labels, probabilities, threshold=[0.4, 0.5])
    assert scores.overall["sample_recall"] == 0.5
    assert exact.compute(labels, probabilities).overall["sample_recall"] == 0


@pytest.mark.parametrize("block_size", [1, 7, 300])
def test_blocks_do_not_change_the_answer(block_size, monkeypatch):
    labels, probabilities = examples.random_predictions()
    expected = exact.compute(labels, probabilities)
    monkeypatch.setattr(exact, "_BLOCK_SIZE", block_size)
    scores = exact.compute(labels, probabilities)
    assert scores.overall == pytest.approx(expected.overall, nan_ok=True)
    assert scores.undefined == expected.undefined


@pytest.mark.slow
@hypothesis.settings(deadline=None, max_examples=25)
@hypothesis.given(examples.PREDICTIONS, st.permutations(range(5)))
def test_permuted_classes_permute_the_answer(predictions, order):
    labels, probabilities, _ = predictions
    before = exact.compute(labels, probabilities)
    after = exact.compute(labels[:, order], probabilities[:, order])
    for name, values in before.per_class.items():
        np.testing.assert_allclose(after.per_class[name], values[order])
    # Among equally probable classes one_error takes the first by definition.
    for scores in (before, after):
        scores.overall.pop("one_error")
    assert after.overall == pytest.approx(before.overall, nan_ok=True)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), "Shapes do not fit"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "without a sample"),
        (np.full((1, 3), 2), np.zeros((1, 3)), "0 and 1 only"),
        (np.zeros((1, 3)), np.full((1, 3), np.nan), r"in \[0, 1\]"),
        (np.zeros((1, 3)), np.full((1, 3), 1.5), r"in \[0, 1\]"),
    ],
)
def test_unusable_arrays_are_refused(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        exact.compute(labels, probabilities)
