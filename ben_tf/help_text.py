"""What --help prints: what a command does, then its flags, required ones first.

absl lists all flags by the paths of the modules that define them, and ends with
an exit code of failure.
"""

import inspect
import os
import shutil
import sys
import textwrap
from collections.abc import Collection
from collections.abc import Iterator
from typing import Any

from absl import flags

# The first two show what most people need, the other one all.
SHORT = frozenset({"--help", "-h", "-help", "--helpshort", "-helpshort"})
FULL = frozenset({"--helpfull", "-helpfull"})

_INDENT = " " * 6
_LONGEST_PLACEHOLDER = 50
# Type of a flag -> what stands for its value.
_PLACEHOLDERS = {
    "int": "N",
    "float": "X",
    "comma separated list of strings": "A,B",
}


def render(
    text: str, *, is_full: bool = True, rare: Collection[str] = ()
) -> str:
    """Describes the command that was started.

    Args:
      text: What it does.
      is_full: Whether to describe all its flags.
      rare: Names of flags that are described only if `is_full`.
    """
    known = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    ours = {flag.name: flag for flag in known if flag.help}
    required = [flag for flag in ours.values() if _is_required(flag)]
    others = [
        flag
        for flag in ours.values()
        if flag not in required and (is_full or flag.name not in rare)
    ]
    width = min(shutil.get_terminal_size().columns, 80)
    lines = [inspect.cleandoc(text)]
    for title, group in (("required:", required), ("flags:", others)):
        if group:
            lines += ["", title]
            for flag in group:
                lines += _describe(flag, width)
    left_out = 0 if is_full else len(ours.keys() & set(rare))
    lines.append("")
    if left_out:
        lines.append(f"--helpfull describes {left_out} more.")
    lines.append("--flagfile=FILE reads flags from a file, one a line.")
    return "\n".join(lines)


def _is_required(flag: flags.Flag) -> bool:
    """Relies on the message of absl's own validator, as a test checks."""
    return any(
        validator.message.endswith("must have a value other than None.")
        for validator in flag.validators
    )


def _describe(flag: flags.Flag, width: int) -> Iterator[str]:
    name = f"  --{flag.name}={_placeholder(flag)}"
    if flag.boolean:
        name = f"  --[no]{flag.name}" if flag.default else f"  --{flag.name}"
    choices = _choices(flag)
    # absl puts the choices first.
    text = str(flag.help).removeprefix(f"<{choices}>: ")
    if choices not in name:
        text += f" One of: {choices.replace('|', ', ')}."
    # What is not given has no value worth showing.
    if flag.default not in (None, "", [], False, True):
        value = str(flag.default_as_str).strip("'")
        text += f" Default: {value.replace(os.path.expanduser('~'), '~')}."
    yield name
    yield from textwrap.wrap(
        text,
        width,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT,
        break_on_hyphens=False,
    )


def _choices(flag: flags.Flag) -> str:
    """Values that it takes, or ""."""
    return "|".join(map(str, getattr(flag.parser, "enum_values", ())))


def _placeholder(flag: flags.Flag) -> str:
    choices = _choices(flag)
    if choices:
        return choices if len(choices) <= _LONGEST_PLACEHOLDER else "NAME"
    parser: Any = flag.parser
    if parser.__class__.__module__.endswith("path_flags"):
        return "PATH"
    return _PLACEHOLDERS.get(parser.flag_type(), "TEXT")
