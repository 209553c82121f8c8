"""Runs shard tasks on Apache Beam: Flink, Spark, Dataflow or this machine.

Each worker calls the same function as a local process does, so the files are
the same. Archive and dataset must lie on a file system that all workers see.
Tasks and results travel as small JSON files beside the shards, because the
graph of a pipeline must stay small.
"""

import json
import types
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from etils import epath

from ben_tf import errors
from ben_tf.archive import official_lists
from ben_tf.archive import patch_pair
from ben_tf.archive import patch_sources
from tfrecords_builder import shards


def run(
    tasks: Sequence[shards.ShardTask],
    archive: patch_sources.Archive,
    *,
    runner: Any,
    options: Any,
) -> Iterator[shards.ShardResult]:
    """Runs the pipeline to its end, then yields the results in tasks' order.

    Args:
      tasks: See `shards.write_shard`.
      archive: The sources of both sensors.
      runner: A Beam runner or its name; None: as in the options.
      options: Beam's `PipelineOptions` or None.

    Raises:
      errors.ArchiveError: A pair is damaged and its task does not skip.
    """
    beam = import_beam()
    for task in tasks:
        _task_file(task.path).write_text(_task_to_json(task))
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
        result = _result_from_json(result_file.read_text())
        result_file.unlink()
        if result.skipped and not task.skip_damaged:
            raise errors.ArchiveError(
                result.skipped[0].place, result.skipped[0].reason
            )
        yield result


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
            "'.[beam]', or leave out --beam_runner."
        ) from error
    return apache_beam


# Beam checks annotations and cannot check the protocol of an archive.
def _write_shard(path: str, archive: Any) -> None:
    task = _task_from_json(_task_file(path).read_text())
    # An exception would reach the user as text in a traceback of the runner.
    result = shards.write_shard(task._replace(skip_damaged=True), archive)
    _result_file(path).write_text(_result_to_json(result))


def _task_file(path: str) -> epath.Path:
    return epath.Path(path + ".task.json")


def _result_file(path: str) -> epath.Path:
    return epath.Path(path + ".result.json")


# Named tuples are JSON lists.


def _task_to_json(task: shards.ShardTask) -> str:
    return json.dumps(task)


def _task_from_json(text: str) -> shards.ShardTask:
    task = shards.ShardTask(*json.loads(text))
    return task._replace(
        pairs=[official_lists.OfficialPatch(*pair) for pair in task.pairs]
    )


def _result_to_json(result: shards.ShardResult) -> str:
    return json.dumps(result)


def _result_from_json(text: str) -> shards.ShardResult:
    split, path, num_bytes, metadata, skipped = json.loads(text)
    return shards.ShardResult(
        split,
        path,
        num_bytes,
        metadata=[_pair_from_json(values) for values in metadata],
        skipped=[shards.SkippedPair(*row) for row in skipped],
    )


def _pair_from_json(values: list) -> patch_pair.PatchPair:
    pair = patch_pair.PatchPair(*values)
    easting, northing = pair.upper_left
    return pair._replace(
        official=official_lists.OfficialPatch(*pair.official),
        labels=tuple(pair.labels),
        upper_left=(easting, northing),
    )
