"""The command reference holds what --helpfull says, whatever that is."""

import importlib.util
import pathlib
import re

import pytest

from tests import in_process

PATH = pathlib.Path(__file__).parents[2] / "docs" / "command_pages.py"


@pytest.fixture(scope="module")
def command_pages():
    spec = importlib.util.spec_from_file_location("command_pages", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def commands(command_pages):
    return {c.name: c for c in command_pages.read_all()}


HELP = """\
Does *something*.

    python -m ben_tf.some --path=x|y

More about --path.

required:
  --path=PATH
      Where it lies, or
      what <is> there.

paper and other settings:
  --mode=a|b
      How. Default: a.
  --[no]check
      Whether to look.
  --count=N
      How many of `--path=x`. One of: 1, 2. Default: 1.5.
  --quiet
      Says nothing.

--flagfile=FILE reads flags from a file, one a line.
"""


def test_a_help_is_read_with_its_groups(command_pages):
    command = command_pages.parse("some", HELP)
    assert command.text.endswith("More about --path.")
    flags = {
        flag.name: (flag.group, flag.takes, flag.default, flag.text)
        for flag in command.flags
    }
    assert flags == {
        "path": ("required", "path", "", "Where it lies, or what <is> there."),
        "mode": ("paper and other settings", "a or b", "a", "How."),
        "check": (
            *("paper and other settings", "switch", "on"),
            "Whether to look.",
        ),
        "count": (
            *("paper and other settings", "whole number", "1.5"),
            "How many of `--path=x`. One of: 1, 2.",
        ),
        "quiet": (
            *("paper and other settings", "switch", "off"),
            "Says nothing.",
        ),
    }


def test_a_page_is_markdown(command_pages, tmp_path):
    command_pages.write(tmp_path, [command_pages.parse("some thing", HELP)])
    (page,) = tmp_path.iterdir()
    assert page.name == "some-thing.md"
    text = page.read_text()
    assert text.startswith("# some thing\n\nDoes \\*something\\*.\n")
    assert "\n    python -m ben_tf.some --path=x|y\n" in text
    assert "More about `--path`." in text
    assert text.count("\n## ") == 2
    assert "`--path` · path\n: Where it lies, or what \\<is\\> there.\n" in text
    assert "`--mode` · a or b · default `a`\n: How.\n" in text
    assert "· default `1.5`\n: How many of `--path=x`. One of: 1, 2.\n" in text


def test_pages_of_commands_that_went_go_too(command_pages, tmp_path):
    (tmp_path / "old.md").write_text("# old")
    command = command_pages.parse("some", HELP)
    command_pages.write(tmp_path, [command])
    before = (tmp_path / "some.md").stat().st_mtime_ns
    command_pages.write(tmp_path, [command])
    assert [path.name for path in tmp_path.iterdir()] == ["some.md"]
    assert (tmp_path / "some.md").stat().st_mtime_ns == before


def test_a_help_without_flags_is_no_page(command_pages):
    with pytest.raises(ValueError, match="describes no flags"):
        command_pages.parse("some", "Traceback ...")


def test_every_command_has_a_page(commands):
    listed = re.findall(
        r"^  (\w+)  ", in_process.run("ben_tf", "--help").stdout, re.M
    )
    assert list(dict.fromkeys(name.split()[0] for name in commands)) == listed
    assert {"retrieve build", "retrieve query"} < set(commands)


@pytest.mark.parametrize("name", ["build", "evaluate", "train"])
def test_every_flag_is_on_its_page(commands, name):
    shown = in_process.run("ben_tf", name, "--helpfull").stdout
    listed = re.findall(r"^  --(?:\[no\])?(\w+)", shown, re.M)
    assert [flag.name for flag in commands[name].flags] == listed
    assert "verbose" in listed
