"""Checkpoints: the state from which a run resumes, and its best weights."""

import contextlib
import functools
import math
import os
import pathlib
import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence

import tensorflow as tf

from ben_tf import errors
from ben_tf import finite
from ben_tf import workdir as workdir_lib
from ben_tf.training import checkpoint_files
from ben_tf.training import devices
from ben_tf.training import keras_internals
from ben_tf.training import weight_averaging

# Chooses the best checkpoint: needs no threshold, so it does not depend on how
# well the probabilities are calibrated early in training.


def has_state(workdir: workdir_lib.Workdir) -> bool:
    """Whether a run has saved a state from which it would resume.

    Raises:
      UserError: It has, but files of it are missing or damaged.
    """
    if not checkpoint_files.newest_first(workdir.last_checkpoints):
        return False
    # The best weights are needed only at the end, which may be hours away.
    for path in checkpoint_files.newest_first(workdir.best_checkpoints)[:1]:
        checkpoint_files.check_complete(path)
    return True


# What TensorFlow calls the variable in a checkpoint.
_EPOCH = "epoch/.ATTRIBUTES/VARIABLE_VALUE"


class BestWeights(tf.keras.callbacks.Callback):
    """Saves the weights of the epoch with the highest `workdir.MONITOR`.

    They are the averages, where weights are averaged. Ends `fit` after
    `patience` epochs without a better one; 0: never.
    """

    def __init__(
        self,
        workdir: workdir_lib.Workdir,
        model: tf.keras.Model,
        optimizer: tf.keras.optimizers.Optimizer,
        *,
        patience: int,
        check_data: Callable[[], object],
    ):
        super().__init__()
        self.value = tf.Variable(-math.inf, dtype=tf.float64, trainable=False)
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._workdir = workdir
        self._optimizer = optimizer
        self._patience = patience
        self._check_data = check_data
        self._manager = _best_manager(workdir, model, epoch=self.epoch)

    def is_patience_spent(self, epochs_done: int) -> bool:
        """Whether the best epoch is `patience` epochs ago."""
        waited = epochs_done - int(self.epoch.numpy())
        return 0 < self._patience <= waited

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Saves the weights if they are the best."""
        value = logs[workdir_lib.MONITOR]
        # NaN (no class with a positive) is never better, but a run must end
        # with some weights.
        if value > self.value.numpy() or not epoch:
            self._check_data()
            self.value.assign(value if not math.isnan(value) else -math.inf)
            self.epoch.assign(epoch + 1)
            with weight_averaging.averaged(self.model, self._optimizer):
                _save(self._manager, self._workdir, self.model.variables)
        if self.is_patience_spent(epoch + 1):
            self.model.stop_training = True


class Checkpoints(tf.keras.callbacks.Callback):
    """Saves the state every so many steps and after every epoch.

    `checkpoints/last` holds weights, optimiser, random generators, the running
    metrics of the epoch and the progress, so that the same command resumes
    after an interruption as if there had been none. `best`, a callback of its
    own in front of this one, is part of the progress.

    A checkpoint counts once the file `checkpoint` next to it names it, which is
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
        check_data: Callable[[], object] = lambda: None,
    ):
        """Puts together the state to save.

        Args:
          workdir: The run's folder.
          model: The network.
          optimizer: With its slots.
          metrics: Running metrics of an epoch.
          steps_per_epoch: Batches of an epoch.
          every_steps: Steps between two checkpoints within an epoch; 0: none.
          patience: Of `BestWeights`.
          check_data: Raises if nothing must be saved, since the dataset is
            another one by now.
        """
        super().__init__()
        self.best = BestWeights(
            workdir,
            model,
            optimizer,
            patience=patience,
            check_data=check_data,
        )
        self._check_data = check_data
        self._workdir = workdir
        self._model = model
        self._optimizer = optimizer
        self._metrics = list(metrics)
        self._steps_per_epoch = steps_per_epoch
        self._every_steps = every_steps
        self._steps_done = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._state = tf.train.Checkpoint(
            model=model,
            optimizer=optimizer,
            random_generators=keras_internals.random_generators(model),
            metrics=self._metrics,
            steps_done=self._steps_done,
            best=self.best.value,
            best_epoch=self.best.epoch,
        )
        self._resumed_from: str | None = None
        self._manager = tf.train.CheckpointManager(
            self._state, os.fspath(workdir.last_checkpoints), max_to_keep=2
        )

    def restore_last(self, workdir: workdir_lib.Workdir) -> int:
        """Restores the newest state; returns the number of steps done.

        Where that is damaged, the one before it, and says so.

        Args:
          workdir: The run's folder, also where this worker writes elsewhere.

        Raises:
          UserError: All are damaged, or it holds other variables than this
            program's, or NaN.
        """
        damaged: list[checkpoint_files.Damaged] = []
        for path in checkpoint_files.newest_first(workdir.last_checkpoints):
            try:
                checkpoint_files.check_complete(path)
                with checkpoint_files.explained(path):
                    self._state.restore(path).assert_existing_objects_matched()
            except checkpoint_files.Damaged as error:
                damaged.append(error)
                continue
            finite.check(self._variables, f"The weights and slots in {path}")
            self._resumed_from = path
            for found in damaged:
                print(f"{found.what} Going on from {path}.", file=sys.stderr)
            return self.steps_done
        if damaged:
            raise damaged[0]
        return self.steps_done

    @property
    def _variables(self) -> list[tf.Variable]:
        """Weights, statistics of normalisation and slots."""
        return [
            *self._model.variables,
            *keras_internals.optimizer_variables(self._optimizer),
        ]

    @property
    def steps_done(self) -> int:
        """Steps of the state in memory, over all epochs."""
        return int(self._steps_done.numpy())

    @property
    def is_between_epochs(self) -> bool:
        """Whether all steps of an epoch are done."""
        return self.steps_done % self._steps_per_epoch == 0

    @property
    def is_patience_spent(self) -> bool:
        """Whether as many epochs as were given have passed without a better."""
        epochs_done = self.steps_done // self._steps_per_epoch
        return self.best.is_patience_spent(epochs_done)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        """Restores running metrics when an epoch resumes midway."""
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

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Counts the step, and saves when it is time."""
        self._steps_done.assign_add(1)
        # The last step of an epoch is followed by the epoch's own checkpoint.
        if (
            self._every_steps
            and self.steps_done % self._every_steps == 0
            and not self.is_between_epochs
        ):
            self.save()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Saves the whole state; comes after that of `best`."""
        self.save()

    def save(self) -> None:
        """Saves the whole state.

        Raises:
          UserError: It cannot be written, or the dataset was changed. The one
            before is kept.
          finite.NotFinite: The weights, statistics or slots are NaN or
            infinite. The one before is kept.
        """
        self._check_data()
        if self._statistics:
            tf.distribute.get_strategy().run(self._agree)
        _save(self._manager, self._workdir, self._variables)

    @functools.cached_property
    def _statistics(self) -> list[tf.Variable]:
        """Statistics of normalisation of which each device has its own."""
        if tf.distribute.get_strategy().num_replicas_in_sync == 1:
            return []
        return [
            x
            for x in self._model.variables
            if x.synchronization == tf.VariableSynchronization.ON_READ
        ]

    @tf.function
    def _agree(self) -> None:
        """Gives them the mean on all devices, which a checkpoint holds.

        Going on from it, a run does what it does when it resumes from there.
        """
        means = tf.distribute.get_replica_context().all_reduce(
            tf.distribute.ReduceOp.MEAN,
            [x.read_value() for x in self._statistics],
        )
        for variable, mean in zip(self._statistics, means, strict=True):
            variable.assign(mean)


