"""Trains in child processes that end themselves at given moments.

    python tests/ben_tf/training/interrupted_training.py CONFIG_JSON WORKDIR

Prints the exit code of each child, in JSON, in the order of `MOMENTS`. A child
is a fork of this process, which has imported everything and computed nothing.
"""

import json
import os
import pathlib
import signal
import sys
import traceback

import tensorflow as tf
from absl import flags

from ben_tf import train
from ben_tf.training import checkpoints
from ben_tf.training import trainer  # noqa: F401
from tests.ben_tf.training import tiny_networks


def _end_by(number: int) -> None:
    os.kill(os.getpid(), number)


def _in_the_first_step(*numbers: int) -> None:
    count = checkpoints.Checkpoints.on_train_batch_end

    def count_after_signals(self, batch, logs=None):
        for number in numbers:
            _end_by(number)
        count(self, batch, logs)

    checkpoints.Checkpoints.on_train_batch_end = count_after_signals


def _sigterm() -> None:
    _in_the_first_step(signal.SIGTERM)


def _ctrl_c() -> None:
    _in_the_first_step(signal.SIGINT)


def _ctrl_c_twice() -> None:
    _in_the_first_step(signal.SIGINT, signal.SIGINT)


def _kill_after_the_second_step() -> None:
    count = checkpoints.Checkpoints.on_train_batch_end

    def count_or_die(self, batch, logs=None):
        if self.steps_done == 1:
            _end_by(signal.SIGKILL)
        count(self, batch, logs)

    checkpoints.Checkpoints.on_train_batch_end = count_or_die


def _kill_during_a_save() -> None:
    """With half of the file written."""

    def die(manager):
        newest = max(
            pathlib.Path(manager.directory).glob("*.data*"),
            key=lambda path: path.stat().st_mtime_ns,
        )
        os.truncate(newest, newest.stat().st_size // 2)
        _end_by(signal.SIGKILL)

    tf.train.CheckpointManager._record_state = die


def _kill_after_an_epoch() -> None:
    """With its row and its best weights written, but not its state."""
    save = checkpoints.Checkpoints.save

    def save_or_die(self):
        if self.is_between_epochs:
            _end_by(signal.SIGKILL)
        save(self)

    checkpoints.Checkpoints.save = save_or_die


MOMENTS = (
    _ctrl_c_twice,
    _ctrl_c,
    _kill_after_the_second_step,
    _kill_during_a_save,
    _kill_after_an_epoch,
    _sigterm,
)


def _exit_code_of_child(prepare, main) -> int:
    child = os.fork()
    if not child:
        try:
            prepare()
            main()
        except SystemExit as error:
            os._exit(error.code)
        except KeyboardInterrupt:
            os._exit(1)
        except BaseException:
            traceback.print_exc()
        os._exit(99)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _main() -> None:
    tiny_networks.install(tiny_networks.stateful)
    config = json.loads(sys.argv[1])
    main = train.command()
    flags.FLAGS(
        [
            "train",
            f"--workdir={sys.argv[2]}",
            *(f"--{name}={value}" for name, value in config.items()),
        ]
    )
    codes = [_exit_code_of_child(prepare, main) for prepare in MOMENTS]
    print(json.dumps(codes))


if __name__ == "__main__":
    _main()
