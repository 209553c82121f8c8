r"""Trains a small network in a process of its own.

    python tests/ben_tf/training/distributed_training.py CONFIG_JSON WORKDIR \
        [--network=smooth] [--num_devices=2] \
        [--end_after_step=3 [--signal=9]] [--dry_run]

With --dry_run it says afterwards what the run would take.
"""

import argparse
import json
import os
import signal

import tensorflow as tf
from absl import flags

from ben_tf import errors
from ben_tf import train
from ben_tf.training import checkpoints
from tests.ben_tf.training import tiny_networks


def _end_after(step: int, signal_number: int) -> None:
    """Ends this process after a step."""
    count = checkpoints.Checkpoints.on_train_batch_end

    def count_and_end(self, batch, logs=None):
        count(self, batch, logs)
        if self.steps_done == step:
            os.kill(os.getpid(), signal_number)

    checkpoints.Checkpoints.on_train_batch_end = count_and_end


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("workdir")
    parser.add_argument(
        "--network", choices=("smooth", "stateful"), default="smooth"
    )
    parser.add_argument("--num_devices", type=int, default=1)
    parser.add_argument("--end_after_step", type=int, default=0)
    parser.add_argument("--signal", type=int, default=signal.SIGKILL)
    parser.add_argument("--dry_run", action="store_true")
    arguments = parser.parse_args()
    tiny_networks.install(getattr(tiny_networks, arguments.network))
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * arguments.num_devices
    )
    if arguments.end_after_step:
        _end_after(arguments.end_after_step, arguments.signal)
    main = train.command()
    config = json.loads(arguments.config)
    flags.FLAGS(
        [
            "train",
            f"--workdir={arguments.workdir}",
            *(f"--{name}={value}" for name, value in config.items()),
        ]
    )
    try:
        main()
        if arguments.dry_run:
            flags.FLAGS.dry_run = True
            main()
    except errors.UserError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    _main()
