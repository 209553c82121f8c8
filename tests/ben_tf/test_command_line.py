"""What all commands share leaves other programs of absl alone."""

import errno
import pathlib
import subprocess
import sys
import zlib

import pytest
from absl import flags

from ben_tf import command_line
from ben_tf import errors
from tests import in_process

ROOT = pathlib.Path(__file__).parents[2]


def test_importing_defines_no_flag():
    assert callable(command_line.run)
    assert "verbose" not in flags.FLAGS


def test_arguments_are_shown_as_flags_where_there_are_some(monkeypatch):
    parsed = flags.FlagValues()
    flags.DEFINE_integer("batch_size", 4, "", flag_values=parsed)
    monkeypatch.setattr(flags, "FLAGS", parsed)
    message = "Lower `batch_size` or set `batch_size=2`; see `ks`."
    assert command_line.with_flags(message) == (
        "Lower --batch_size or set --batch_size=2; see `ks`."
    )


def start(main, *arguments) -> in_process.Finished:
    """Runs a command that does what `main` does."""
    return in_process.call(
        lambda: command_line.run(lambda: main), "command", *arguments
    )


def raising(error: BaseException):
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.UserError("Lower `verbose`."), "error: Lower --verbose.\n"),
        (
            errors.ArchiveError("a/b.tif", "is truncated."),
            "error: a/b.tif is truncated.\n",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/x/y"),
            "error: /x/y: No space left on device. Make room, or choose a "
            "place on another disk. --verbose shows where.\n",
        ),
        (zlib.error("Error -3"), "error: A compressed file is damaged"),
        (MemoryError(), "error: The memory does not suffice"),
        (RecursionError("deep"), "error: A file is nested too deeply"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "error: Broken pipe."),
    ],
)
def test_what_a_user_can_mend_is_a_sentence(error, expected):
    finished = start(raising(error))
    assert finished.returncode == 1
    assert finished.stderr.startswith(expected)
    assert finished.stderr.count("\n") == 1
    assert not finished.stdout


@pytest.mark.parametrize(
    "error", [errors.UserError("what"), OSError(errno.EIO, "what")]
)
def test_verbose_shows_where(error):
    with pytest.raises(type(error)) as info:
        start(raising(error), "--verbose")
    assert info.value.__notes__[0].startswith("error: what")


@pytest.mark.parametrize(
    "error", [TypeError("x"), KeyError("x"), AssertionError(), ValueError("x")]
)
def test_a_defect_keeps_its_traceback_and_asks_to_be_reported(error):
    with pytest.raises(type(error)) as info:
        start(raising(error))
    (note,) = info.value.__notes__
    assert "Please report it" in note


def test_an_interruption():
    finished = start(raising(KeyboardInterrupt()))
    assert finished.returncode == 130
    (line,) = finished.stderr.splitlines()
    assert "Interrupted." in line and "the same command goes on" in line


ENDLESS_MODEL = """
import threading
import tensorflow as tf
from ben_tf import command_line, errors

has_begun = threading.Event()
matrix = tf.ones((8_000, 8_000))

@tf.function
def multiply():
    with tf.control_dependencies([tf.py_function(has_begun.set, [], [])]):
        return tf.matmul(matrix, matrix)

def main():
    threading.Thread(target=multiply, daemon=True).start()
    has_begun.wait()
    raise errors.NoAnswerError("No answer.")

command_line.run(lambda: main)
"""


@pytest.mark.slow
def test_a_model_that_still_computes_does_not_hold_or_break_the_end():
    finished = subprocess.run(
        [sys.executable, "-c", ENDLESS_MODEL],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert finished.stderr.endswith("error: No answer.\n")


def test_flagfiles_are_read_in_the_same_way(tmp_path):
    path = tmp_path / "x.flags"
    path.write_bytes(b"--verbose\xff\n")
    finished = start(lambda: None, f"--flagfile={path}")
    assert finished.returncode == 1
    assert finished.stderr.startswith("error: A text is not UTF-8")
    for content in (tmp_path, tmp_path / "absent"):
        finished = start(lambda: None, f"--flagfile={content}")
        assert finished.returncode == 1
        assert str(content) in finished.stderr


def test_output_that_nobody_reads_is_no_error():
    """A process: its standard output is a pipe that is closed."""
    program = (
        "from ben_tf import command_line\n"
        "def main():\n"
        "    for _ in range(100_000): print('line')\n"
        "command_line.run(lambda: main)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stderr.close()


def test_what_is_shared_imports_nothing_heavy():
    """--help answers at once."""
    program = "import sys, ben_tf.command_line; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    loaded = {name.partition(".")[0] for name in result.stdout.split()}
    assert not loaded & {"numpy", "tensorflow", "rasterio", "msgspec"}
