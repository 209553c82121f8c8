"""Runs commands as forks of a process that has imported everything.

A fork starts at once, where a command needs seconds to import TensorFlow. The
parent must have computed nothing: TensorFlow's threads do not survive a fork.
"""

import atexit
import contextlib
import ctypes
import importlib
import mmap
import os
import pathlib
import pkgutil
import runpy
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from collections.abc import Sequence

_LIBRARY = "file_operations"
_NUMBERS = struct.Struct("3q")
_END_TIMEOUT_S = 60
# Of Linux: root reads and writes whatever the permissions say.
_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_CAPABILITY_VERSION_3 = 0x20080522


def restart_with_counter() -> pathlib.Path:
    """Starts this process anew with `file_operations.c` preloaded.

    Returns in the process that was started so, with all imported that the
    commands import.

    Returns:
      The folder of the library, to be removed at the very end: forks have the
      library, but what they start loads it anew.
    """
    preloaded = os.environ.get("LD_PRELOAD", "").split()
    libraries = [x for x in preloaded if _LIBRARY in x]
    if not libraries:
        folder = tempfile.mkdtemp(prefix="survival_")
        library = os.path.join(folder, f"{_LIBRARY}.so")
        source = pathlib.Path(__file__).with_name(f"{_LIBRARY}.c")
        subprocess.run(
            [
                *("cc", "-shared", "-fPIC", "-O1", "-D_LARGEFILE64_SOURCE"),
                *("-o", library, str(source), "-ldl"),
            ],
            check=True,
        )
        os.environ["LD_PRELOAD"] = " ".join([library, *preloaded])
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    for package in ("ben_tf", "tfrecords_builder"):
        for module in pkgutil.walk_packages(
            importlib.import_module(package).__path__, f"{package}."
        ):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    # What commands import where they need it.
    for name in ("matplotlib.pyplot", "faiss", "sklearn.metrics", "zstandard"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    return pathlib.Path(libraries[0]).parent


class Process:
    """A command that runs.

    Attributes:
      log: File with what it has printed.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        here: pathlib.Path,
        *,
        kill_at: int = 0,
    ):
        """Starts it.

        Args:
          module: What `python -m` would run.
          arguments: Its arguments.
          here: Folder for its output and temporary files; the log lies beside
            it.
          kill_at: File operation at which it is killed; 0: none.
        """
        number = time.monotonic_ns()
        self.log = here.parent / f"log.{number}"
        temporary = here / "tmp"
        temporary.mkdir(exist_ok=True)
        counter = here.parent / f"count.{number}"
        counter.write_bytes(_NUMBERS.pack(0, kill_at, 0))
        self._start = time.monotonic()
        self._pid = os.fork()
        if not self._pid:
            _become(module, arguments, self.log, temporary, counter)
        self._counter = counter
        self._exit_code: int | None = None

    def kill(self) -> None:
        """As kill -9 does, the process alone and not its workers."""
        if self._exit_code is None:
            os.kill(self._pid, signal.SIGKILL)

    def end(self, timeout_s: float = 600) -> int:
        """Waits for it and its workers; returns the exit code.

        Raises:
          TimeoutError: It, or a worker of it, goes on running.
        """
        deadline = time.monotonic() + timeout_s
        while self._exit_code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._exit_code = os.waitstatus_to_exitcode(status)
                self.seconds = time.monotonic() - self._start
                deadline = time.monotonic() + _END_TIMEOUT_S
            elif time.monotonic() > deadline:
                self._stop()
                raise TimeoutError(f"no end in {timeout_s} s")
            else:
                time.sleep(0.005)
        while _group_runs(self._pid):
            if time.monotonic() > deadline:
                self._stop()
                raise TimeoutError("workers go on without it")
            time.sleep(0.005)
        return self._exit_code

    def _stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)

    @property
    def file_operations(self) -> int:
        """How many it has done so far, with its workers."""
        count, _, _ = _NUMBERS.unpack(self._counter.read_bytes())
        return count

    def printed(self) -> str:
        """Its standard output and standard error."""
        return self.log.read_text(errors="replace")


def _group_runs(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _become(
    module: str,
    arguments: Sequence[str],
    log: pathlib.Path,
    temporary: pathlib.Path,
    counter: pathlib.Path,
) -> None:
    """Turns this fork into the command; does not return."""
    code: object = 99
    try:
        os.setsid()
        _obey_permissions()
        nowhere = os.open(os.devnull, os.O_RDONLY)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for target, source in ((0, nowhere), (1, output), (2, output)):
            os.dup2(source, target)
        os.environ["TMPDIR"] = str(temporary)
        tempfile.tempdir = None
        os.environ["FILE_OPERATIONS"] = str(counter)
        ctypes.CDLL(None).count_in(os.fsencode(counter))
        with counter.open("r+b") as file:
            numbers = mmap.mmap(file.fileno(), _NUMBERS.size)
        sys.argv = [module, *arguments]
        sys.modules.pop(module, None)  # To be run, not imported.
        # From here on file operations count.
        struct.pack_into("q", numbers, 16, os.getpid())
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def _obey_permissions() -> None:
    """Makes root respect permissions, in this process and what it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    data = ctypes.create_string_buffer(struct.calcsize("6I"))
    libc.capget(header, data)
    effective, permitted, *others = struct.unpack("6I", data.raw)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        # Refused where there is nothing to give up.
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        effective &= ~(1 << capability)
        permitted &= ~(1 << capability)
    libc.capset(header, struct.pack("6I", effective, permitted, *others))


@contextlib.contextmanager
def folder(parent: pathlib.Path) -> Iterator[pathlib.Path]:
    """A new folder below another, which logs go to; removed at the end."""
    path = pathlib.Path(tempfile.mkdtemp(dir=parent))
    here = path / "here"
    here.mkdir()
    try:
        yield here
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def small_disk(folder: pathlib.Path, num_bytes: int) -> Iterator[None]:
    """Mounts an empty file system of a size over a folder; root alone may."""
    _mount(folder, "-t", "tmpfs", "-o", f"size={num_bytes}", "tmpfs")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def enlarge_disk(folder: pathlib.Path) -> None:
    """Gives a `small_disk` all the room that there is."""
    _mount(folder, "-o", "remount,size=50%")


def _mount(folder: pathlib.Path, *arguments: str) -> None:
    subprocess.run(["mount", *arguments, str(folder)], check=True)
