"""Reliability and thresholds, against scikit-learn and a full search."""

import hypothesis
import numpy as np
import pytest
import sklearn.calibration
import sklearn.metrics
from hypothesis import strategies as st

from ben_tf.metrics import calibration


def test_reliability_equals_scikit_learn():
    random = np.random.default_rng(0)
    probabilities = random.random((500, 3)).astype(np.float32)
    labels = random.random((500, 3)) < probabilities**2
    ours = calibration.reliability(labels, probabilities, num_bins=10)
    present, mean = sklearn.calibration.calibration_curve(
        labels.ravel(), probabilities.ravel(), n_bins=10
    )
    np.testing.assert_allclose(ours.fraction_present, present, rtol=1e-6)
    np.testing.assert_allclose(ours.mean_probability, mean, rtol=1e-6)
    expected = np.average(np.abs(present - mean), weights=ours.num_pairs)
    assert ours.expected_calibration_error == pytest.approx(expected)


def test_empty_bins_are_undefined_and_do_not_count():
    ours = calibration.reliability([[1], [0]], [[1.0], [0.9]], num_bins=2)
    np.testing.assert_array_equal(ours.num_pairs, [0, 2])
    np.testing.assert_allclose(ours.fraction_present, [np.nan, 0.5])
    assert ours.expected_calibration_error == pytest.approx(0.45)


@pytest.mark.slow
@hypothesis.settings(deadline=None, max_examples=50)
@hypothesis.given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 1, width=32)), min_size=1)
)
def test_no_threshold_beats_the_best_one(pairs):
    labels = np.array([[label] for label, _ in pairs])
    scores = np.array([[score] for _, score in pairs], np.float32)
    threshold = calibration.best_thresholds(labels, scores)
    assert threshold.dtype == np.float32
    if not labels.any():
        assert threshold[0] == 0.5
        return

    def f1(threshold):
        return sklearn.metrics.f1_score(labels, scores >= threshold)

    best = max(f1(score) for score in np.unique(scores))
    assert f1(threshold[0]) == pytest.approx(best)
