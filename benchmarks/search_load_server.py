"""The server that `search_load.py` loads, as a process, and what it takes."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import NamedTuple

import psutil
import search_load_clients as clients

_LEFT_BY_TENSORFLOW = "__autograph_generated_file"
_END_WITHIN_S = 60


class State(NamedTuple):
    """What the process takes.

    Attributes:
      mb: Memory of its own, 10^6 bytes: without files that it maps, such as
        the embeddings, which the system may drop.
      files: Open files and connections.
      threads: Threads.
    """

    mb: float
    files: int
    threads: int


class Server:
    """A running server."""

    def __init__(self, process: subprocess.Popen, address: clients.Address):
        """Watches a process."""
        self.address = address
        self._process = psutil.Process(process.pid)

    def state(self) -> State:
        """What it takes now."""
        memory = self._process.memory_info()
        return State(
            (memory.rss - memory.shared) / 1e6,
            self._process.num_fds(),
            self._process.num_threads(),
        )

    @contextlib.contextmanager
    def watched(self, every_s: float) -> Iterator[list[State]]:
        """Fills a list while something else is done."""
        states = [self.state()]
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.wait(every_s):
                states.append(self.state())
                print(states[-1], flush=True)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield states
        finally:
            is_over.set()
            thread.join()
            states.append(self.state())


def start(
    index: str | os.PathLike,
    data_dir: str | os.PathLike | None,
    *,
    stderr: int | None = None,
    **variables: str,
) -> subprocess.Popen[str]:
    """Starts a server, which prints its address once it listens.

    Args:
      index: Index folder.
      data_dir: Its dataset; None: that of its model.
      stderr: As for `subprocess.Popen`.
      **variables: Of its environment.
    """
    command = [sys.executable, "-m", "ben_tf.retrieval", "serve", "--port=0"]
    command.append(f"--index={os.fspath(index)}")
    if data_dir:
        command.append(f"--data_dir={os.fspath(data_dir)}")
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **variables},
    )


@contextlib.contextmanager
def run(
    index: str | os.PathLike,
    data_dir: str | os.PathLike | None,
    scratch: pathlib.Path,
    counts: clients.Counts,
) -> Iterator[Server]:
    """Starts a server; at its end counts "tracebacks" and files "left".

    Args:
      index: Index folder.
      data_dir: Its dataset; None: that of its model.
      scratch: Empty folder, for the server's temporary files.
      counts: Where to count.
    """
    process = start(
        index, data_dir, stderr=subprocess.PIPE, TMPDIR=os.fspath(scratch)
    )
    try:
        yield Server(process, _address(process))
    finally:
        process.send_signal(signal.SIGTERM)
        _, printed = process.communicate(timeout=_END_WITHIN_S)
    for path in scratch.rglob("*"):
        if not path.name.startswith(_LEFT_BY_TENSORFLOW):
            counts.add("left", path)
    if number := printed.count("Traceback"):
        counts.add("tracebacks", printed[-2000:], number)


def _address(process: subprocess.Popen) -> clients.Address:
    assert process.stdout is not None
    for line in process.stdout:
        if match := re.search(r"http://([\d.]+):(\d+)/", line):
            return clients.Address(match[1], int(match[2]))
    raise SystemExit(f"The server did not start: {process.communicate()[1]}")
