"""Writes a page for each command, from what it prints with --helpfull.

Commands are found as a user finds them: `python -m ben_tf` lists them, and one
that has commands itself lists those.
"""

import concurrent.futures
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator

_COMMANDS = re.compile(r"^error: Expected a command, one of (.+?)\. ", re.M)
_TITLE = re.compile(r"^(\S.*):$")
_FLAG = re.compile(r"^  --(\[no\])?([a-z]\w*)(?:=(.+))?$")
_DEFAULT = re.compile(r" ?Default: (.+)\.$")
# What help_text.py writes for a value -> what is meant.
_TYPES = {
    "PATH": "path",
    "N": "whole number",
    "X": "number",
    "TEXT": "text",
    "NAME": "name",
    "A,B": "list with commas",
}


@dataclasses.dataclass(frozen=True)
class _Flag:
    """A row of the page.

    Attributes:
      group: Heading that it stands under, such as "required".
      name: Without dashes.
      takes: What its value is.
      default: What it is if not given; "" for nothing.
      text: What it does.
    """

    group: str
    name: str
    takes: str
    default: str
    text: str


@dataclasses.dataclass(frozen=True)
class Command:
    """What a page says.

    Attributes:
      name: As after bigearthnet-tf: "train", "retrieve query".
      text: What the command does: the lines before its flags.
      flags: Its flags, in the order of the help.
    """

    name: str
    text: str
    flags: tuple[_Flag, ...]

    @property
    def page(self) -> str:
        """Name of the page's file, without its ending."""
        return self.name.replace(" ", "-")


def read_all() -> list[Command]:
    """Asks every command for its help."""
    names = _listed()
    found = dict(zip(names, _helps([[name] for name in names]), strict=True))
    pages: dict[str, str] = {}
    for name, text in found.items():
        # What has no flags has commands instead.
        commands = [] if _split(text)[1] else _listed(name)
        words = [[name, command] for command in commands]
        pages |= zip(map(" ".join, words), _helps(words), strict=True)
        if not words:
            pages[name] = text
    return [parse(name, text) for name, text in pages.items()]


def _helps(commands: list[list[str]]) -> list[str]:
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda x: _output(*x, "--helpfull"), commands))


def _listed(*words: str) -> list[str]:
    """The commands of what has commands, which it names if asked for another.

    What has none refuses the word before it begins with anything.
    """
    match = _COMMANDS.search(_output(*words, "?"))
    return match[1].split(", ") if match else []


def _output(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ben_tf", *words],
        capture_output=True,
        text=True,
        # No line is broken more often than it has to be, and none is coloured.
        env=os.environ | {"COLUMNS": "80", "NO_COLOR": "1"},
    )
    return done.stdout + done.stderr


def parse(name: str, text: str) -> Command:
    """Reads what --helpfull prints.

    Raises:
      ValueError: There is no flag in it.
    """
    head, flags = _split(text)
    if not flags:
        raise ValueError(
            f"`{name} --helpfull` describes no flags. Received: {text[:200]!r}"
        )
    return Command(name, head, tuple(flags))


def _split(text: str) -> tuple[str, list[_Flag]]:
    head: list[str] = []
    # (group, name, whether [no] is in front, what stands for its value, lines).
    blocks: list[tuple[str, str, bool, str, list[str]]] = []
    group = "flags"
    lines = text.splitlines()
    for number, line in enumerate(lines):
        follows = lines[number + 1] if number + 1 < len(lines) else ""
        if (title := _TITLE.match(line)) and _FLAG.match(follows):
            group = title[1]
        elif match := _FLAG.match(line):
            is_on, flag, value = match.groups()
            blocks.append((group, flag, bool(is_on), value or "", []))
        elif blocks and line.startswith("    "):
            blocks[-1][-1].append(line.strip())
        elif not blocks:
            head.append(line)
    return "\n".join(head).strip(), [_flag(*block) for block in blocks]


def _flag(
    group: str, name: str, is_on: bool, value: str, lines: list[str]
) -> _Flag:
    text = " ".join(" ".join(lines).split())
    default = ""
    if match := _DEFAULT.search(text):
        default, text = match[1], text[: match.start()]
    if not value:
        return _Flag(group, name, "switch", "on" if is_on else "off", text)
    takes = _TYPES.get(value, " or ".join(value.split("|")))
    return _Flag(group, name, takes, default, text)


def write(folder: str | os.PathLike, commands: list[Command]) -> None:
    """Writes the pages that have changed and removes those of no command."""
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    pages = {folder / f"{c.page}.md": _render(c) for c in commands}
    for path in folder.glob("*.md"):
        if path not in pages:
            path.unlink()
    for path, text in pages.items():
        # Sphinx reads again what is newer than its last build.
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def _render(command: Command) -> str:
    return "\n".join(
        [f"# {command.name}", "", _prose(command.text), "", *_lists(command)]
    )


def _prose(text: str) -> str:
    """Paragraphs as they are; indented ones are code to Markdown as well."""
    return "\n".join(
        line if line.startswith("    ") else markdown(line)
        for line in text.splitlines()
    )


def _lists(command: Command) -> Iterator[str]:
    """A list of definitions for each group: tables are too wide for phones."""
    for group in dict.fromkeys(flag.group for flag in command.flags):
        yield from (f"## {group.capitalize()}", "")
        for flag in command.flags:
            if flag.group == group:
                term = f"`--{flag.name}` · {markdown(flag.takes)}"
                if flag.default:
                    term += f" · default `{flag.default}`"
                yield from (term, f": {markdown(flag.text)}", "")


def markdown(text: str) -> str:
    """Text as Markdown: flags and what stands in backticks are code."""
    parts = re.split(r"(`[^`]+`|(?<![\w-])--[a-z]\w*(?:=[^\s,;)]*\w)?)", text)
    parts[::2] = [re.sub(r"([\\*_<>|\[\]#$])", r"\\\1", p) for p in parts[::2]]
    parts[1::2] = [
        f"`{part.strip('`')}`".replace("|", r"\|") for part in parts[1::2]
    ]
    return "".join(parts)


def overview(commands: list[Command]) -> str:
    """The rows of a table: a command, its page, its first sentence."""
    return "\n".join(
        [
            "| command | what it does |",
            "|---|---|",
            *(
                f"| [`{c.name}`](commands/{c.page}.md) | "
                f"{markdown(_first_sentence(c.text))} |"
                for c in commands
            ),
        ]
    )


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.split("\n\n")[0].split())
    sentence = re.split(r"(?<=\.)\s", paragraph)[0]
    if sentence.endswith(":"):  # Commands follow it.
        sentence = sentence[:-1] + "."
    return textwrap.shorten(sentence, 200, placeholder=" ...")
