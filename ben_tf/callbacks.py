"""What happens beside the training steps: history, checkpoints, progress."""

import csv
import math
import os
import pathlib
import time

import tensorflow as tf
import tqdm

from ben_tf import command_line

HISTORY_FILE = "history.csv"
# Chooses the best checkpoint: needs no threshold, so it does not depend on how
# well the probabilities are calibrated early in training.
MONITOR = "val_macro_average_precision"

_LAST_FOLDER = "checkpoints/last"
_BEST_FOLDER = "checkpoints/best"


class History(tf.keras.callbacks.Callback):
    """Keeps history.csv: one row an epoch, complete after every epoch.

    Columns: epoch (from 1), seconds, learning_rate, then loss, metrics and
    their validation counterparts. A run that goes on keeps the rows of the
    epochs that it does not repeat.
    """

    def __init__(self, workdir: pathlib.Path, *, first_epoch: int):
        super().__init__()
        self._path = workdir / HISTORY_FILE
        self._rows = []
        if first_epoch and self._path.exists():
            with self._path.open(newline="") as file:
                self._rows = [
                    row
                    for row in csv.DictReader(file)
                    if int(row["epoch"]) <= first_epoch
                ]

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the clock."""
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Adds a row and replaces the file."""
        optimizer = self.model.optimizer
        row = {
            "epoch": epoch + 1,
            "seconds": round(time.monotonic() - self._start, 2),
            "learning_rate": float(optimizer.learning_rate),
        }
        # repr of a float gives it back to the last digit.
        row |= {name: repr(float(value)) for name, value in logs.items()}
        self._rows.append(row)
        part = self._path.with_suffix(".part")
        with part.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            writer.writeheader()
            writer.writerows(self._rows)
        os.replace(part, self._path)


class Checkpoints(tf.keras.callbacks.Callback):
    """Saves the state after every epoch, and the best weights.

    `checkpoints/last` holds weights, optimiser and progress, so that the same
    command goes on after an interruption; `checkpoints/best` the weights with
    the highest `MONITOR`. Both are complete at any moment: a checkpoint is
    named by its state file only after it has been written.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        *,
        model: tf.keras.Model,
        optimizer: tf.keras.optimizers.Optimizer,
    ):
        super().__init__()
        self._epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._best = tf.Variable(-math.inf, dtype=tf.float64, trainable=False)
        self._last_manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(
                model=model,
                optimizer=optimizer,
                random_generators=_random_generators(model),
                epoch=self._epoch,
                best=self._best,
            ),
            os.fspath(workdir / _LAST_FOLDER),
            max_to_keep=2,
        )
        self._best_manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(model=model),
            os.fspath(workdir / _BEST_FOLDER),
            max_to_keep=1,
        )

    def restore_last(self) -> int:
        """Restores the newest state; returns the number of epochs done."""
        if self._last_manager.latest_checkpoint:
            self._last_manager.checkpoint.restore(
                self._last_manager.latest_checkpoint
            ).assert_existing_objects_matched()
        return int(self._epoch.numpy())

    def on_epoch_end(self, epoch, logs=None):
        """Saves the best weights if they are, then the whole state."""
        value = logs[MONITOR]
        # NaN (no class with a positive) is never better, but a run must end
        # with some weights.
        if value > self._best.numpy() or not epoch:
            self._best.assign(value if not math.isnan(value) else -math.inf)
            self._best_manager.save(checkpoint_number=epoch + 1)
        self._epoch.assign(epoch + 1)
        self._last_manager.save(checkpoint_number=epoch + 1)


def _random_generators(model: tf.keras.Model) -> list[tf.random.Generator]:
    """The generators that dropout layers draw from.

    Keras leaves them out of checkpoints, so a run that went on would drop other
    units. It offers no public way to them.
    """
    generators = []
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.Dropout):
            generators.append(layer._random_generator._generator)
    return generators


def restore_best(workdir: pathlib.Path, model: tf.keras.Model) -> None:
    """Loads the best weights of a run into a model of its architecture.

    Raises:
      UserError: The run has not finished an epoch.
    """
    path = tf.train.latest_checkpoint(os.fspath(workdir / _BEST_FOLDER))
    if path is None:
        raise command_line.UserError(
            f"The run in {workdir} has no checkpoint yet. Expected one in "
            f"{_BEST_FOLDER}, written after the first epoch. Let python -m "
            "ben_tf.train finish an epoch."
        )
    tf.train.Checkpoint(model=model).restore(
        path
    ).assert_existing_objects_matched().expect_partial()


class Progress(tf.keras.callbacks.Callback):
    """A progress bar for each epoch that ends as one line of results."""

    def __init__(self, *, batch_size: int):
        super().__init__()
        self._batch_size = batch_size

    def on_epoch_begin(self, epoch, logs=None):
        """Opens the bar."""
        self._bar = tqdm.tqdm(
            total=self.params["steps"] * self._batch_size,
            desc=f"epoch {epoch + 1}/{self.params['epochs']}",
            unit="patch",
            leave=False,
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar."""
        self._bar.update(self._batch_size)
        self._bar.set_postfix(loss=f"{logs['loss']:.4f}", refresh=False)

    def on_epoch_end(self, epoch, logs=None):
        """Replaces the bar by the epoch's results."""
        seconds = self._bar.format_dict["elapsed"]
        self._bar.close()
        print(
            f"epoch {epoch + 1:3d}/{self.params['epochs']}"
            f"  loss {logs['loss']:.4f}"
            f"  val_loss {logs['val_loss']:.4f}"
            f"  val macro F1 {logs['val_macro_f1']:.3f}"
            f"  val macro AP {logs[MONITOR]:.3f}"
            f"  {seconds:.0f} s",
            flush=True,
        )
