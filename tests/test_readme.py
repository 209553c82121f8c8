"""What README.md says about the code is true of the code."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = README + (ROOT / "docs" / "reproducing.md").read_text()


def _section(title: str) -> str:
    return README.split(f"## {title}\n")[1].split("\n## ")[0]


def _first_column(section: str) -> list[str]:
    rows = re.findall(r"^\| (.+?) \|", section, re.MULTILINE)
    return rows[1:]  # Without the header.


def test_every_dependency_has_its_reason():
    explained = [
        name
        for cell in _first_column(_section("Dependencies"))
        for name in cell.split(", ")
    ]
    required = {
        re.match(r"[\w-]+", line).group()
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    assert set(explained) == required
    assert len(explained) == len(set(explained))


def _messages() -> list[str]:
    """Every text of the code that values go into; "?" stands for a value."""
    return [
        "".join(
            part.value if isinstance(part, ast.Constant) else "?"
            for part in node.values
        )
        for package in ("ben_tf", "tfrecords_builder")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.JoinedStr)
    ]


@pytest.mark.parametrize(
    "quoted",
    [cell.strip("`") for cell in _first_column(_section("Troubleshooting"))],
)
def test_quoted_messages_are_those_of_the_code(quoted):
    pattern = ".*".join(re.escape(part.strip()) for part in quoted.split("..."))
    assert any(
        re.search(pattern, message, re.DOTALL) for message in _messages()
    )


def _commands() -> dict[str, set[str]]:
    """Command -> the flags that the documents give it."""
    text = DOCUMENTS.replace("\\\n", " ")
    found = {}
    for command, rest in re.findall(
        r"^ +python -m (ben_tf\.retrieval \w+|[\w.]+)(.*)$", text, re.MULTILINE
    ):
        flags = re.findall(r"--(\w+)", rest)
        found.setdefault(command, set()).update(flags)
    return found


@pytest.mark.parametrize("command", sorted(_commands()))
def test_commands_have_the_flags_that_are_shown(command):
    result = subprocess.run(
        [sys.executable, "-m", *command.split(), "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    known = set(re.findall(r"^  --(?:\[no\])?(\w+)", result.stdout, re.M))
    # What absl gives every program, shown by --helpfull alone.
    assert _commands()[command] <= known | {"flagfile"}


def test_flagfiles_that_are_named_exist():
    named = re.findall(r"--flagfile=(\S+)", DOCUMENTS)
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_files_that_are_linked_exist():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).is_file()
