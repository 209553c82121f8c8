"""What every entry point shares: a quiet start and one-sentence errors.

Standard library and absl only, so that `--help` answers at once. An entry
point has a function `command` that defines the flags and returns the function
to run, so that importing the module defines nothing: two entry points may have
flags of the same name. It ends with `command_line.run(command)`, which adds
`--verbose`. What it returns checks the flags, calls `import_tensorflow` if it
needs that, and imports what is heavy only then.
"""

import contextlib
import inspect
import logging
import os
import re
import select
import sys
import types
import warnings
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping

from absl import app
from absl import flags
from absl import logging as absl_logging

from ben_tf import errors
from ben_tf import flag_errors
from ben_tf import foreign_errors
from ben_tf import help_text
from ben_tf import plain_progress

_HELP = help_text.SHORT | help_text.FULL
Command = Callable[[], Callable[[], None]]


def run(
    command: Command,
    *,
    rare: Collection[str] = (),
    groups: help_text.Groups | None = None,
) -> None:
    """Defines and parses the flags, runs the command and exits.

    Args:
      command: Defines the flags and returns what to run after parsing.
      rare: Names of flags that only --helpfull describes.
      groups: Title -> names of flags, as --help shows them.

    Exit codes: 0 success; 1 unusable flags, an error that the user can mend (in
    a sentence), or a defect of this program (with a traceback); 130 interrupted
    from the keyboard; 141 nobody reads the output any more, as in `| head`.
    """
    plain_progress.use()
    main = command()
    verbose = flags.DEFINE_bool(
        "verbose",
        False,
        "Show TensorFlow's own messages and, on an error, the full traceback.",
    )
    # --help lists the flags of the program that was started.
    flags.FLAGS.register_key_flag_for_module(
        sys.argv[0], flags.FLAGS[verbose.name]
    )
    asked = {word for word in sys.argv[1:] if word in _HELP}
    if asked:
        print(
            help_text.render(
                sys.modules["__main__"].__doc__ or "",
                is_full=bool(asked & help_text.FULL),
                rare=rare,
                groups=groups,
            )
        )
        sys.exit(0)

    def absl_main(argv: list[str]) -> None:
        if not verbose.value:
            _silence_python()
        main()
        # Here, where an error is still explained.
        sys.stdout.flush()

    with _explained_errors():
        app.run(absl_main, flags_parser=flag_errors.parse)


@contextlib.contextmanager
def _explained_errors() -> Iterator[None]:
    """Ends the program with a sentence; a defect keeps its traceback."""
    try:
        yield
    except KeyboardInterrupt:
        print(
            "Interrupted. What was finished is kept: the same command goes "
            "on where it can, and else begins again.",
            file=sys.stderr,
        )
        sys.exit(130)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            _discard_output()
            sys.exit(141)
        if isinstance(error, errors.UserError):
            text = str(error)
        elif sentence := foreign_errors.sentence(error):
            text = f"{sentence} `verbose` shows where."
        else:
            error.add_note(
                "This is a defect of the program. Please report it with the "
                "lines above."
            )
            raise
        # Flags may be what is wrong, so that they are not parsed yet.
        if flags.FLAGS["verbose"].value:
            error.add_note(f"error: {with_flags(text)}")
            raise
        print(f"error: {with_flags(text)}", file=sys.stderr)
        if isinstance(error, errors.NoAnswerError):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)
        sys.exit(1)


def _nobody_reads() -> bool:
    """Whether standard output or standard error leads to a closed pipe."""
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        # In a notebook or a test they are no files.
        with contextlib.suppress(OSError, ValueError):
            poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _discard_output() -> None:
    """Keeps the interpreter from writing what is left, and failing again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def run_command(
    commands: Mapping[str, Command],
    *,
    groups: Mapping[str, help_text.Groups] = types.MappingProxyType({}),
) -> None:
    """Like `run`, for an entry point with commands: `COMMAND --name=value`.

    Args:
      commands: Name -> command. The docstring of the function is the command's
        help; that of the entry point should list the commands.
      groups: Name of a command -> as for `run`.
    """
    entry_point = sys.modules["__main__"]
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in commands:
        asks_for_help = name in {*_HELP, "help"}
        print(inspect.cleandoc(entry_point.__doc__ or ""))
        if not asks_for_help:
            print(
                f"error: {flag_errors.unknown_command(name, commands)}",
                file=sys.stderr,
            )
        sys.exit(0 if asks_for_help else 1)
    del sys.argv[1]
    entry_point.__doc__ = inspect.getdoc(commands[name])
    run(commands[name], groups=groups.get(name))


def import_tensorflow() -> None:
    """Imports TensorFlow, once the flags are checked: it takes seconds.

    Unless --verbose is given, what its C++ parts say at the start is hidden.
    The variable hides most of it. Some messages ignore it, at import and at
    the first XLA compilation, "logged at most once for the lifetime of the
    process"; they go where standard error points meanwhile.
    """
    if "tensorflow" in sys.modules or flags.FLAGS["verbose"].value:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with discarded_stderr():
        import tensorflow as tf

        if "TF_CONFIG" in os.environ:
            # Workers connect to each other before anything is computed.
            return
        # XLA may not be able to compile for the GPU; see `gpu_compiler`.
        with tf.device("CPU"):
            tf.function(lambda: tf.constant(0) + 1, jit_compile=True)()


def with_flags(message: str) -> str:
    """Shows arguments as flags: `split` becomes --split where it is a flag."""
    return re.sub(
        r"`(\w+)(=[^`]*)?`",
        lambda match: (
            f"--{match[1]}{match[2] or ''}"
            if match[1] in flags.FLAGS
            else match[0]
        ),
        message,
    )


def _silence_python() -> None:
    """Hides warnings and the log messages of libraries."""
    warnings.filterwarnings("ignore")
    absl_logging.set_verbosity(absl_logging.ERROR)
    for name in ("tensorflow", "tf_keras", "rasterio"):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextlib.contextmanager
def discarded_stderr() -> Iterator[None]:
    """Drops what C++ code writes to file descriptor 2."""
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(nowhere)
        os.close(saved)
