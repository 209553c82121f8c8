"""Measures what feeds the training step: benchmarks/feeding.py [--pairs=2000].

Takes training batches of both sensors from the synthetic sample, as fast as
they come, with nothing trained: on 1, 2, 4, ... cores, as many as the machine
has, each in a process that may use no others. Roads, in turns:

  host            standardised, upsampled to 120 x 120 and stacked, in float32
  device          as they are on disk, for --preprocessing=device
  device, memory  the same from --cache=memory
  device, folder  the same from --cache=FOLDER, all of it in the page cache

The last lines, medians of --rounds:

  ROAD_per_core        pairs per second and core, on the most cores measured
  ROAD_cores_for_15000 cores that feed 15,000 pairs a second at that rate
"""

import itertools
import multiprocessing
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from absl import app
from absl import flags

_PAIRS = flags.DEFINE_integer("pairs", 2000, "Of the sample.", lower_bound=600)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 100, "Pairs in a batch.")
_BATCHES = flags.DEFINE_integer("batches", 100, "Batches to time in a round.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Medians are over so many.")
_GOAL = 15_000


def rates(
    cores: int,
    data_dir: str,
    folder: str,
    batch_size: int,
    num: int,
    rounds: int,
) -> dict[str, list[float]]:
    """Pairs per second of each road; runs in a process of its own."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    from ben_tf.data import built_dataset
    from ben_tf.data import input_pipeline
    from ben_tf.data import patch_cache
    from ben_tf.data import preprocessing

    builder = built_dataset.open_dataset(data_dir)
    prepared = preprocessing.Preprocessing()
    roads = {"host": (False, ""), "device": (True, "")}
    roads["device, memory"] = (True, patch_cache.MEMORY)
    roads["device, folder"] = (True, folder)

    def batches(on_device: bool, place: str) -> Iterator[Any]:
        spec = input_pipeline.BatchSpec(
            prepared,
            batch_size=batch_size,
            on_device=on_device,
            augment=True,
            shuffle_buffer=500,
        )
        cache = None
        if place:
            cache = patch_cache.open_cache(
                place,
                builder,
                "all",
                grids=prepared.raw_grids,
                num_classes=19,
            )
        data = input_pipeline.training_batches(
            builder, "all", spec, epochs=range(1 << 20), cache=cache
        )
        return iter(data)

    found: dict[str, list[float]] = {name: [] for name in roads}
    waiting = {name: batches(*road) for name, road in roads.items()}
    for name in [*roads] * (1 + rounds):
        # What was prefetched while the others had their turn does not count.
        for _ in itertools.islice(waiting[name], 20):
            pass
        start = time.perf_counter()
        for _ in itertools.islice(waiting[name], num):
            pass
        seconds = time.perf_counter() - start
        found[name].append(num * batch_size / seconds)
    # The first round compiles and fills the page cache.
    return {name: values[1:] for name, values in found.items()}


def main(_: list[str]) -> None:
    """Prints all rates and the figures."""
    from tfrecords_builder import dataset
    from tfrecords_builder import sample_writer

    most = len(os.sched_getaffinity(0))
    counts = [count for count in (1, 2, 4, 8, 16) if count <= most]
    processes = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        sample_writer.write_sample_archive(
            folder / "archive", num_pairs=_PAIRS.value
        )
        dataset.build(archive_dir=folder / "archive", data_dir=folder / "data")
        os.sync()
        for cores in counts:
            with processes.Pool(1) as pool:
                found = pool.apply(
                    rates,
                    (
                        cores,
                        str(folder / "data"),
                        str(folder / "cache"),
                        _BATCH_SIZE.value,
                        _BATCHES.value,
                        _ROUNDS.value,
                    ),
                )
            for name, values in found.items():
                rate = statistics.median(values)
                print(
                    f"{cores} cores, {name}: {rate:,.0f} pairs a second "
                    f"({min(values):,.0f} to {max(values):,.0f}), "
                    f"{rate / cores:,.0f} a core"
                )
    for name, values in found.items():
        of_core = statistics.median(values) / cores
        label = name.replace(", ", "_")
        print(f"{label}_per_core: {of_core:.0f}")
        print(f"{label}_cores_for_15000: {_GOAL / of_core:.1f}")


if __name__ == "__main__":
    app.run(main)
