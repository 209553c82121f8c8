"""The optimisers and learning rate schedules of `Config`."""

import types

import tensorflow as tf

from ben_tf import errors
from ben_tf.training import fused_adam


def make_optimizer(
    name: str,
    *,
    learning_rate: float | tf.keras.optimizers.schedules.LearningRateSchedule,
    clip_norm: float = 0.0,
    weight_averaging: float = 0.0,
) -> tf.keras.optimizers.Optimizer:
    """Returns a new optimiser.

    Args:
      name: "adam" (the paper's), "adamw" (weight decay 1e-4), "sgd" (momentum
        0.9), "lamb" or "lookahead_adam".
      learning_rate: Constant or schedule.
      clip_norm: Largest norm of all gradients together; 0: any.
      weight_averaging: Share that the running average of the weights keeps in
        each step; 0: no average.

    Raises:
      UserError: The optimiser comes from TensorFlow Addons, which does not
        exist for this Python, or cannot average.
      ValueError: Unknown name.
    """
    options = {"global_clipnorm": clip_norm or None}
    if name in ("lamb", "lookahead_adam"):
        # Both are of Keras' older interface.
        if weight_averaging:
            raise errors.UserError(
                f"--optimizer={name} keeps no average of the weights. Expected "
                "adam, adamw or sgd with --weight_averaging."
            )
        if name == "lamb":
            return _addons(name).optimizers.LAMB(learning_rate, **options)
        return _addons(name).optimizers.Lookahead(
            tf.keras.optimizers.legacy.Adam(learning_rate), **options
        )
    if weight_averaging:
        options |= {"use_ema": True, "ema_momentum": weight_averaging}
    if name == "adam":
        return fused_adam.FusedAdam(learning_rate, **options)
    if name == "adamw":
        return fused_adam.FusedAdam(learning_rate, weight_decay=1e-4, **options)
    if name == "sgd":
        return tf.keras.optimizers.SGD(learning_rate, momentum=0.9, **options)
    raise ValueError(
        "Unknown optimizer. Expected one of adam, adamw, sgd, lamb, "
        f"lookahead_adam. Received: {name!r}"
    )


def create_slots(
    optimizer: tf.keras.optimizers.Optimizer, variables: list[tf.Variable]
) -> None:
    """Creates the optimiser's variables, which Keras does in the first step."""
    if hasattr(optimizer, "build"):
        optimizer.build(variables)
    else:
        optimizer._create_all_weights(variables)


def make_schedule(
    name: str,
    *,
    peak: float,
    warmup_steps: int,
    total_steps: int,
) -> float | tf.keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate over steps.

    Args:
      name: "constant" or "cosine" (to 0 at `total_steps`).
      peak: The constant rate, or the rate after the warm-up.
      warmup_steps: Steps of linear rise from 0; with "constant", too.
      total_steps: Steps of the whole run.
    """
    if name == "constant" and not warmup_steps:
        return peak
    return tf.keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else peak,
        decay_steps=max(total_steps - warmup_steps, 1),
        # alpha = 1: the rate stays at its peak.
        alpha=1.0 if name == "constant" else 0.0,
        warmup_target=peak if warmup_steps else None,
        warmup_steps=warmup_steps,
    )


def _addons(name: str) -> types.ModuleType:
    """Imports TensorFlow Addons."""
    try:
        import tensorflow_addons
    except ImportError as error:
        raise errors.UserError(
            f"--optimizer={name} needs TensorFlow Addons, which exists for "
            "Python 3.11 and TensorFlow 2.15 only. Use that lane, or another "
            "--optimizer."
        ) from error
    return tensorflow_addons
