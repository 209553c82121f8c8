"""Functions that tests run on workers, which import this file."""

import errno
import os
import pathlib
import signal
from typing import NamedTuple

from ben_tf import errors
from ben_tf.cluster import tasks


class Task(NamedTuple):
    """What to do, and a number to double."""

    what: str
    number: int


class Result(NamedTuple):
    """The number doubled, and who did it."""

    doubled: int
    process: int


def double(task: Task, shared: str) -> Result:
    """Appends to a file of the folder `shared` that it was called."""
    folder = pathlib.Path(shared)
    with (folder / f"calls_{task.number}").open("a") as calls:
        calls.write("x")
    match task.what:
        case "user":
            raise errors.UserError(f"Number {task.number} is odd. Use `even`.")
        case "archive":
            raise errors.ArchiveError("S2A_X", "is missing.")
        case "disk":
            raise OSError(errno.ENOSPC, "No space left on device", "/x/y")
        case "defect":
            raise TypeError("the number has no wings")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "die once":
            try:
                (folder / "died").touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        case str() as what if what.startswith("kill "):
            os.kill(int(what.split()[1]), signal.SIGKILL)
            signal.pause()
    return Result(2 * task.number, os.getpid())


def double_bravely(task: Task, shared: str) -> Result:
    """Whatever the task says."""
    return double(task._replace(what="double"), shared)


JOB = tasks.Job(double, Task, Result)
BRAVE_JOB = tasks.Job(double_bravely, Task, Result)
