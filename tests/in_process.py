"""Runs a command as `python -m` would, without starting a process."""

import contextlib
import dataclasses
import io
import logging
import os
import runpy
import sys
import warnings
from collections.abc import Callable
from unittest import mock

from absl import app
from absl.testing import flagsaver

# So that those of a first command are not taken back after it.
app.define_help_flags()


@dataclasses.dataclass(frozen=True)
class Finished:
    """Attributes as those of `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


def run(
    module: str, *arguments: object, cwd: str | os.PathLike = "."
) -> Finished:
    """Runs `python -m MODULE ARGUMENTS` in this process; see `call`."""

    def start() -> None:
        runpy.run_module(module, run_name="__main__", alter_sys=True)

    return call(start, module, *arguments, cwd=cwd)


def call(
    start: Callable[[], object],
    module: str,
    *arguments: object,
    cwd: str | os.PathLike = ".",
) -> Finished:
    """Calls a function as if the interpreter had been started for it.

    Flags, warnings and logging are as before afterwards.
    """
    stdout, stderr = io.StringIO(), io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    returncode = 0
    with (
        mock.patch.object(sys, "argv", [module, *map(str, arguments)]),
        mock.patch.dict(os.environ),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        warnings.catch_warnings(),
        flagsaver.flagsaver(),
    ):
        try:
            start()
        except SystemExit as error:
            returncode = error.code or 0
        finally:
            root.handlers[:], root.level = handlers, level
    return Finished(returncode, stdout.getvalue(), stderr.getvalue())
