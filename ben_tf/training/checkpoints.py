"""Checkpoints: the state from which a run goes on, and its best weights."""

import contextlib
import math
import os
from collections.abc import Iterator
from collections.abc import Sequence

import tensorflow as tf

from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.training import devices
from ben_tf.training import weight_averaging

# Chooses the best checkpoint: needs no threshold, so it does not depend on how
# well the probabilities are calibrated early in training.
MONITOR = "val_macro_average_precision"


def has_state(workdir: workdir_lib.Workdir) -> bool:
    """Whether a run has saved a state from which it would go on."""
    return (
        tf.train.latest_checkpoint(os.fspath(workdir.last_checkpoints))
        is not None
    )


class Checkpoints(tf.keras.callbacks.Callback):
    """Saves the state every so many steps and after every epoch.

    `checkpoints/last` holds weights, optimiser, random generators, the metrics
    of the epoch so far and the progress, so that the same command goes on after
    an interruption as if there had been none; `checkpoints/best` the weights
    with the highest `MONITOR` (their average, where weights are averaged).

    A checkpoint counts once the file `checkpoint` beside it names it, which is
    replaced after the rest has been written, and no file that it names is ever
    written again. So at any moment the last one named is complete.
    """

    def __init__(
        self,
        workdir: workdir_lib.Workdir,
        *,
        model: tf.keras.Model,
        optimizer: tf.keras.optimizers.Optimizer,
        metrics: Sequence[tf.keras.metrics.Metric] = (),
        steps_per_epoch: int,
        every_steps: int = 0,
        patience: int = 0,
        written_to: workdir_lib.Workdir | None = None,
    ):
        """Finds the checkpoints of a run.

        Args:
          workdir: The run's folder.
          model: The network.
          optimizer: With its slots.
          metrics: What is summed up over an epoch.
          steps_per_epoch: Batches of an epoch.
          every_steps: Steps between two checkpoints within an epoch; 0: none.
          patience: Epochs without a better `MONITOR` after which training
            stops; 0: it does not.
          written_to: Where to write instead of `workdir`, for workers that
            write only because all must take part.
        """
        super().__init__()
        self._workdir = workdir
        self._optimizer = optimizer
        self._metrics = list(metrics)
        self._steps_per_epoch = steps_per_epoch
        self._every_steps = every_steps
        self._patience = patience
        self._steps_done = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._best = tf.Variable(-math.inf, dtype=tf.float64, trainable=False)
        self._best_epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._last = tf.train.Checkpoint(
            model=model,
            optimizer=optimizer,
            random_generators=_random_generators(model),
            metrics=self._metrics,
            steps_done=self._steps_done,
            best=self._best,
            best_epoch=self._best_epoch,
        )
        self._resumed_from = None
        written_to = written_to or workdir
        self._last_manager = tf.train.CheckpointManager(
            self._last, os.fspath(written_to.last_checkpoints), max_to_keep=2
        )
        self._best_manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(model=model),
            os.fspath(written_to.best_checkpoints),
            max_to_keep=1,
        )

    def restore_last(self) -> int:
        """Restores the newest state; returns the number of steps done.

        Raises:
          UserError: It holds other variables than this program's.
        """
        path = tf.train.latest_checkpoint(
            os.fspath(self._workdir.last_checkpoints)
        )
        if path is not None:
            with _explained_mismatch(self._workdir):
                self._last.restore(path).assert_existing_objects_matched()
            self._resumed_from = path
        return self.steps_done

    @property
    def steps_done(self) -> int:
        """Steps of the state in memory, over all epochs."""
        return int(self._steps_done.numpy())

    @property
    def is_between_epochs(self) -> bool:
        """Whether all steps of an epoch are done."""
        return self.steps_done % self._steps_per_epoch == 0

    @property
    def patience_is_spent(self) -> bool:
        """Whether `MONITOR` has not risen for as many epochs as were given."""
        epoch = self.steps_done // self._steps_per_epoch
        waited = epoch - int(self._best_epoch.numpy())
        return 0 < self._patience <= waited

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, float] | None = None
    ) -> None:
        """Gives an epoch that goes on the metrics' sums, and no other one."""
        if self._resumed_from is None:
            return
        # `fit` resets only what it has used before.
        for metric in self._metrics:
            metric.reset_state()
        if not self.is_between_epochs:
            tf.train.Checkpoint(metrics=self._metrics).restore(
                self._resumed_from
            ).expect_partial()
        self._resumed_from = None

    def on_train_batch_end(
        self, batch: int, logs: dict[str, float] | None = None
    ) -> None:
        """Counts the step, and saves where it is time."""
        self._steps_done.assign_add(1)
        # The last step of an epoch is followed by the epoch's own checkpoint.
        if (
            self._every_steps
            and self.steps_done % self._every_steps == 0
            and not self.is_between_epochs
        ):
            self.save()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Saves the best weights if they are, then the whole state."""
        value = logs[MONITOR]
        # NaN (no class with a positive) is never better, but a run must end
        # with some weights.
        if value > self._best.numpy() or not epoch:
            self._best.assign(value if not math.isnan(value) else -math.inf)
            self._best_epoch.assign(epoch + 1)
            with weight_averaging.averaged(self.model, self._optimizer):
                self._save(self._best_manager)
        self.save()
        if self.patience_is_spent:
            self.model.stop_training = True

    def save(self) -> None:
        """Saves the whole state.

        Raises:
          UserError: It cannot be written. The one before is kept.
        """
        self._save(self._last_manager)

    def _save(self, manager: tf.train.CheckpointManager) -> None:
        latest = manager.latest_checkpoint
        number = int(latest.rpartition("-")[2]) + 1 if latest else 1
        with _explained_failures(self._workdir):
            manager.save(checkpoint_number=number)


@contextlib.contextmanager
def _explained_failures(workdir: workdir_lib.Workdir) -> Iterator[None]:
    """Says in one sentence that a checkpoint could not be written."""
    try:
        yield
    except devices.LOST_WORKER:
        raise
    except (OSError, tf.errors.OpError) as error:
        reason = str(error).partition("\n")[0]
        raise errors.UserError(
            f"Cannot write a checkpoint to {workdir}: {reason}. The one before "
            "it is kept: make room, or make the folder writable, and the same "
            "command goes on from there."
        ) from error


@contextlib.contextmanager
def _explained_mismatch(workdir: workdir_lib.Workdir) -> Iterator[None]:
    """Says in one sentence that a checkpoint holds something else."""
    try:
        yield
    # Variables that are missing, and variables of another shape.
    except (AssertionError, ValueError) as error:
        raise errors.UserError(
            f"The checkpoint in {workdir} does not fit the model or the "
            "optimiser. Expected one written by this version of the program, "
            "of TensorFlow and of TensorFlow Addons. Go on with the version "
            "that wrote it, or train in a new --workdir."
        ) from error


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


def save_best(workdir: workdir_lib.Workdir, model: tf.keras.Model) -> None:
    """Writes weights that come from elsewhere as the best ones of a workdir.

    Raises:
      UserError: They cannot be written.
    """
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(model=model),
        os.fspath(workdir.best_checkpoints),
        max_to_keep=1,
    )
    with _explained_failures(workdir):
        manager.save(checkpoint_number=0)


def restore_best(workdir: workdir_lib.Workdir, model: tf.keras.Model) -> None:
    """Loads the best weights of a run into a model of its architecture.

    Raises:
      UserError: The run has not finished an epoch, or its weights are not of
        this architecture.
    """
    path = tf.train.latest_checkpoint(os.fspath(workdir.best_checkpoints))
    if path is None:
        raise errors.UserError(
            f"The run in {workdir} has no checkpoint yet. Expected one in "
            f"{workdir.best_checkpoints}, written after the first "
            "epoch. Let python -m ben_tf.train finish an epoch."
        )
    with _explained_mismatch(workdir):
        tf.train.Checkpoint(model=model).restore(
            path
        ).assert_existing_objects_matched().expect_partial()
