"""Measures training steps: python benchmarks/train_step.py [--rounds=5].

Trains the very model that `ben_tf.train` compiles, on both sensors, from
TFRecords (parsed, shuffled, standardised and upsampled meanwhile) and from
batches that lie ready in memory. Makes its own, synthetic data. Every figure is
the median over --rounds of ratios of two neighbouring measurements. The last
lines, for resnet50 and k_branch_cnn:

  of_in_memory_MODEL    steps per second from TFRecords over those from memory
  device_of_host_MODEL  steps per second with --preprocessing=device over those
                        with --preprocessing=host

  finite_cost_train_MODEL   the part of a step's time that goes into checking
                        that records are finite: 0.01 is 1 %

Before them: patches per second of each.
"""

import dataclasses
import functools
import itertools
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from unittest import mock

from absl import flags

from ben_tf import command_line
from ben_tf import config as config_lib

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from ben_tf.training import runs as runs_lib

# Model -> patches in a step and steps of a measurement: some seconds each.
_SIZES = {"resnet50": (16, 10), "k_branch_cnn": (64, 20)}
_WARM_UP_STEPS = 3
_CHECKED_BATCH = 100


def measure(
    run: "runs_lib.Run", dataset: "tf.data.Dataset", *, num_steps: int
) -> float:
    """Patches per second of training on a dataset, after some first steps."""
    step = run.fitted.make_train_function()
    batches = iter(dataset)
    for _ in range(_WARM_UP_STEPS):
        step(batches)
    start = time.perf_counter()
    for _ in range(num_steps):
        # Reading the loss waits for the step to end.
        float(step(batches)["loss"])
    return num_steps * run.config.batch_size / (time.perf_counter() - start)


def in_memory(run: "runs_lib.Run", *, num_batches: int) -> "tf.data.Dataset":
    """Some batches of the training data, over and over, as they are."""
    import tensorflow as tf

    batches = list(itertools.islice(run.training_data(0), num_batches))
    datasets = [tf.data.Dataset.from_tensors(batch) for batch in batches]
    return functools.reduce(lambda a, b: a.concatenate(b), datasets).repeat()


def measure_check_seconds(builder: "tfds.core.DatasetBuilder") -> float:
    """Seconds of a core that checking a record takes while it is parsed."""
    import tensorflow as tf

    from ben_tf.data import preprocessing
    from ben_tf.data import records

    files = builder.info.splits["train"].filepaths
    dataset = tf.data.TFRecordDataset(list(map(str, files)))
    batch = next(iter(dataset.batch(_CHECKED_BATCH)))

    def make_parser() -> Callable:
        @tf.function
        def parse(serialized: "tf.Tensor") -> object:
            return records.parse_batch(
                serialized,
                grids=preprocessing.Preprocessing().raw_grids,
                num_classes=19,
            )

        parse(batch)
        return parse

    def seconds(parse: Callable) -> float:
        start = time.process_time()
        parse(batch)
        return time.process_time() - start

    checking = make_parser()
    with mock.patch.object(records, "_refuse", lambda *_: tf.no_op()):
        unchecking = make_parser()
    more = [seconds(checking) - seconds(unchecking) for _ in range(200)]
    return statistics.median(more) / len(batch)


def compare(
    config: config_lib.Config, *, num_steps: int, rounds: int
) -> dict[str, list[float]]:
    """Contestant -> patches per second, by round."""
    from ben_tf.data import built_dataset
    from ben_tf.training import devices
    from ben_tf.training import runs as runs_lib

    builder = built_dataset.open_dataset(config.data_dir)
    runs = {
        where: runs_lib.make_run(
            dataclasses.replace(config, preprocessing=where),
            builder,
            devices.make_devices("one_device"),
        )
        for where in ("host", "device")
    }
    ready = in_memory(runs["host"], num_batches=4)
    contestants = {
        "memory": (runs["host"], ready),
        "host": (runs["host"], runs["host"].training_data(0)),
        "device": (runs["device"], runs["device"].training_data(0)),
    }
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    # The first round compiles and settles memory; it does not count.
    for is_measured in [False] + [True] * rounds:
        for name, (run, dataset) in contestants.items():
            rate = measure(run, dataset, num_steps=num_steps)
            if is_measured:
                rates[name].append(rate)
    return rates


def command() -> Callable[[], None]:
    """Defines the flags; returns what the script does."""
    rounds = flags.DEFINE_integer(
        "rounds", 5, "Medians are over so many.", lower_bound=1
    )
    pairs = flags.DEFINE_integer("pairs", 1000, "Pairs of the sample archive.")

    def main() -> None:
        command_line.import_tensorflow()
        from ben_tf.data import built_dataset
        from tfrecords_builder import dataset
        from tfrecords_builder import sample_writer

        figures = {}
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch)
            sample_writer.write_sample_archive(
                folder / "archive", num_pairs=pairs.value
            )
            dataset.build(
                archive_dir=folder / "archive", data_dir=folder / "data"
            )
            check_seconds = measure_check_seconds(
                built_dataset.open_dataset(folder / "data")
            )
            for model, (batch_size, num_steps) in _SIZES.items():
                config = config_lib.Config(
                    data_dir=str(folder / "data"),
                    model=model,
                    batch_size=batch_size,
                    # Small, so that records are read throughout.
                    shuffle_buffer=2 * batch_size,
                    train_split="all",
                )
                rates = compare(
                    config, num_steps=num_steps, rounds=rounds.value
                )
                for name, values in rates.items():
                    print(
                        f"{model}, {name}: {statistics.median(values):.1f} "
                        f"patches per second ({min(values):.1f} to "
                        f"{max(values):.1f})"
                    )
                for figure, first, second in (
                    ("of_in_memory", "host", "memory"),
                    ("device_of_host", "device", "host"),
                ):
                    figures[f"{figure}_{model}"] = statistics.median(
                        a / b
                        for a, b in zip(
                            rates[first], rates[second], strict=True
                        )
                    )
                # All cores take part in a step.
                figures[f"finite_cost_train_{model}"] = (
                    check_seconds
                    * statistics.median(rates["host"])
                    / (os.cpu_count() or 1)
                )
        for name, value in figures.items():
            print(f"{name}: {value:.4f}")

    return main


if __name__ == "__main__":
    command_line.run(command)
