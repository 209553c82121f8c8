"""Callbacks of training: history, progress bar, alarm when the loss is NaN."""

import math
import time
from collections.abc import Callable

import tensorflow as tf
import tqdm

from ben_tf import errors
from ben_tf import files
from ben_tf import workdir as workdir_lib
from ben_tf.training import runs

REMEDY = (
    "Lower `learning_rate`, set `clip_norm=1` or use `precision=float32`; in a "
    "new `workdir`, since this one would meet the same step again."
)


class History(tf.keras.callbacks.Callback):
    """Keeps history.csv: one row per epoch, complete after every epoch.

    Columns: epoch (from 1), seconds, learning_rate, then loss, metrics and
    their validation counterparts. A resumed run keeps the rows of the epochs
    that are done. The metrics of an epoch that was interrupted are those
    of the whole epoch; its seconds count from the interruption.
    """

    def __init__(self, workdir: workdir_lib.Workdir, *, num_epochs_done: int):
        super().__init__()
        self._workdir = workdir
        self._rows: list[dict[str, str]] = []
        if num_epochs_done and workdir.history_file.exists():
            self._rows = [
                row
                for row in workdir.read_history()
                if int(row["epoch"]) <= num_epochs_done
            ]

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        """Starts the clock."""
        self._start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Adds a row and replaces the file."""
        rate = tf.convert_to_tensor(self.model.optimizer.learning_rate)
        row = {
            "epoch": str(epoch + 1),
            "seconds": f"{time.monotonic() - self._start:.2f}",
            # repr of a float gives it back to the last digit.
            "learning_rate": repr(float(rate)),
            **{name: repr(float(value)) for name, value in logs.items()},
        }
        self._rows.append(row)
        self._workdir.write_history(self._rows)


class NotFinite(tf.keras.callbacks.Callback):
    """Stops before anything is saved when the loss is NaN or infinite.

    The names of the batch's patches go to not_finite.json. They are looked up
    only then, so other steps pay nothing.
    """

    def __init__(
        self,
        workdir: workdir_lib.Workdir,
        *,
        first_step: int,
        patch_names: Callable[[int, int], list[str]],
    ):
        """Watches the loss of each step.

        Args:
          workdir: Where to write not_finite.json.
          first_step: Steps of the first epoch that are left out.
          patch_names: From epoch and step within it, both from 0, to names.
        """
        super().__init__()
        self._path = workdir.not_finite_file
        self._first_step = first_step
        self._patch_names = patch_names

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        """Remembers the epoch; only the first one may begin midway."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Stops if the loss is NaN or infinite."""
        if math.isfinite(logs["loss"]):
            return
        step = self._first_step + batch
        names = self._patch_names(self._epoch, step)
        files.write_json(
            self._path,
            {
                "epoch": self._epoch + 1,
                "step": step + 1,
                "loss": str(logs["loss"]),
                "patches": names,
            },
        )
        raise errors.UserError(
            f"The loss is {logs['loss']} since step {step + 1} of epoch "
            f"{self._epoch + 1}, whose {len(names)} patches are "
            f"{', '.join(names[:3])} and others, all in {self._path}. Look at "
            f"them. {REMEDY}"
        )


class Progress(tf.keras.callbacks.Callback):
    """A progress bar for each epoch that ends as one line of results."""

    def __init__(self, run: runs.Run, *, first_step: int):
        super().__init__()
        self._batch_size = run.config.batch_size
        self._epochs = run.config.epochs
        self._steps_per_epoch = run.steps_per_epoch
        self._first_step = first_step
        self._bar = tqdm.tqdm(disable=True)

    def close(self) -> None:
        """Removes the bar of an epoch that has not come to its end."""
        self._bar.close()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        """Opens the bar."""
        self._bar = tqdm.tqdm(
            total=self._steps_per_epoch * self._batch_size,
            initial=self._first_step * self._batch_size,
            desc=f"epoch {epoch + 1}/{self._epochs}",
            unit="patch",
            leave=False,
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Moves the bar."""
        self._bar.update(self._batch_size)
        self._bar.set_postfix(loss=f"{logs['loss']:.4f}", refresh=False)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Replaces the bar by the epoch's results."""
        seconds = self._bar.format_dict["elapsed"]
        self._bar.close()
        print(
            f"epoch {epoch + 1:3d}/{self._epochs}"
            f"  loss {logs['loss']:.4f}"
            f"  val_loss {logs['val_loss']:.4f}"
            f"  val macro F1 {logs['val_macro_f1']:.3f}"
            f"  val macro AP {logs[workdir_lib.MONITOR]:.3f}"
            f"  {seconds:.0f} s",
            flush=True,
        )
