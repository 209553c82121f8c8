"""Measures work on a cluster: python benchmarks/scale.py [--pairs=4000].

The pixels of the six real pairs under real names are converted by two processes
of this machine, and by a Dask cluster of a scheduler and two workers of one
thread on loopback, in turns. Median of --rounds, after one that is not counted:
workers are there already, and have imported what they need. The archive is in
the page cache. Ends with one line a figure, `name: number`:

  dask_of_local      pairs per second on Dask over those of two processes
  pairs_per_second   of two processes

What Dask costs is the same for few pairs and many: Beam's graph, and the check
of the workers before it, a second or so together. So the share grows with the
pairs.
"""

import pathlib
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import build
import turns
from absl import flags

from ben_tf import command_line

NUM_WORKERS = 2


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    num_pairs = flags.DEFINE_integer("pairs", 4000, "Pairs of the archive.")
    num_rounds = flags.DEFINE_integer("rounds", 5, "Repetitions.")
    scratch_dir = flags.DEFINE_string("scratch_dir", None, "Where to work.")

    def main() -> None:
        with tempfile.TemporaryDirectory(dir=scratch_dir.value) as scratch:
            report(pathlib.Path(scratch), num_pairs.value, num_rounds.value)

    return main


def report(scratch: pathlib.Path, num_pairs: int, num_rounds: int) -> None:
    """Measures and prints."""
    import distributed

    from tfrecords_builder import dataset

    archive_dir = scratch / "archive"
    build.make_archive(archive_dir, num_pairs)

    def convert(**options: Any) -> None:
        data_dir = scratch / "data"
        dataset.build(archive_dir=archive_dir, data_dir=data_dir, **options)
        shutil.rmtree(data_dir)

    with distributed.LocalCluster(
        n_workers=NUM_WORKERS,
        threads_per_worker=1,
        dashboard_address=None,
        local_directory=str(scratch / "dask"),
    ) as cluster:
        local_seconds, dask_seconds = turns.compare(
            lambda: convert(num_workers=NUM_WORKERS),
            lambda: convert(
                beam_runner="DaskRunner",
                beam_pipeline_options=(
                    f"dask_client_address={cluster.scheduler_address}"
                ),
            ),
            rounds=num_rounds,
        )
    print(f"dask_of_local: {local_seconds / dask_seconds:.2f}")
    print(f"pairs_per_second: {num_pairs / local_seconds:.0f}")


if __name__ == "__main__":
    command_line.run(command)
