"""The fused step against Keras' own.

Several devices: test_distributed_training.py; 16 bits: test_restart.py.
"""

import numpy as np
import pytest
import tensorflow as tf

from ben_tf.training import fused_adam

SHAPES = ((3, 5), (7,), ())


def _weights(rng):
    return [rng.normal(size=shape).astype(np.float32) for shape in SHAPES]


def _steps(optimizer, start, gradients, jit_compile=False):
    """Weights, moments and their average after all steps."""
    variables = [tf.Variable(value) for value in start]
    optimizer.build(variables)
    apply = tf.function(
        lambda step: optimizer.apply_gradients(
            zip(step, variables, strict=True)
        ),
        jit_compile=jit_compile,
    )
    for step in gradients:
        apply([tf.constant(gradient) for gradient in step])
    # Without the number of steps.
    return [x.numpy() for x in (*variables, *optimizer.variables[1:])]


@pytest.mark.parametrize(
    ("oracle", "options"),
    [
        (tf.keras.optimizers.Adam, {"beta_1": 0.7, "epsilon": 1e-3}),
        (tf.keras.optimizers.Adam, {"global_clipnorm": 0.5}),
        (tf.keras.optimizers.Adam, {"use_ema": True, "ema_momentum": 0.5}),
        (tf.keras.optimizers.AdamW, {"weight_decay": 0.1}),
    ],
    ids=["constants", "clipped", "averaged", "decay"],
)
def test_equals_keras(oracle, options):
    _assert_equal(oracle, options, ways=[False])


def test_equals_keras_when_compiled_by_xla():
    _assert_equal(tf.keras.optimizers.Adam, {}, ways=[False, True])


def _assert_equal(oracle, options, *, ways):
    rng = np.random.default_rng(0)
    start = _weights(rng)
    gradients = [_weights(rng) for _ in range(12)]
    rate = tf.keras.optimizers.schedules.CosineDecay(0.1, 12)
    expected = _steps(oracle(rate, **options), start, gradients)
    for jit_compile in ways:
        got = _steps(
            fused_adam.FusedAdam(rate, **options), start, gradients, jit_compile
        )
        assert len(got) == len(expected) >= 3 * len(SHAPES)
        for ours, theirs in zip(got, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
        assert not np.allclose(got[0], start[0])


def test_amsgrad_is_refused():
    weight = tf.Variable([1.0])
    optimizer = fused_adam.FusedAdam(0.1, amsgrad=True)
    with pytest.raises(NotImplementedError, match="amsgrad"):
        optimizer.apply_gradients([(tf.constant([1.0]), weight)])
