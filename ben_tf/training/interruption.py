"""Signals that end a run, of a scheduler or the keyboard: save, then stop."""

import contextlib
import os
import signal
import threading
import types
from collections.abc import Iterator

import tensorflow as tf

from ben_tf.training import checkpoints as checkpoints_lib
from ben_tf.training import devices

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Terminated(Exception):
    """The run was asked to stop, and can be resumed.

    Attributes:
      exit_code: What a shell reports for a process that the signal has ended.
    """

    def __init__(self, message: str, number: signal.Signals):
        super().__init__(message)
        self.exit_code = 128 + number


class StopOnSignal(tf.keras.callbacks.Callback):
    """Saves after the step in which SIGTERM or Ctrl-C comes, and stops `fit`.

    A second Ctrl-C stops at once, without saving.

    In validation it stops without saving: the run resumes from the checkpoint
    before. So do several workers, which can only save together.
    """

    def __init__(
        self, checkpoints: checkpoints_lib.Checkpoints, *, saves: bool = True
    ):
        super().__init__()
        self._checkpoints = checkpoints
        self._saves = saves
        self._signal: signal.Signals | None = None

    @contextlib.contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Takes the signals over, and gives them back to whoever had them."""
        # Python allows it in the main thread only.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {x: signal.signal(x, self._note) for x in _SIGNALS}
        try:
            yield
        except devices.LOST_WORKER:
            # Whoever asked this one to stop has stopped the other as well.
            self._stop_after_signal()
            raise
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """After the signal, saves and stops, unless the epoch's end is next.

        Raises:
          Terminated: The signal came, and the state is saved.
        """
        if not self._saves:
            self._stop_after_signal()
        elif self._signal and not self._checkpoints.is_between_epochs:
            self._checkpoints.save()
            raise Terminated(
                f"Stopped by {self._signal.name} after step "
                f"{self._checkpoints.steps_done}, saved. The same command "
                "resumes from there.",
                self._signal,
            )

    def on_test_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """After the signal, stops validation."""
        self._stop_after_signal()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """After the signal, stops; the epoch's checkpoint is written."""
        self._stop_after_signal()

    def _stop_after_signal(self) -> None:
        if self._signal:
            raise Terminated(
                f"Stopped by {self._signal.name}. The same command resumes "
                "from the last checkpoint.",
                self._signal,
            )

    def _note(self, number: int, frame: types.FrameType | None) -> None:
        if number == self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = signal.Signals(number)
        if number == signal.SIGINT:
            # Python's own streams must not be written to within a write.
            os.write(2, b"\nStopping after this step. Ctrl-C: at once.\n")
