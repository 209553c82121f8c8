"""Every use of a private part of Keras 2, each behind one small function.

Docstrings say which behaviour is relied on; tests/ben_tf/training/
test_keras_internals.py fails where a version of Keras behaves otherwise.
"""

from collections.abc import Sequence

import tensorflow as tf
from tensorflow.python.client import device_lib


def running_loss(model: tf.keras.Model) -> tf.keras.metrics.Metric:
    """The running mean of the loss that a compiled model reports.

    Relies on `compiled_loss` keeping it as `_total_loss_mean` from `compile`
    on; `model.metrics` lists it only after the first step.
    """
    return model.compiled_loss._total_loss_mean


def take_metrics_of_first_replica(model: tf.keras.Model) -> None:
    """Makes `fit` report the metrics of one worker, not the sum over workers.

    Relies on `distribute_reduction_method`, which `train_function` reads and
    the documentation leaves out.
    """
    model.distribute_reduction_method = "first"


def random_generators(model: tf.keras.Model) -> list[tf.random.Generator]:
    """The generators that a model's dropout layers draw from.

    Relies on layers keeping them as `_random_generator._generator` once
    `enable_tf_random_generator` was called. Keras leaves them out of
    checkpoints, so a resumed run would drop other units.
    """
    return [
        layer._random_generator._generator
        for layer in model.layers
        if isinstance(layer, tf.keras.layers.Dropout)
    ]


def cross_entropy(labels: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy of each element, exact where probabilities round.

    Relies on `binary_crossentropy` finding the logits behind the output of a
    sigmoid: it takes no logarithm of a probability that was rounded to 0.

    Args:
      labels: (B, classes) float32 of 0 and 1.
      probabilities: (B, classes) float32, from a sigmoid layer.

    Returns:
      (B, classes) float32.
    """
    return tf.keras.backend.binary_crossentropy(labels, probabilities)


def create_slots(
    optimizer: tf.keras.optimizers.Optimizer, variables: Sequence[tf.Variable]
) -> None:
    """Creates the optimiser's variables, which Keras does in the first step.

    Relies on `_create_all_weights` of Keras' older optimisers, on which those
    of TensorFlow Addons are built; the others have `build`.
    """
    if hasattr(optimizer, "build"):
        optimizer.build(variables)
    else:
        optimizer._create_all_weights(variables)


def optimizer_variables(
    optimizer: tf.keras.optimizers.Optimizer,
) -> list[tf.Variable]:
    """All that an optimiser keeps: counters, slots, averages.

    Relies on `variables` being a method in Keras' older optimisers, and on
    TensorFlow Addons' Lookahead keeping the optimiser inside it as
    `_optimizer`. The wrapper that scales losses does so, too, but lists the
    variables of its `inner_optimizer`.
    """
    variables = optimizer.variables
    if callable(variables):
        variables = variables()
    wrapped = None
    if not hasattr(optimizer, "inner_optimizer"):
        wrapped = getattr(optimizer, "_optimizer", None)
    return [*variables, *(optimizer_variables(wrapped) if wrapped else ())]


def moving_averages(
    optimizer: tf.keras.optimizers.Optimizer,
) -> Sequence[tf.Variable]:
    """Averages of the trainable variables, in their order; may be empty.

    Relies on optimisers with `use_ema` keeping them as
    `_model_variables_moving_average`, and on the wrapper that scales losses
    having the optimiser as `inner_optimizer`.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(inner, "_model_variables_moving_average", None) or ()


def adam_moments(
    optimizer: tf.keras.optimizers.Adam, variable: tf.Variable
) -> tuple[tf.Variable, tf.Variable]:
    """First and second moment that a built Adam keeps of a variable.

    Relies on `_momentums` and `_velocities` being lists in which
    `_index_dict` says each variable's place, by `_var_key`.
    """
    place = optimizer._index_dict[optimizer._var_key(variable)]
    return optimizer._momentums[place], optimizer._velocities[place]


def gpu_memory_bytes() -> list[int]:
    """Bytes that TensorFlow may take of each GPU; empty without one.

    Relies on `device_lib`, the only place where TensorFlow says so.
    """
    return [
        device.memory_limit
        for device in device_lib.list_local_devices()
        if device.device_type == "GPU"
    ]
