"""Flags and commands that are none, in sentences like all other errors."""

import difflib
import re
from collections.abc import Iterable
from collections.abc import Sequence

from absl import flags

from ben_tf import errors
from ben_tf import help_text

_SEE_HELP = "--help describes the flags."
# Every command has them, beside its own.
_COMMON = ("help", "helpfull", "flagfile", "verbose")


def parse(argv: Sequence[str]) -> list[str]:
    """Parses the flags of the command that was started.

    Args:
      argv: The command and its arguments.

    Returns:
      The command, which alone may be no flag.

    Raises:
      UserError: An unknown flag, a bad value, or an argument that is no flag.
    """
    try:
        left = flags.FLAGS(argv)
    except flags.UnrecognizedFlagError as error:
        names = [*help_text.known_flags(), *_COMMON]
        raise errors.UserError(
            f"Unknown flag --{error.flagname}"
            f"{suggestion(error.flagname, names, prefix='--') or '.'} "
            f"{_SEE_HELP}"
        ) from error
    except flags.IllegalFlagValueError as error:
        raise errors.UserError(_bad_value(str(error))) from error
    except flags.Error as error:
        raise errors.UserError(
            f"{errors.first_line(error)}. {_SEE_HELP}"
        ) from error
    if len(left) > 1:
        raise errors.UserError(
            f"Unexpected arguments {left[1:]}. Every option is a flag: "
            "--name=value."
        )
    return left


def suggestion(word: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Ends a sentence by ". Did you mean train?" if something is close."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1)
    return f". Did you mean {prefix}{close[0]}?" if close else ""


def unknown_command(name: str, commands: Iterable[str]) -> str:
    """What to say where a command was expected; "" stands for none."""
    return (
        f"Expected a command, one of {', '.join(commands)}. Received: "
        f"{name or 'none'}{suggestion(name, commands) or '.'}"
    )


def _bad_value(message: str) -> str:
    """One sentence for a value that a validator or a parser has refused.

    Args:
      message: Of absl: "flag --x=value: why", or with several flags.
    """
    first = message.splitlines()[0]
    for name, flag in help_text.known_flags().items():
        for validator in flag.validators:
            if first.endswith(f": {validator.message}"):
                if flag.value is None and help_text.is_required(flag):
                    return f"--{name} is required. {_SEE_HELP}"
                return validator.message
    parsed = re.match(r"flag --(\w+)=(.*?): ", message, re.DOTALL)
    if not parsed:
        return first
    flag = flags.FLAGS[parsed[1]]
    choices = help_text.choices_of(flag)
    expected = flag.parser.syntactic_help or "another value"
    if flag.boolean:
        expected = "true or false"
    elif choices:
        expected = f"one of {', '.join(choices)}"
    return (
        f"Invalid --{flag.name}. Expected {expected}. Received: {parsed[2]!r}"
        f"{suggestion(parsed[2], choices)}"
    )
