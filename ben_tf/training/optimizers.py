"""The optimisers and learning rate schedules of `Config`."""

import functools
from collections.abc import Callable
from collections.abc import Mapping
from typing import TypeAlias

import tensorflow as tf

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf.training import addons
from ben_tf.training import fused_adam

_Rate: TypeAlias = "float | tf.keras.optimizers.schedules.LearningRateSchedule"


_OF_KERAS: Mapping[str, Callable[..., tf.keras.optimizers.Optimizer]] = {
    "adam": fused_adam.FusedAdam,
    "adamw": fused_adam.FusedAdam,  # With weight decay.
    "sgd": functools.partial(tf.keras.optimizers.SGD, momentum=0.9),
}
# Both are of Keras' older interface.
_OF_ADDONS: Mapping[str, Callable[..., tf.keras.optimizers.Optimizer]] = {
    "lamb": lambda module, rate, **options: module.LAMB(rate, **options),
    "lookahead_adam": lambda module, rate, **options: module.Lookahead(
        tf.keras.optimizers.legacy.Adam(rate), **options
    ),
}
OPTIMIZERS = (*_OF_KERAS, *_OF_ADDONS)


def make_optimizer(
    name: str,
    *,
    learning_rate: _Rate,
    weight_decay: float = config_lib.Config.weight_decay,
    clip_norm: float = 0.0,
    weight_averaging: float = 0.0,
) -> tf.keras.optimizers.Optimizer:
    """Returns a new optimiser.

    Args:
      name: "adam" (the paper's), "adamw", "sgd" (momentum 0.9), "lamb" or
        "lookahead_adam".
      learning_rate: Constant or schedule.
      weight_decay: Of "adamw": each step first takes rate x weight_decay x
        weight off every weight, biases and normalisation included.
      clip_norm: Largest norm of all gradients together; 0: any.
      weight_averaging: Share that the running average of the weights keeps in
        each step; 0: no average.

    Raises:
      UserError: The optimiser comes from TensorFlow Addons, which does not
        exist for this Python, or cannot average.
      ValueError: Unknown name.
    """
    if name not in OPTIMIZERS:
        raise errors.unknown("optimizer", name, OPTIMIZERS)
    options: dict[str, float | None] = {"global_clipnorm": clip_norm or None}
    if name in _OF_ADDONS:
        if weight_averaging:
            raise errors.UserError(
                f"`optimizer={name}` keeps no average of the weights. Expected "
                f"one of {', '.join(_OF_KERAS)} with `weight_averaging`."
            )
        optimizers = addons.load(
            f"optimizer={name}", instead="another `optimizer`"
        ).optimizers
        return _OF_ADDONS[name](optimizers, learning_rate, **options)
    if name == "adamw":
        options["weight_decay"] = weight_decay
    if weight_averaging:
        options |= {"use_ema": True, "ema_momentum": weight_averaging}
    return _OF_KERAS[name](learning_rate, **options)


def of_run(
    config: config_lib.Config, steps_per_epoch: int
) -> tf.keras.optimizers.Optimizer:
    """The optimiser of a configuration, with its learning rate over time."""
    return make_optimizer(
        config.optimizer,
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm,
        weight_averaging=config.weight_averaging,
        learning_rate=make_schedule(
            config.schedule,
            peak=config.learning_rate,
            warmup_steps=round(config.warmup_epochs * steps_per_epoch),
            total_steps=config.epochs * steps_per_epoch,
            start=config.warmup_start,
            end=config.schedule_end,
        ),
    )


def make_schedule(
    name: str,
    *,
    peak: float,
    warmup_steps: int,
    total_steps: int,
    start: float = 0.0,
    end: float = 0.0,
) -> _Rate:
    """Returns the learning rate over steps.

    Args:
      name: "constant" or "cosine" (to `end` at `total_steps`).
      peak: The constant rate, or the rate after the warm-up.
      warmup_steps: Steps of linear rise; with "constant", too.
      total_steps: Steps of the whole run.
      start: Rate of the first step of a warm-up, as a share of the peak.
      end: Rate at the end of the cosine, as a share of the peak.
    """
    if name == "constant" and not warmup_steps:
        return peak
    return tf.keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=start * peak if warmup_steps else peak,
        decay_steps=max(total_steps - warmup_steps, 1),
        # alpha = 1: the rate stays at its peak.
        alpha=1.0 if name == "constant" else end,
        warmup_target=peak if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
