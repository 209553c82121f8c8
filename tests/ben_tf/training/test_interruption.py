"""What a run that was asked to stop does when it loses a worker.

Runs that are stopped for real are in `test_restart` and
`test_distributed_training`.
"""

import os
import signal

import pytest
import tensorflow as tf

from ben_tf.training import devices
from ben_tf.training import interruption


def _lose_a_worker(error, number=None) -> None:
    stop = interruption.StopOnSignal(checkpoints=None, saves=False)
    with stop.handling_signals():
        if number:
            os.kill(os.getpid(), number)
        raise error(None, None, "Worker 1 is gone.")


@pytest.mark.parametrize("error", devices.LOST_WORKER)
@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
def test_who_was_asked_to_stop_does_not_wait(error, number, exit_code):
    with pytest.raises(interruption.Terminated) as raised:
        _lose_a_worker(error, number)
    assert raised.value.exit_code == exit_code


@pytest.mark.parametrize("error", devices.LOST_WORKER)
def test_who_was_not_asked_waits(error):
    with pytest.raises(error):
        _lose_a_worker(error)


def test_signals_are_given_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(interruption.Terminated):
        _lose_a_worker(tf.errors.UnavailableError, signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
