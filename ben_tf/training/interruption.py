"""SIGTERM, with which schedulers announce the end: save, then stop."""

import contextlib
import signal
import threading
import types
from collections.abc import Iterator

import tensorflow as tf

from ben_tf.training import checkpoints as checkpoints_lib

# What a shell reports for a process that SIGTERM has ended.
EXIT_CODE = 128 + signal.SIGTERM


class Terminated(Exception):
    """The run was asked to stop, and can be resumed."""


class StopOnSigterm(tf.keras.callbacks.Callback):
    """Saves after the step during which SIGTERM arrives, and stops `fit`.

    In validation it stops without saving: the run resumes from the checkpoint
    before. So do several workers, which can only save together.
    """

    def __init__(
        self, checkpoints: checkpoints_lib.Checkpoints, *, saves: bool = True
    ):
        super().__init__()
        self._checkpoints = checkpoints
        self._saves = saves
        self._is_terminated = False

    @contextlib.contextmanager
    def handling_signal(self) -> Iterator[None]:
        """Takes the signal over, and gives it back to whoever had it."""
        # Python allows it in the main thread only.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = signal.signal(signal.SIGTERM, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, previous)

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """After the signal, saves and stops, unless the epoch's end is next.

        Raises:
          Terminated: The signal came, and the state is saved.
        """
        if not self._saves:
            self._stop_after_signal()
        elif self._is_terminated and not self._checkpoints.is_between_epochs:
            self._checkpoints.save()
            raise Terminated(
                f"Stopped by SIGTERM after step {self._checkpoints.steps_done}"
                ", saved. The same command resumes from there."
            )

    def on_test_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """After the signal, stops validation."""
        self._stop_after_signal()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """After the signal, stops; the epoch's checkpoint is written."""
        self._stop_after_signal()

    def _stop_after_signal(self) -> None:
        if self._is_terminated:
            raise Terminated(
                "Stopped by SIGTERM. The same command resumes from the last "
                "checkpoint."
            )

    def _note(self, signal_number: int, frame: types.FrameType | None) -> None:
        self._is_terminated = True
