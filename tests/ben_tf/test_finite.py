"""NaN anywhere in a network is found and named."""

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import finite


def _variables(value) -> list[tf.Variable]:
    kernel = np.ones((3, 4), np.float32)
    kernel[1, 2] = value
    return [
        tf.Variable([1, 2], name="counter"),
        tf.Variable(kernel, name="kernel"),
        tf.Variable(np.full(5, value, np.float16), name="bias"),
    ]


def test_finite_numbers_pass():
    finite.check(_variables(np.finfo(np.float16).max), "The weights")
    finite.check([], "The weights")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_others_are_named_and_counted(value):
    with pytest.raises(
        finite.NotFinite,
        match=r"^The weights hold .* in 2 of .* is kernel, 1 of 12$",
    ):
        finite.check(_variables(value), "The weights")
