"""Optimisers do what their flags say."""

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import errors
from ben_tf.training import optimizers


def test_clipped_update_of_sgd():
    first = tf.Variable([1.0, 1.0])
    second = tf.Variable([[1.0]])
    # The norm of (2, 3, 6) is 7.
    gradients = [tf.constant([2.0, 3.0]), tf.constant([[6.0]])]
    optimizer = optimizers.make_optimizer(
        "sgd", learning_rate=0.5, clip_norm=1.75
    )
    optimizer.apply_gradients(zip(gradients, [first, second], strict=True))
    # Scaled by 1.75 / 7 = 1/4, then by the rate: (0.25, 0.375, 0.75).
    np.testing.assert_allclose(first, [0.75, 0.625], rtol=1e-6)
    np.testing.assert_allclose(second, [[0.25]], rtol=1e-6)


def test_small_gradients_are_not_clipped():
    weight = tf.Variable([1.0, 1.0])
    optimizer = optimizers.make_optimizer(
        "sgd", learning_rate=0.5, clip_norm=1.75
    )
    optimizer.apply_gradients([(tf.constant([0.6, 0.8]), weight)])
    np.testing.assert_allclose(weight, [0.7, 0.6], rtol=1e-6)


def test_without_clip_norm_nothing_is_clipped():
    weight = tf.Variable([1.0, 1.0])
    optimizer = optimizers.make_optimizer("sgd", learning_rate=0.5)
    optimizer.apply_gradients([(tf.constant([20.0, 30.0]), weight)])
    np.testing.assert_allclose(weight, [-9.0, -14.0], rtol=1e-6)


@pytest.mark.parametrize("name", ["lamb", "lookahead_adam"])
def test_optimisers_of_addons_keep_no_average(name):
    with pytest.raises(
        errors.UserError, match=f"`optimizer={name}` keeps no average"
    ):
        optimizers.make_optimizer(name, learning_rate=0.1, weight_averaging=0.9)


def test_unknown_optimiser():
    with pytest.raises(ValueError, match="Received: 'adagrad'"):
        optimizers.make_optimizer("adagrad", learning_rate=0.1)
