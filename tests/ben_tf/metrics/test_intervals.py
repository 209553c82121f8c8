"""Bootstrap intervals against SciPy's and against resampling by hand."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from ben_tf.metrics import exact
from ben_tf.metrics import intervals


def _predictions(num_samples=400):
    random = np.random.default_rng(1)
    labels = random.random((num_samples, 6)) < 0.3
    labels[:, 5] = False
    probabilities = np.clip(
        0.6 * random.random(labels.shape) + 0.3 * labels, 0, 1
    ).astype(np.float32)
    return labels, probabilities


def test_intervals_of_sample_means_equal_scipy():
    labels, probabilities = _predictions()
    ours = intervals.bootstrap(labels, probabilities, num_replicates=4000)
    per_sample, _ = exact.samples_and_counts(labels, probabilities)
    for name in intervals.SAMPLE_METRICS:
        theirs = scipy.stats.bootstrap(
            [per_sample[name]],
            np.mean,
            n_resamples=4000,
            method="percentile",
            rng=0,
        ).confidence_interval
        spread = theirs.high - theirs.low
        np.testing.assert_allclose(ours[name], theirs, atol=0.1 * spread)


@pytest.mark.slow
def test_intervals_of_class_scores_equal_resampling_by_hand():
    labels, probabilities = _predictions(100)
    ours = intervals.bootstrap(labels, probabilities, num_replicates=2000)
    random = np.random.default_rng(7)
    replicates = []
    for _ in range(2000):
        rows = random.integers(100, size=100)
        replicates.append(
            sklearn.metrics.f1_score(
                labels[rows, :5],
                probabilities[rows, :5] >= 0.5,
                average="macro",
            )
        )
    # The class that never occurs and is sometimes predicted has F1 0.
    false = (probabilities[:, 5] >= 0.5).any()
    expected = np.percentile(replicates, [2.5, 97.5]) * (5 / 6 if false else 1)
    spread = expected[1] - expected[0]
    np.testing.assert_allclose(ours["macro_f1"], expected, atol=0.15 * spread)


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_intervals_of_average_precision_equal_resampling_by_hand(average):
    labels, probabilities = _predictions(100)
    # Some samples with equal scores, which enter together.
    probabilities = np.round(probabilities, 1)
    labels, probabilities = labels[:, :5], probabilities[:, :5]
    ours = intervals.bootstrap(
        labels, probabilities, num_replicates=200, seed=3
    )[f"{average}_average_precision"]
    random = np.random.default_rng(3)
    replicates = []
    for _ in range(200):
        rows = random.integers(100, size=100)
        replicates.append(
            sklearn.metrics.average_precision_score(
                labels[rows], probabilities[rows], average=average
            )
        )
    expected = np.percentile(replicates, [2.5, 97.5])
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_undefined_class_has_no_interval():
    labels = np.array([[True, False], [True, False]])
    probabilities = np.array([[0.9, 0.1], [0.1, 0.1]], np.float32)
    ours = intervals.bootstrap(labels, probabilities, num_replicates=50)
    assert np.isnan(ours["per_class_f2"][:, 1]).all()
    np.testing.assert_array_equal(ours["per_class_f2"][:, 0], [0, 1])


def test_same_seed_gives_the_same_intervals():
    labels, probabilities = _predictions(50)
    first, second = (
        intervals.bootstrap(labels, probabilities, num_replicates=20, seed=3)
        for _ in range(2)
    )
    np.testing.assert_equal(first, second)


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_replicates_of_two_models_are_pairs(average):
    labels, probabilities = _predictions(100)
    labels, first = labels[:, :5], probabilities[:, :5]
    second = np.clip(first + 0.2 * labels, 0, 1).astype(np.float32)
    ours = [
        intervals.replicates(labels, x, num_replicates=50, seed=3)[
            f"{average}_f1"
        ]
        for x in (first, second)
    ]
    random = np.random.default_rng(3)
    expected = []
    for _ in range(50):
        rows = random.integers(100, size=100)
        expected.append(
            [
                sklearn.metrics.f1_score(
                    labels[rows], x[rows] >= 0.5, average=average
                )
                for x in (first, second)
            ]
        )
    expected = np.array(expected)
    np.testing.assert_allclose(np.stack(ours, axis=1), expected, rtol=1e-6)
    np.testing.assert_allclose(
        intervals.interval(ours[1] - ours[0]),
        np.percentile(expected[:, 1] - expected[:, 0], [2.5, 97.5]),
        rtol=1e-5,
    )
