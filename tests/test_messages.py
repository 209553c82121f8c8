"""What messages say of flags is true of the command that shows them."""

import ast
import functools
import re

import pytest

from ben_tf.retrieval import __main__ as retrieval
from tests import command_flags
from tests import test_architecture as architecture

COMMON = {"flagfile", "help", "verbose", "name"}
# The module of a command -> the commands in it.
COMMANDS = {
    architecture.module_of(path): [
        architecture.module_of(path).removesuffix(".__main__")
    ]
    for path in architecture.COMMANDS
    if architecture.module_of(path) != "ben_tf.__main__"
}
COMMANDS["ben_tf.retrieval.__main__"] = [
    f"ben_tf.retrieval {name}" for name in retrieval._COMMANDS
]


def _flags_of(module: str) -> set[str]:
    return {
        name
        for command in COMMANDS[module]
        for name in command_flags.of(command)
    }


@functools.cache
def _known() -> set[str]:
    """Names of the flags of all commands."""
    return set().union(*map(_flags_of, COMMANDS))


def _messages(path) -> list[str]:
    """Texts of the exceptions that a file raises; "?" stands for a value."""
    found = []
    for raised in ast.walk(ast.parse(path.read_text())):
        if not isinstance(raised, ast.Raise) or raised.exc is None:
            continue
        for node in ast.walk(raised.exc):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(
                        part.value if isinstance(part, ast.Constant) else "?"
                        for part in node.values
                    )
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def _with_messages():
    return [
        pytest.param(architecture.module_of(path), messages, id=path.stem)
        for path in architecture.FILES
        if (messages := _messages(path))
    ]


@pytest.mark.parametrize(("module", "messages"), _with_messages())
def test_flags_are_those_of_the_command_that_is_named(module, messages):
    """Others stand in backticks: `split` is shown as the command has it."""
    for message in messages:
        rest = message
        for shown in re.finditer(
            r"python -m (ben_tf\.retrieval \w+|[\w.]*\w)"
            r"((?: --\w+(?:=\S+)?)+)",
            message,
        ):
            named = set(re.findall(r"--(\w+)", shown[2]))
            assert named <= set(command_flags.of(shown[1])) | COMMON, message
            rest = rest.replace(shown[0], "")
        named = set(re.findall(r"--(\w+)", rest))
        own = _flags_of(module) if module in COMMANDS else set()
        assert named <= own | COMMON, message


@pytest.mark.parametrize(("module", "messages"), _with_messages())
def test_flags_in_backticks_are_of_a_command_that_can_say_so(module, messages):
    reachable = {
        name
        for command in COMMANDS
        if command != "ben_tf.quickstart"
        and module in architecture.reaches(command)
        for name in _flags_of(command)
    }
    for message in messages:
        named = set(re.findall(r"`(\w+)(?:=[^`]*)?`", message))
        assert named & _known() <= reachable | COMMON, message
