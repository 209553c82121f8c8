"""What a Dask cluster needs: its workers are checked, watched and kept busy.

Without workers Dask waits for ever, with workers of other versions it fails
somewhere in the middle, and Beam gives 128 tasks at a time to one of them.
"""

import contextlib
import importlib.metadata
import logging
import os
import platform
from collections.abc import Iterator
from typing import Any

import ben_tf
from ben_tf import errors

# How often to look whether there are workers left, and for how long to wait for
# new ones: a nanny or a batch system starts them again.
_LOOK_S = 2.0
_PATIENCE_S = 60.0
_CONNECT_S = 10
# What a worker must have in the same version.
_PACKAGES = ("apache-beam", "dask", "distributed", "numpy")
_SEES = "sight of the folder"
_START = (
    "Start workers with dask worker HOST:8786 --nworkers=N --nthreads=1, in an "
    "environment like this one."
)


def spread(options: Any) -> None:
    """Lets each task go to the next free worker, unless the options say how.

    Args:
      options: Beam's `PipelineOptions`, which are changed.
    """
    dask_options = _view(options)
    if not (dask_options.partition_size or dask_options.npartitions):
        dask_options.partition_size = 1


def check(options: Any, folder: str | None = None) -> None:
    """Tries the cluster that options name, if they name one.

    Args:
      options: Beam's `PipelineOptions`.
      folder: A folder that all workers must see; None: not known yet.

    Raises:
      errors.UserError: The scheduler cannot be reached, there are no workers,
        or they have other versions or do not see the folder.
    """
    address = _view(options).address or _view(options).scheduler_file
    if address:
        with _quiet(), _client(options, address) as client:
            _check(client, address, folder)


def run(pipeline: Any, options: Any, folder: str) -> None:
    """Runs a pipeline of Beam to its end.

    Args:
      pipeline: With a DaskRunner.
      options: Its options.
      folder: A folder that all workers must see.

    Raises:
      errors.UserError: The scheduler cannot be reached, there are no workers
        or none any more, they have other versions or do not see the folder.
      Exception: Of a task.
    """
    check(options, folder)
    with _quiet():
        result = pipeline.run()
        # Beam leaves it open, and with it a cluster that it started itself.
        with result.client:
            _wait(result)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides Dask's log, tracebacks and all: our errors say what is wrong."""
    import distributed  # noqa: F401 - It sets levels when it is imported.

    loggers = [
        logging.getLogger(name)
        for name in ("distributed", "distributed.client")
    ]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _view(options: Any) -> Any:
    from apache_beam.runners.dask import dask_runner

    return options.view_as(dask_runner.DaskOptions)


@contextlib.contextmanager
def _client(options: Any, address: str) -> Iterator[Any]:
    import distributed

    known = _view(options)
    try:
        client = distributed.Client(
            address=known.address,
            scheduler_file=known.scheduler_file,
            timeout=known.timeout or _CONNECT_S,
            set_as_default=False,
        )
    except (OSError, ValueError) as error:
        raise errors.UserError(
            f"There is no Dask scheduler at {address}: "
            f"{errors.first_line(error)}. Start one with dask scheduler, and "
            "name it in `beam_pipeline_options`: "
            "dask_client_address=HOST:8786."
        ) from error
    with client:
        yield client


def _check(client: Any, address: str, folder: str | None) -> None:
    if not num_workers(client):
        raise errors.UserError(
            f"The Dask scheduler at {address} has no workers. {_START}"
        )
    here = _facts(folder)
    found = client.run(_facts, folder, on_error="return")
    for worker, there in sorted(found.items()):
        if isinstance(there, Exception):
            raise errors.UserError(
                f"The Dask worker {worker} cannot run this package: "
                f"{errors.first_line(there)}. {_START}"
            )
        for what, expected in here.items():
            received = there.get(what, "none")
            if received == expected:
                continue
            if what == _SEES:
                raise errors.UserError(
                    f"The Dask worker {worker} does not see {folder}. Expected "
                    "a folder on a disk that all workers and this machine "
                    "share, under the same name."
                )
            raise errors.UserError(
                f"The Dask worker {worker} has {what} {received}. Expected "
                f"{expected}, as here. {_START}"
            )


def _facts(folder: str | None) -> dict[str, str]:
    """Runs here and on each worker."""
    versions = {"Python": ".".join(platform.python_version_tuple()[:2])}
    versions["ben_tf"] = ben_tf.__version__
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions | {_SEES: str(folder is None or os.path.isdir(folder))}


def num_workers(client: Any) -> int:
    """How many workers the scheduler of a client has now."""
    return len(client.scheduler_info(n_workers=-1)["workers"])


def _wait(result: Any) -> None:
    """Waits for a pipeline, as long as there are workers."""
    import distributed

    lonely_s = 0.0
    try:
        while not all(future.done() for future in result.futures):
            with contextlib.suppress(TimeoutError):
                distributed.wait(result.futures, timeout=_LOOK_S)
                continue
            lonely_s = 0.0 if num_workers(result.client) else lonely_s + _LOOK_S
            if lonely_s > _PATIENCE_S:
                result.cancel()
                raise errors.UserError(
                    "All workers of the Dask cluster are gone. Start workers "
                    "and run the same command again: what was finished is kept."
                )
        for future in result.futures:
            future.result()
    except distributed.scheduler.KilledWorker as error:
        raise errors.UserError(
            f"Workers of the Dask cluster were killed while they ran the same "
            f"task, the last one {error.last_worker.address}, as systems do "
            "when memory runs out. Give workers more memory, and run the same "
            "command again: what was finished is kept."
        ) from error
    except distributed.CancelledError as error:
        raise errors.UserError(
            "The connection to the Dask scheduler was lost. Run the same "
            "command again once it is there: what was finished is kept."
        ) from error
