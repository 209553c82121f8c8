"""Validates and saves the running average of the weights.

The optimiser keeps the average (`use_ema` of Keras). Statistics of batch
normalisation are running means already and stay as they are.
"""

import contextlib
from collections.abc import Iterator
from collections.abc import Sequence

import tensorflow as tf

from ben_tf.training import keras_internals


@contextlib.contextmanager
def averaged(
    model: tf.keras.Model, optimizer: tf.keras.optimizers.Optimizer
) -> Iterator[None]:
    """Puts averaged weights into the model, and the last ones back after it.

    Does nothing if the optimiser keeps no average.
    """
    averages = keras_internals.moving_averages(optimizer)
    weights = model.trainable_variables if averages else ()
    last = [tf.identity(weight) for weight in weights]
    _assign(weights, averages)
    try:
        yield
    finally:
        _assign(weights, last)


class AverageInValidation(tf.keras.callbacks.Callback):
    """Validates with the averaged weights."""

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Puts the average in place."""
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(averaged(self.model, self.model.optimizer))

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """Puts the last weights back."""
        self._stack.close()


def _assign(
    variables: Sequence[tf.Variable], values: Sequence[tf.Variable | tf.Tensor]
) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
