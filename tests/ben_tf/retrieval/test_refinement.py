"""Queries made of examples, against numbers worked out by hand."""

import numpy as np
import pytest

from ben_tf import errors
from ben_tf.retrieval import refinement

NONE = np.zeros((0, 2), np.float32)


@pytest.mark.parametrize(
    ("positives", "negatives", "non_negative", "expected"),
    [
        ([[1, 2], [3, 6]], NONE, False, [2, 4]),
        # 2 * (2, 4) - (3, 1).
        ([[1, 2], [3, 6]], [[2, 0], [4, 2]], False, [1, 7]),
        # 2 * (1, 2) - (4, 0), and what is negative becomes 0.
        ([[1, 2]], [[4, 0]], False, [-2, 4]),
        ([[1, 2]], [[4, 0]], True, [0, 4]),
        ([[-1, 2]], NONE, True, [0, 2]),
    ],
)
def test_combine(positives, negatives, non_negative, expected):
    found = refinement.combine(
        np.array(positives, np.float32),
        np.array(negatives, np.float32),
        non_negative=non_negative,
    )
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_negative_examples_alone_are_no_query():
    with pytest.raises(errors.UserError, match="positive example"):
        refinement.combine(NONE, np.ones((1, 2)), non_negative=False)
