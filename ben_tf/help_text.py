"""What --help prints: what a command does, then its flags in named groups.

absl lists all flags by the paths of the modules that define them, and ends with
an exit code of failure.
"""

import inspect
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from absl import flags

# The first two show what most people need on a screen, the other one all.
SHORT = frozenset({"--help", "-h", "-help", "--helpshort", "-helpshort"})
FULL = frozenset({"--helpfull", "-helpfull"})

# Title -> names of flags, both in the order in which they are shown.
Groups = Mapping[str, Collection[str]]

_INDENT = " " * 6
# Where --help begins to say what a flag means.
_COLUMN = 26
_LONGEST_PLACEHOLDER = 50
# Longer lists of choices are left to --helpfull.
_LONGEST_CHOICES = 120
# What absl puts behind the help of a flag that collects its values.
_REPEATED = ";\n    repeat this option to specify a list of values"
# Type of a flag -> what stands for its value.
_PLACEHOLDERS = {
    "int": "N",
    "float": "X",
    "comma separated list of strings": "A,B",
}


def render(
    text: str,
    *,
    is_full: bool = True,
    rare: Collection[str] = (),
    groups: Groups | None = None,
) -> str:
    """Describes the command that was started.

    Args:
      text: What it does.
      is_full: Whether to describe all its flags, and in full.
      rare: Names of flags that are described only if `is_full`.
      groups: Title -> names of flags. Required flags have a group of their own
        in front of these, and what is in none comes last.
    """
    ours = known_flags()
    shown = {
        name: flag
        for name, flag in ours.items()
        if is_full or name not in rare or is_required(flag)
    }
    width = min(shutil.get_terminal_size().columns, 80)
    describe = _describe if is_full else _describe_briefly
    lines = [inspect.cleandoc(text)]
    for title, group in _grouped(shown, groups or {}):
        lines += ["", f"{title}:"]
        for flag in group:
            lines += describe(flag, width)
    lines.append("")
    if not is_full:
        more = len(ours) - len(shown)
        lines.append(
            "--helpfull describes them in full"
            + (f", and {more} more." if more else ".")
        )
    lines.append("--flagfile=FILE reads flags from a file, one a line.")
    return "\n".join(lines)


def known_flags() -> dict[str, flags.Flag]:
    """Name -> flag of the command that was started."""
    known = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    return {flag.name: flag for flag in known if flag.help}


def choices_of(flag: flags.Flag) -> list[str]:
    """Values that it takes; empty if they cannot be listed."""
    return list(map(str, getattr(flag.parser, "enum_values", ())))


def _grouped(
    shown: Mapping[str, flags.Flag], groups: Groups
) -> Iterator[tuple[str, list[flags.Flag]]]:
    """Yields titles with their flags, without empty groups."""
    left = dict(shown)
    required = [name for name, flag in left.items() if is_required(flag)]
    titles: dict[str, Iterable[str]] = {"required": required, **groups}
    for title, names in titles.items():
        found = [left.pop(name) for name in names if name in left]
        if found:
            yield title, found
    if left:
        yield "others" if groups else "flags", list(left.values())


def is_required(flag: flags.Flag) -> bool:
    """Relies on the message of absl's own validator, as a test checks."""
    return any(
        validator.message.endswith("must have a value other than None.")
        for validator in flag.validators
    )


def _describe(flag: flags.Flag, width: int) -> Iterator[str]:
    """The flag, and below it all that is to be said about it."""
    text = _meaning(flag)
    choices = choices_of(flag)
    if "|".join(choices) not in _placeholder(flag):
        text += f" One of: {', '.join(choices)}."
    if isinstance(flag, flags.MultiFlag):
        text += " It may be given several times."
    yield _name(flag)
    yield from _wrapped(text + _default(flag), width, _INDENT)


def _describe_briefly(flag: flags.Flag, width: int) -> Iterator[str]:
    """The flag, and beside it what it is, without explanations."""
    text = re.split(r"[.:;](?: |$)| \(", _meaning(flag), maxsplit=1)[0]
    choices = ", ".join(choices_of(flag))
    if len(choices) <= _LONGEST_CHOICES and _placeholder(flag) == "NAME":
        text += f": {choices}"
    name = _name(flag)
    lines = _wrapped(f"{text}.{_default(flag)}", width, " " * _COLUMN)
    if len(name) < _COLUMN:
        lines[0] = name.ljust(_COLUMN) + lines[0].lstrip()
    else:
        lines.insert(0, name)
    yield from lines


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def _meaning(flag: flags.Flag) -> str:
    """Its help, without what absl puts in front of it and behind it."""
    text = str(flag.help).removesuffix(_REPEATED)
    return text.removeprefix(f"<{'|'.join(choices_of(flag))}>: ")


def _default(flag: flags.Flag) -> str:
    """A sentence; what is not given has no value worth showing."""
    if flag.default in (None, "", [], False, True):
        return ""
    value = str(flag.default_as_str).strip("'")
    return f" Default: {value.replace(os.path.expanduser('~'), '~')}."


def _name(flag: flags.Flag) -> str:
    if flag.boolean:
        return f"  --[no]{flag.name}" if flag.default else f"  --{flag.name}"
    return f"  --{flag.name}={_placeholder(flag)}"


def _placeholder(flag: flags.Flag) -> str:
    choices = "|".join(choices_of(flag))
    if choices:
        return choices if len(choices) <= _LONGEST_PLACEHOLDER else "NAME"
    parser: Any = flag.parser
    if parser.__class__.__module__.endswith("path_flags"):
        return "PATH"
    return _PLACEHOLDERS.get(parser.flag_type(), "TEXT")
