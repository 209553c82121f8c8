"""Runs a function on many tasks in worker processes, or in this one."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures
from multiprocessing import connection
from multiprocessing import forkserver
from multiprocessing import resource_tracker
from typing import Any
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

# What `_start_worker` sets in each process.
_function: Callable[[Any, Any], Any]
_shared: Any


def run(
    function: Callable[[Task, Any], Result],
    tasks: Sequence[Task],
    shared: Any,
    *,
    num_workers: int | None,
) -> Iterator[Result]:
    """Yields `function(task, shared)` for each task, in the tasks' order.

    The first exception ends the iteration and cancels the remaining tasks.

    Args:
      function: At the top level of a module, so that it can be pickled.
      tasks: The first argument of each call.
      shared: The second argument of every call, sent once to each worker.
      num_workers: Number of processes; 1 runs in this process; None: one for
        each core that this process may use.
    """
    num_cores = len(os.sched_getaffinity(0))
    num_workers = min(num_workers or num_cores, len(tasks))
    if num_workers <= 1:
        yield from (function(task, shared) for task in tasks)
        return
    # A fork of this process could copy locks that TensorFlow's threads hold.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([function.__module__])
    _start_server()
    with futures.ProcessPoolExecutor(
        num_workers,
        mp_context=context,
        initializer=_start_worker,
        initargs=(function, shared),
    ) as executor:
        try:
            with _hidden_main():
                results = executor.map(_call, tasks)
            yield from results
        finally:
            executor.shutdown(cancel_futures=True)


def _start_server() -> None:
    """Starts the process that starts the others, deaf to Ctrl-C as they are.

    The terminal sends that to all of them, and each would print where it was.
    They end with this process, which hears it. A signal that is blocked stays
    so in what a process starts, and reaches this one a moment later.
    """
    # It would let the signal through again when it starts its own process.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _hidden_main() -> Iterator[None]:
    """Keeps new processes from running the program that asked for them again.

    Each would import it first, as multiprocessing does for functions that are
    defined there. Ours are not, and a script without an `if __name__ ==
    "__main__"` would start all over in every worker.
    """
    main = sys.modules["__main__"]
    hidden: dict[str, Any] = {
        name: main.__dict__.pop(name)
        for name in ("__file__", "__spec__")
        if name in main.__dict__
    }
    main.__spec__ = None
    try:
        yield
    finally:
        main.__dict__.update(hidden)


def _start_worker(function: Callable[[Any, Any], Any], shared: Any) -> None:
    global _function, _shared
    _function = function
    _shared = shared
    # Without this a worker would outlive a parent that is killed.
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
    os._exit(1)


def _call(task: Any) -> Any:
    return _function(task, _shared)
