"""Takes the steps of a run, from where its checkpoints stand to the end."""

import os

import tensorflow as tf

from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.training import callbacks
from ben_tf.training import checkpoints as checkpoints_lib
from ben_tf.training import devices
from ben_tf.training import interruption
from ben_tf.training import runs
from ben_tf.training import weight_averaging


def fit(
    run: runs.Run,
    checkpoints: checkpoints_lib.Checkpoints,
    workdir: workdir_lib.Workdir,
) -> None:
    """Trains until the last epoch, or until patience is spent.

    Raises:
      UserError: The loss is no number, the workdir cannot be written, or memory
        does not suffice.
      interruption.Terminated: SIGTERM came.
      devices.LOST_WORKER: One of several workers is gone.
    """
    epoch, step = divmod(checkpoints.steps_done, run.steps_per_epoch)
    if step:
        # Keras knows no epoch that begins in its middle: it gets a `fit`.
        _fit(run, checkpoints, workdir, range(epoch, epoch + 1), step)
        # The chief may still be writing what all restore.
        devices.wait_for_all(run.strategy)
        # At its end Keras may have put averages in the place of the weights.
        checkpoints.restore_last()
        epoch += 1
    if epoch < run.config.epochs and not checkpoints.patience_is_spent:
        _fit(run, checkpoints, workdir, range(epoch, run.config.epochs), 0)
    if checkpoints.patience_is_spent:
        print(
            f"Stopped early: {checkpoints_lib.MONITOR} has not risen for "
            f"{run.config.early_stopping_patience} epochs."
        )


def _fit(
    run: runs.Run,
    checkpoints: checkpoints_lib.Checkpoints,
    workdir: workdir_lib.Workdir,
    epochs: range,
    first_step: int,
) -> None:
    """One call of Keras' `fit`."""
    stop_on_sigterm = interruption.StopOnSigterm(
        checkpoints, saves=devices.num_workers(run.strategy) == 1
    )
    results = [
        callbacks.History(workdir, num_epochs_done=epochs.start),
        tf.keras.callbacks.TensorBoard(
            os.fspath(workdir.logs), write_graph=False
        ),
    ]
    progress = callbacks.Progress(
        batch_size=run.config.batch_size,
        epochs=run.config.epochs,
        steps_per_epoch=run.steps_per_epoch,
        first_step=first_step,
    )
    is_chief = devices.is_chief(run.strategy)
    try:
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
                *(results if is_chief else []),
                weight_averaging.AverageInValidation(),
                checkpoints,
                *([progress] if is_chief else []),
                stop_on_sigterm,
            ],
        )
    except (OSError, tf.errors.ResourceExhaustedError) as error:
        reason = str(error).partition("\n")[0]
        if "OOM" in reason:
            raise errors.UserError(
                f"Memory does not suffice for a step of {run.config.batch_size}"
                f" patches: {reason}. Lower --batch_size or use a --precision "
                "of 16 bits."
            ) from error
        raise errors.UserError(
            f"Cannot write to the workdir {workdir}: {reason}. The last "
            "checkpoint is kept: make room, or make the folder writable, and "
            "the same command goes on from there."
        ) from error
    finally:
        stop_on_sigterm.release()
