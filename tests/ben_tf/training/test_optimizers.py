"""Optimisers do what their flags say."""

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf.training import configured_model
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


def test_weight_decay_of_adamw():
    weight = tf.Variable([2.0])
    optimizer = optimizers.make_optimizer(
        "adamw", learning_rate=0.5, weight_decay=0.01
    )
    optimizer.apply_gradients([(tf.constant([0.0]), weight)])
    # No gradient: 2 - 0.5 x 0.01 x 2.
    np.testing.assert_allclose(weight, [1.99], rtol=1e-6)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        # From a tenth of 0.001 in a line over four steps; the cosine is half
        # way down, at 0.1 + 0.9 / 2, after four of its eight steps.
        (
            {"start": 0.1, "end": 0.1},
            {0: 1e-4, 2: 5.5e-4, 4: 1e-3, 8: 5.5e-4, 12: 1e-4, 20: 1e-4},
        ),
        ({}, {0: 0.0, 2: 5e-4, 4: 1e-3, 8: 5e-4, 12: 0.0}),
    ],
)
def test_warm_up_and_cosine_by_hand(shares, expected):
    schedule = optimizers.make_schedule(
        "cosine", peak=1e-3, warmup_steps=4, total_steps=12, **shares
    )
    rates = {step: float(schedule(step)) for step in expected}
    assert rates == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_dropout_in_front_of_the_classifier():
    plain, dropping = (
        configured_model.make_model(
            config_lib.Config(model="small_cnn", head_dropout=share)
        )
        for share in (0.0, 0.15)
    )
    names = [layer.name for layer in dropping.layers]
    assert dropping.get_layer("head_dropout").rate == 0.15
    assert [x for x in names if x != "head_dropout"] == [
        layer.name for layer in plain.layers
    ]
    assert dropping.count_params() == plain.count_params()
    assert dropping.output_shape == plain.output_shape