def _save(
    manager: tf.train.CheckpointManager,
    workdir: workdir_lib.Workdir,
    variables: Iterable[tf.Variable],
) -> None:
    """Writes the next checkpoint, of variables that are finite."""
    finite.check(variables, "The network and its optimiser")
    number = checkpoint_files.next_number(pathlib.Path(manager.directory))
    with _explained_failures(workdir):
        manager.save(checkpoint_number=number)


def _best_manager(
    workdir: workdir_lib.Workdir, model: tf.keras.Model, **more: tf.Variable
) -> tf.train.CheckpointManager:
    """Keeps one checkpoint of the weights, and of their epoch if given."""
    return tf.train.CheckpointManager(
        tf.train.Checkpoint(model=model, **more),
        os.fspath(workdir.best_checkpoints),
        max_to_keep=1,
    )


@contextlib.contextmanager
def _explained_failures(workdir: workdir_lib.Workdir) -> Iterator[None]:
    """Says in one sentence that a checkpoint could not be written."""
    try:
        yield
    except devices.LOST_WORKER:
        raise
    except (OSError, tf.errors.OpError) as error:
        raise cannot_write(f"a checkpoint to {workdir}", error) from error


def cannot_write(what: str, error: Exception) -> errors.UserError:
    """Says in one sentence why a run stops, and that it can be resumed."""
    return errors.UserError(
        f"Cannot write {what}: {errors.first_line(error)}. The last checkpoint "
        "is kept: make room, or make the folder writable, and the same command "
        "resumes from there."
    )


def save_best(workdir: workdir_lib.Workdir, model: tf.keras.Model) -> None:
    """Writes imported weights as the best ones of a workdir.

    Raises:
      UserError: They cannot be written, or are NaN or infinite.
    """
    finite.check(model.variables, "The imported weights")
    with _explained_failures(workdir):
        _best_manager(workdir, model).save(checkpoint_number=0)


def restore_best(workdir: workdir_lib.Workdir, model: tf.keras.Model) -> int:
    """Loads the best weights of a run into a model of its architecture.

    Returns:
      Their epoch, from 1; 0 for imported weights, and for those of before.

    Raises:
      UserError: The run has not finished an epoch, or its weights are damaged,
        not of this architecture, NaN or infinite.
    """
    paths = checkpoint_files.newest_first(workdir.best_checkpoints)
    if not paths:
        raise errors.UserError(
            f"The run in {workdir} has no checkpoint yet. Expected one in "
            f"{workdir.best_checkpoints}, written after the first "
            "epoch. Let python -m ben_tf.train finish an epoch."
        )
    checkpoint_files.check_complete(paths[0])
    with checkpoint_files.explained(paths[0]):
        tf.train.Checkpoint(model=model).restore(
            paths[0]
        ).assert_existing_objects_matched().expect_partial()
        reader = tf.train.load_checkpoint(paths[0])
        epoch = (
            int(reader.get_tensor(_EPOCH)) if reader.has_tensor(_EPOCH) else 0
        )
    finite.check(model.variables, f"The weights in {paths[0]}")
    return epoch
