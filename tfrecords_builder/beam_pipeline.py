"""Writes shards on Apache Beam: Flink, Spark, Dataflow or this machine.

A worker calls the same function as a local process does, so the files are the
same. Archive and dataset must lie on a file system that all workers see. Tasks
and results travel as small JSON files next to the shards, because the graph of
a pipeline must stay small.
"""

import types
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import msgspec
from etils import epath

from ben_tf import errors
from ben_tf.archive import patch_sources
from tfrecords_builder import kept_shards
from tfrecords_builder import shards


def run(
    tasks: Sequence[shards.ShardTask],
    archive: patch_sources.Archive,
    *,
    runner: Any,
    options: Any,
) -> Iterator[shards.ShardResult]:
    """Runs a pipeline to its end, then yields the results in the tasks' order.

    Args:
      tasks: See `kept_shards.write_shard`.
      archive: The sources of both sensors.
      runner: A Beam runner or its name; None: as in the options.
      options: Beam's `PipelineOptions` or None.

    Raises:
      errors.ArchiveError: A pair is damaged and its task does not skip.
    """
    beam = import_beam()
    for task in tasks:
        _task_file(task.path).write_bytes(msgspec.json.encode(task))
    with beam.Pipeline(runner=runner, options=options) as pipeline:
        _ = (
            pipeline
            | beam.Create([task.path for task in tasks])
            | beam.Reshuffle()
            | beam.Map(_write_shard, archive=archive)
        )
    for task in tasks:
        _task_file(task.path).unlink()
        result_file = _result_file(task.path)
        result = msgspec.json.decode(
            result_file.read_bytes(), type=shards.ShardResult
        )
        result_file.unlink()
        if result.skipped and not task.skip_damaged:
            raise errors.ArchiveError(
                result.skipped[0].place, result.skipped[0].reason
            )
        yield result


def parse_options(text: str | None) -> Any:
    """Returns Beam's `PipelineOptions` for "name=value,name=value" or None.

    Raises:
      errors.UserError: Apache Beam is not installed.
    """
    options = import_beam().options.pipeline_options
    names = (text or "").split(",")
    return options.PipelineOptions(
        flags=[f"--{name}" for name in names if name]
    )


def import_beam() -> types.ModuleType:
    """Returns the module apache_beam.

    Raises:
      errors.UserError: It is not installed.
    """
    try:
        import apache_beam
    except ImportError as error:
        raise errors.UserError(
            "Apache Beam is not installed. Install it with pip install "
            "'.[beam]', or leave out `beam_runner`."
        ) from error
    return apache_beam


# Beam checks annotations and cannot check the protocol of an archive.
def _write_shard(path: str, archive: Any) -> None:
    task = msgspec.json.decode(
        _task_file(path).read_bytes(), type=shards.ShardTask
    )
    # An exception would reach the user as text in a traceback of the runner.
    result = kept_shards.write_shard(task._replace(skip_damaged=True), archive)
    _result_file(path).write_bytes(msgspec.json.encode(result))


def _task_file(path: str) -> epath.Path:
    return epath.Path(path + ".task.json")


def _result_file(path: str) -> epath.Path:
    return epath.Path(path + ".result.json")
