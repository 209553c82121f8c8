"""Writes shards on a cluster: Dask, Flink, Spark, Dataflow or this machine.

A worker calls the same function as a local process does, so the files are the
same. Archive and dataset must lie on a file system that all workers see.
"""

import os
from collections.abc import Iterator
from collections.abc import Sequence

from etils import epath

from ben_tf.archive import patch_sources
from ben_tf.cluster import runners
from ben_tf.cluster import tasks as cluster_tasks
from tfrecords_builder import kept_shards
from tfrecords_builder import shards

_FOLDER = "tasks"


def run(
    tasks: Sequence[shards.ShardTask],
    archive: patch_sources.Archive,
    *,
    folder: epath.Path,
    cluster: runners.Cluster,
) -> Iterator[shards.ShardResult]:
    """Runs a pipeline to its end, then yields the results in the tasks' order.

    Args:
      tasks: See `kept_shards.write_shard`.
      archive: The sources of both sensors; absolute paths.
      folder: That of the shards; it takes tasks and results for a while.
      cluster: Where to run.

    Raises:
      errors.ArchiveError: A pair is damaged and its task does not skip.
      errors.UserError: The cluster fails.
    """
    task_folder = epath.Path(absolute(folder)) / _FOLDER
    job = cluster_tasks.Job(
        kept_shards.write_shard, shards.ShardTask, shards.ShardResult
    )
    yield from cluster_tasks.run(
        job,
        [
            task._replace(path=absolute(task.path), kept=absolute(task.kept))
            for task in tasks
        ],
        archive,
        folder=task_folder,
        cluster=cluster,
    )
    task_folder.rmtree()
    # Of workers that were killed.
    for part in folder.glob(f"*{shards.PART}"):
        part.unlink()


def absolute(path: str | os.PathLike[str]) -> str:
    """Returns a path as workers need it, whose working directory is another."""
    path = os.fspath(path)
    return path if not path or "://" in path else os.path.abspath(path)
