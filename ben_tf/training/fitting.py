"""Trains a run from its last checkpoint to the end."""

import contextlib
import functools
import sys
from collections.abc import Sequence

import tensorflow as tf

from ben_tf import errors
from ben_tf import finite
from ben_tf import workdir as workdir_lib
from ben_tf.data import built_dataset
from ben_tf.data import records
from ben_tf.training import callbacks
from ben_tf.training import checkpoints as checkpoints_lib
from ben_tf.training import devices
from ben_tf.training import interruption
from ben_tf.training import runs
from ben_tf.training import tensorboard
from ben_tf.training import validation_charts
from ben_tf.training import weight_averaging


def make_checkpoints(
    run: runs.Run, workdir: workdir_lib.Workdir
) -> checkpoints_lib.Checkpoints:
    """What saves the state of a run, written to a workdir."""
    return checkpoints_lib.Checkpoints(
        workdir,
        model=run.model,
        optimizer=run.optimizer,
        metrics=run.epoch_metrics,
        steps_per_epoch=run.steps_per_epoch,
        every_steps=run.config.checkpoint_every_steps,
        patience=run.config.early_stopping_patience,
        check_data=functools.partial(
            built_dataset.check_unchanged,
            run.builder,
            built_dataset.state(run.builder),
        ),
    )


def fit(
    run: runs.Run,
    checkpoints: checkpoints_lib.Checkpoints,
    workdir: workdir_lib.Workdir,
    more_callbacks: Sequence[tf.keras.callbacks.Callback] = (),
) -> None:
    """Trains until the last epoch, or until patience is spent.

    Args:
      run: What to train.
      checkpoints: From `make_checkpoints`.
      workdir: The run's folder.
      more_callbacks: Called beside those of this package, by the chief.

    Raises:
      UserError: The loss, a weight, a statistic or a slot is NaN or infinite,
        records are damaged, the workdir cannot be written, or memory does not
        suffice.
      interruption.Terminated: SIGTERM or Ctrl-C came.
      devices.LOST_WORKER: One of several workers is gone.
    """
    epoch, step = divmod(checkpoints.steps_done, run.steps_per_epoch)
    if run.devices.is_chief and epoch:
        _say_what_history_lacks(workdir, num_epochs_done=epoch)
    if step:
        # Keras cannot begin in the middle of an epoch, so that its rest gets a
        # `fit` of its own.
        _fit(
            run,
            checkpoints,
            workdir,
            more_callbacks,
            range(epoch, epoch + 1),
            step,
        )
        # The chief may still be writing what all restore.
        run.devices.wait_for_all()
        # At its end Keras may have put averages in place of the weights.
        checkpoints.restore_last(workdir)
        epoch += 1
    if epoch < run.config.epochs and not checkpoints.is_patience_spent:
        _fit(
            run,
            checkpoints,
            workdir,
            more_callbacks,
            range(epoch, run.config.epochs),
            0,
        )
    if checkpoints.is_patience_spent:
        print(
            f"Stopped early: {workdir_lib.MONITOR} has not risen for "
            f"{run.config.early_stopping_patience} epochs."
        )


def _say_what_history_lacks(
    workdir: workdir_lib.Workdir, *, num_epochs_done: int
) -> None:
    rows = workdir.read_history() if workdir.history_file.exists() else []
    num_known = sum(int(row["epoch"]) <= num_epochs_done for row in rows)
    if num_known < num_epochs_done:
        print(
            f"{workdir.history_file} holds {num_known} of the "
            f"{num_epochs_done} epochs that are done. Training goes on; the "
            "curves will lack the others.",
            file=sys.stderr,
        )


def _fit(
    run: runs.Run,
    checkpoints: checkpoints_lib.Checkpoints,
    workdir: workdir_lib.Workdir,
    more_callbacks: Sequence[tf.keras.callbacks.Callback],
    epochs: range,
    first_step: int,
) -> None:
    """One call of Keras' `fit`."""
    stop_on_signal = interruption.StopOnSignal(
        checkpoints, saves=run.devices.num_workers == 1
    )
    results = [
        callbacks.History(workdir, num_epochs_done=epochs.start),
        tensorboard.TensorBoard(
            workdir,
            run.config,
            steps_per_epoch=run.steps_per_epoch,
            first_step=first_step,
            # What is drawn is computed by one process.
            validation=validation_charts.ValidationCharts(
                run, num_patches=run.config.tensorboard_patches
            )
            if run.devices.num_workers == 1
            else None,
        ),
        *more_callbacks,
    ]
    progress = callbacks.Progress(run, first_step=first_step)
    try:
        with (
            contextlib.closing(progress),
            stop_on_signal.handling_signals(),
            records.explained_errors(run.builder),
        ):
            run.fitted.fit(
                run.training_data(epochs.start, first_step),
                validation_data=run.validation_data(),
                initial_epoch=epochs.start,
                epochs=epochs.stop,
                steps_per_epoch=run.steps_per_epoch - first_step,
                verbose=0,
                callbacks=[
                    callbacks.NotFinite(
                        workdir,
                        first_step=first_step,
                        patch_names=run.training_patch_names,
                    ),
                    *(results if run.devices.is_chief else []),
                    weight_averaging.AverageInValidation(),
                    checkpoints.best,
                    checkpoints,
                    *([progress] if run.devices.is_chief else []),
                    stop_on_signal,
                ],
            )
    except finite.NotFinite as error:
        epoch, step = divmod(checkpoints.steps_done - 1, run.steps_per_epoch)
        raise errors.UserError(
            f"{error}, after step {step + 1} of epoch {epoch + 1}. The "
            "checkpoint before is kept. " + callbacks.REMEDY
        ) from error
    except (OSError, tf.errors.OpError) as error:
        if devices.is_out_of_memory(error):
            raise devices.out_of_memory(error, run.config.batch_size) from error
        if not isinstance(error, OSError | tf.errors.ResourceExhaustedError):
            raise
        raise checkpoints_lib.cannot_write(
            f"to the workdir {workdir}", error
        ) from error
