"""A Dask cluster on loopback: a scheduler and workers, a process each."""

import contextlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Mapping

import distributed

ROOT = pathlib.Path(__file__).parents[3]
_DEADLINE_S = 120


class DaskProcesses:
    """What runs.

    Attributes:
      address: That of the scheduler.
      scheduler: Its process.
      workers: Those of the workers, which nobody starts again.
    """

    def __init__(self, folder: pathlib.Path):
        self._folder = folder
        self.workers: list[subprocess.Popen] = []
        self._file = folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler",
            "--host=127.0.0.1",
            "--port=0",
            "--no-dashboard",
            # Where nobody is left to end it.
            "--idle-timeout=900",
            f"--scheduler-file={self._file}",
        )
        with self.client() as client:
            self.address = client.scheduler.address

    @property
    def options(self) -> str:
        """For `beam_pipeline_options`."""
        return f"dask_client_address={self.address}"

    def client(self) -> distributed.Client:
        # It waits for the file of the scheduler.
        return distributed.Client(
            scheduler_file=str(self._file),
            timeout=_DEADLINE_S,
            set_as_default=False,
        )

    def add_workers(
        self,
        number: int,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Starts workers, each in a folder of its own, and waits for them."""
        for _ in range(number):
            self.workers.append(
                self._start(
                    "worker",
                    self.address,
                    "--host=127.0.0.1",
                    "--nthreads=1",
                    "--death-timeout=60",
                    "--no-nanny",
                    "--no-dashboard",
                    *arguments,
                    environment=environment,
                )
            )
        with self.client() as client:
            client.wait_for_workers(len(self.workers), timeout=_DEADLINE_S)

    def remove_workers(self) -> None:
        """Kills all, and waits until the scheduler knows it."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.workers.clear()
        with self.client() as client:
            while client.scheduler_info(n_workers=-1)["workers"]:
                client.sync(client._update_scheduler_info)

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def _start(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen:
        folder = self._folder / f"{arguments[0]}{len(self.workers)}"
        folder.mkdir(exist_ok=True)
        with (folder / "log").open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                # Another one than that of the command, as on other machines.
                cwd=folder,
                stdout=log,
                stderr=log,
                env=os.environ
                | {"PYTHONPATH": str(ROOT), "DASK_TEMPORARY_DIRECTORY": "."}
                | (environment or {}),
            )


@contextlib.contextmanager
def started(
    folder: pathlib.Path, *, num_workers: int = 2
) -> Iterator[DaskProcesses]:
    folder.mkdir(parents=True)
    dask = DaskProcesses(folder)
    try:
        if num_workers:
            dask.add_workers(num_workers)
        yield dask
    finally:
        dask.end()
