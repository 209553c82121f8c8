"""Runs shard tasks in several processes, or in this one."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures
from multiprocessing import connection

from tfrecords_builder import archive as archive_lib
from tfrecords_builder import shards

_archive: archive_lib.Archive | None = None


def write_shards(
    tasks: Sequence[shards.ShardTask],
    *,
    archive: archive_lib.Archive,
    num_workers: int,
) -> Iterator[shards.ShardResult]:
    """Yields the results in the order of the tasks.

    Raises:
      errors.ArchiveError: See `shards.write_shard`; open tasks are given up.
    """
    num_workers = min(num_workers, len(tasks))
    if num_workers <= 1:
        yield from (shards.write_shard(task, archive) for task in tasks)
        return
    # A fork of this process could copy locks that TensorFlow's threads hold.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with futures.ProcessPoolExecutor(
        num_workers,
        mp_context=context,
        initializer=_start_worker,
        initargs=(archive,),
    ) as executor:
        try:
            yield from executor.map(_write_shard, tasks)
        finally:
            executor.shutdown(cancel_futures=True)


def _start_worker(archive: archive_lib.Archive) -> None:
    global _archive
    _archive = archive
    # Without this a worker would outlive a parent that is killed.
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _write_shard(task: shards.ShardTask) -> shards.ShardResult:
    return shards.write_shard(task, _archive)
