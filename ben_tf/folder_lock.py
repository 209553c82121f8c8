"""One process at a time writes to a folder, also on the disks of clusters.

A lock of the system ends with its process, whatever ends that. Network folders
answer in their own ways: NFS locks only files that are open for writing, and
where no lock service runs, NFS and Lustre know no locks at all. There a file
that says who writes has to do.
"""

import contextlib
import contextvars
import errno
import fcntl
import os
import pathlib
import sys
from collections.abc import Iterator

from ben_tf import errors
from ben_tf import files

_LOCK = ".lock"
_OWNER = ".lock.owner"
_NO_LOCKS = {
    errno.EBADF,
    errno.EINVAL,
    errno.ENOLCK,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
}
# Folders that a caller of this function holds already.
_held: contextvars.ContextVar[frozenset[str]] = contextvars.ContextVar(
    "held", default=frozenset()
)


@contextlib.contextmanager
def alone_in(folder: str | os.PathLike[str], *, message: str) -> Iterator[None]:
    """Locks a folder, which is created if it is not there.

    Who holds the lock may take it again, further down in the same calls.

    Args:
      folder: The folder; a file ".lock" stays in it.
      message: What to tell who comes second, a sentence or two.

    Raises:
      errors.UserError: Another process holds the lock.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    name = os.path.realpath(folder)
    if name in _held.get():
        yield
        return
    token = _held.set(_held.get() | {name})
    try:
        with _locked(folder, message):
            yield
    finally:
        _held.reset(token)


@contextlib.contextmanager
def _locked(folder: pathlib.Path, message: str) -> Iterator[None]:
    with (folder / _LOCK).open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Locks of NFS answer with either.
        except (BlockingIOError, PermissionError) as error:
            raise errors.UserError(message) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            print(
                f"{folder} knows no locks ({error.strerror}); the file "
                f"{_OWNER} in it says who writes there.",
                file=sys.stderr,
            )
            with _owned(folder / _OWNER, message):
                yield
            return
        yield


@contextlib.contextmanager
def _owned(path: pathlib.Path, message: str) -> Iterator[None]:
    """Creates a file that only one process can create, and removes it."""
    me = f"{files.host()} {os.getpid()}"
    if _is_left_over(path):
        path.unlink(missing_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(me)
    except FileExistsError as error:
        host, _, process = _read(path).partition(" ")
        raise errors.UserError(
            f"{message} Process {process} on {host} says so in {path}; if it "
            "is there no more, remove that file, which holds nothing else."
        ) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _is_left_over(path: pathlib.Path) -> bool:
    """Whether the process that made the file ran here and has ended."""
    host, _, process = _read(path).partition(" ")
    return (
        host == files.host()
        and process.isdecimal()
        and not files.is_running(int(process))
    )


def _read(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:200]
    except FileNotFoundError:
        return ""
