"""The formulas, in NumPy and in TensorFlow, against SciPy and by hand."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial import distance as scipy_distance

from ben_tf import errors
from ben_tf.retrieval import distances

SCIPY = {
    "chi_square": lambda a, b: np.sum((a - b) ** 2 / (a + b)),
    "euclidean": scipy_distance.euclidean,
    "cosine": scipy_distance.cosine,
}
BOTH = pytest.mark.parametrize(
    "xp", [np, tf.experimental.numpy], ids=["numpy", "tensorflow"]
)


def compute(name, queries, candidates, xp):
    """Distances, in a graph for TensorFlow, as the serving model has them."""
    queries, candidates = np.float32(queries), np.float32(candidates)
    if xp is np:
        return distances.distance(name, queries, candidates)
    function = tf.function(lambda a, b: distances.distance(name, a, b, xp=xp))
    return function(tf.constant(queries), tf.constant(candidates)).numpy()


@BOTH
@pytest.mark.parametrize("name", distances.DISTANCES)
def test_agrees_with_scipy(name, xp):
    generator = np.random.default_rng(0)
    queries = generator.random((5, 16), np.float32)
    candidates = generator.random((9, 16), np.float32)
    found = compute(name, queries[:, None], candidates, xp)
    expected = scipy_distance.cdist(
        np.float64(queries), np.float64(candidates), SCIPY[name]
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@BOTH
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # (1 - 3)^2 / (1 + 3), 0 / 0, (2 - 0)^2 / (2 + 0).
        ("chi_square", 1 + 0 + 2),
        ("euclidean", np.sqrt(4 + 0 + 4)),
        # 1 - (1 x 3) / (sqrt(5) x 3).
        ("cosine", 1 - 1 / np.sqrt(5)),
    ],
)
def test_agrees_with_a_case_worked_by_hand(name, expected, xp):
    found = compute(name, [1, 0, 2], [3, 0, 0], xp)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@BOTH
@pytest.mark.parametrize(
    ("name", "expected"),
    [("chi_square", 0), ("euclidean", 0), ("cosine", 1)],
)
def test_zero_vectors(name, expected, xp):
    assert compute(name, np.zeros(4), np.zeros(4), xp) == expected


def test_unknown_distance_lists_the_choices():
    with pytest.raises(ValueError, match=r"chi_square.*Received: 'l1'"):
        distances.distance("l1", np.zeros(1), np.zeros(1))


def test_chi_square_refuses_negative_values():
    with pytest.raises(errors.UserError, match="without negative"):
        distances.check_non_negative(-0.5, what="the query")
