"""Charts for TensorBoard: by step, by epoch, and what the run was set to."""

import dataclasses
from collections.abc import Mapping

import tensorflow as tf
from tensorboard.plugins.hparams import api as hyperparameters

from ben_tf import bigearthnet
from ben_tf import config as config_lib
from ben_tf import workdir as workdir_lib
from ben_tf.training import validation_charts

# Fewer points than pixels, and writing costs nothing beside a step.
_EVERY_STEPS = 20
_VALIDATION = "val_"


class TensorBoard(tf.keras.callbacks.Callback):
    """Writes the charts of a run to its `logs`, each once.

    `epoch/...` has a point for each epoch, numbered as in history.csv, training
    and validation in one chart. `step/loss` is the mean since the epoch began,
    `step/learning_rate` what the optimiser uses; both every 20 steps. The rest
    is that of `ValidationCharts`.
    """

    def __init__(
        self,
        workdir: workdir_lib.Workdir,
        config: config_lib.Config,
        *,
        steps_per_epoch: int,
        first_step: int,
        validation: validation_charts.ValidationCharts | None = None,
    ):
        """Names the files; they are opened when training begins.

        Args:
          workdir: The run's folder.
          config: What is trained.
          steps_per_epoch: Batches of an epoch.
          first_step: Steps of the first epoch that are left out.
          validation: What to draw after each validation.
        """
        super().__init__()
        self._logs = workdir.logs
        self._config = config
        self._steps_per_epoch = steps_per_epoch
        self._first_step = first_step
        self._validation = validation

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Writes the configuration, as a text and as hyperparameters."""
        self._writers = {
            name: tf.summary.create_file_writer(str(self._logs / name))
            for name in ("train", "validation")
        }
        with self._writers["train"].as_default(step=0):
            values = settings(self._config)
            lines = [
                f"| `--{name}` | {value} |" for name, value in values.items()
            ]
            tf.summary.text(
                "configuration",
                "\n".join(["| flag | value |", "|---|---|", *lines]),
            )
            hyperparameters.hparams(values)

    def on_epoch_begin(
        self, epoch: int, logs: Mapping[str, float] | None = None
    ) -> None:
        """Remembers the epoch; only the first one may begin midway."""
        if not (epoch or self._first_step) and self._validation is not None:
            with self._writers["validation"].as_default(step=0):
                self._validation.write_pictures()
        self._epoch = epoch
        self._steps_before = epoch * self._steps_per_epoch + self._first_step
        self._first_step = 0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """Adds a point to the charts by step, now and then."""
        step = self._steps_before + batch + 1
        if step % _EVERY_STEPS:
            return
        with self._writers["train"].as_default(step=step):
            tf.summary.scalar("step/loss", logs["loss"])
            tf.summary.scalar(
                "step/learning_rate",
                tf.convert_to_tensor(self.model.optimizer.learning_rate),
            )

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Draws while the weights are those that were validated."""
        if self._validation is not None:
            with self._writers["validation"].as_default(step=self._epoch + 1):
                self._validation.write_epoch()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Adds a point to the charts by epoch."""
        for name, value in logs.items():
            writer = self._writers[
                "validation" if name.startswith(_VALIDATION) else "train"
            ]
            with writer.as_default(step=epoch + 1):
                tf.summary.scalar(
                    f"epoch/{name.removeprefix(_VALIDATION)}", value
                )
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()


def settings(config: config_lib.Config) -> dict[str, bool | int | float | str]:
    """Field -> value that other programs can show."""
    values = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
    }
    return {
        name: value.name if isinstance(value, bigearthnet.Statistics) else value
        for name, value in values.items()
    }
