"""Runs a function on many tasks in the workers of a cluster.

Tasks and results are JSON files in a folder that all workers see. A runner may
run a task twice, in turn or at once, or again after its worker has died. So a
result that is there is never computed again, also not by the same command given
again, and files that a function writes must be whole or not there.
"""

import contextlib
import dataclasses
import hashlib
import os
import re
import socket
import threading
import uuid
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import Generic
from typing import TypeVar

import msgspec
from etils import epath

from ben_tf import errors
from ben_tf import foreign_errors
from ben_tf.cluster import runners

Task = TypeVar("Task")
Result = TypeVar("Result")

_IDENTITY = "job.sha256"
_FAILED = "failed"
# Threads of a worker would share open files and compete for the interpreter.
_one_at_a_time = threading.Lock()
# The line of a traceback in a text that says what was raised.
_RAISED = re.compile(r"^[\w.]*(?:Error|Exception): (.*)", re.MULTILINE)
_WHERE = re.compile(r" \[while running .*")


@dataclasses.dataclass(frozen=True)
class Job(Generic[Task, Result]):
    """What to do with each task.

    Attributes:
      function: (task, shared) -> result; at the top level of a module that
        workers can import.
      task_type: Of the tasks, for msgspec.
      result_type: Of the results.
    """

    function: Callable[[Task, Any], Result]
    task_type: Any
    result_type: Any


class _Failure(msgspec.Struct, frozen=True):
    """An error that the user can mend, as a worker writes it down.

    Attributes:
      message: What it says; or, of an `ArchiveError`, the reason.
      place: The place of an `ArchiveError`; "" of others.
    """

    message: str
    place: str = ""

    def error(self) -> errors.UserError:
        """The error, to be raised here."""
        if self.place:
            return errors.ArchiveError(self.place, self.message)
        return errors.UserError(self.message)


def run(
    job: Job[Task, Result],
    tasks: Sequence[Task],
    shared: Any,
    *,
    folder: str | os.PathLike[str],
    cluster: runners.Cluster,
    identity: str = "",
) -> Iterator[Result]:
    """Runs all tasks, then yields their results in the tasks' order.

    Once a task has failed, those that have not begun are left out.

    Args:
      job: What to do.
      tasks: The first argument of each call.
      shared: The second argument of every call; picklable.
      folder: For tasks and results, seen by all workers under this name. The
        caller removes it when it needs no results any more.
      cluster: Where to run.
      identity: Tells what tasks depend on beside themselves. Results that are
        in the folder are used if this and the tasks are the same.

    Raises:
      errors.UserError: Of the first task that failed; or the cluster fails.
    """
    root = epath.Path(folder)
    _prepare(root, tasks, identity)
    left = [
        number
        for number in range(len(tasks))
        if not _result_file(root, number).exists()
    ]
    if left:
        _execute(job, left, shared, root, cluster)
    failed = root / _FAILED
    if failed.exists():
        raise msgspec.json.decode(failed.read_bytes(), type=_Failure).error()
    missing = [n for n in left if not _result_file(root, n).exists()]
    if missing:
        raise errors.UserError(
            f"{len(missing):,} of {len(tasks):,} tasks left no result in "
            f"{root}. Expected a folder on a disk that all workers of "
            f"{cluster.name} and this machine share, under the same name."
        )
    for number in range(len(tasks)):
        yield msgspec.json.decode(
            _result_file(root, number).read_bytes(), type=job.result_type
        )


def _prepare(root: epath.Path, tasks: Sequence[Any], identity: str) -> None:
    """Writes the tasks; removes results of other ones."""
    encoded = [msgspec.json.encode(task) for task in tasks]
    digest = hashlib.sha256(msgspec.json.encode((identity, len(encoded))))
    for content in encoded:
        digest.update(content)
    same = root / _IDENTITY
    if not same.exists() or same.read_text() != digest.hexdigest():
        root.rmtree(missing_ok=True)
        root.mkdir(parents=True)
        for number, content in enumerate(encoded):
            _task_file(root, number).write_bytes(content)
        same.write_text(digest.hexdigest())
    (root / _FAILED).unlink(missing_ok=True)


def _execute(
    job: Job[Any, Any],
    numbers: Sequence[int],
    shared: Any,
    root: epath.Path,
    cluster: runners.Cluster,
) -> None:
    beam = runners.import_beam()
    pipeline = beam.Pipeline(runner=cluster.runner, options=cluster.options)
    _ = (
        pipeline
        | beam.Create(numbers)
        | beam.Reshuffle()
        # Beam checks annotations and cannot check protocols.
        | beam.Map(_do, job=job, shared=shared, folder=os.fspath(root))
    )
    with _explained(cluster):
        if cluster.is_dask:
            from ben_tf.cluster import dask_cluster

            dask_cluster.run(pipeline, cluster.options, os.fspath(root))
        else:
            pipeline.run().wait_until_finish()


def _do(number: int, job: Any, shared: Any, folder: str) -> None:
    """Runs on a worker."""
    root = epath.Path(folder)
    with _one_at_a_time:
        if (root / _FAILED).exists() or _result_file(root, number).exists():
            return
        try:
            content = _task_file(root, number).read_bytes()
        except FileNotFoundError as error:
            raise errors.UserError(
                f"The worker on {socket.gethostname()} does not see {root}. "
                "Expected a folder on a disk that all workers share, under the "
                "same name."
            ) from error
        task = msgspec.json.decode(content, type=job.task_type)
        # An exception would reach the user as a traceback of the runner.
        try:
            result = job.function(task, shared)
        except Exception as error:
            failure = _failure(error)
            if failure is None:
                raise
            _write(root / _FAILED, failure)
        else:
            _write(_result_file(root, number), result)


def _failure(error: Exception) -> _Failure | None:
    if type(error) is errors.ArchiveError:
        return _Failure(error.reason, error.place)
    if isinstance(error, errors.UserError):
        return _Failure(str(error))
    sentence = foreign_errors.sentence(error)
    return None if sentence is None else _Failure(sentence)


def _write(path: epath.Path, content: Any) -> None:
    """Writes a file whole or not at all, whoever else writes it meanwhile."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    part.write_bytes(msgspec.json.encode(content))
    part.replace(path)


@contextlib.contextmanager
def _explained(cluster: runners.Cluster) -> Iterator[None]:
    """Says in a sentence that a runner fails; `verbose` shows where."""
    try:
        yield
    except errors.UserError:
        raise
    except Exception as error:
        raised = _RAISED.findall(str(error))
        reason = raised[-1] if raised else errors.first_line(error)
        reason = _WHERE.sub("", reason)[:400].strip(". ")
        raise errors.UserError(
            f"{cluster.name} fails: {reason}. Run the same command again once "
            "that is mended: what was finished is kept."
        ) from error


def _task_file(root: epath.Path, number: int) -> epath.Path:
    return root / f"{number:06}.task.json"


def _result_file(root: epath.Path, number: int) -> epath.Path:
    return root / f"{number:06}.result.json"
