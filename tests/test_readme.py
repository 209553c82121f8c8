"""What README.md and the pages of docs/ say about the code is true of the code.

No command is run here; test_documented_commands.py does that. Each one's flags
are defined in this process and the command lines of the documents are parsed
with them.
"""

import ast
import functools
import pathlib
import re
import shlex

import pytest

from ben_tf import command_line
from ben_tf.config import config_flags
from tests import command_flags

ROOT = pathlib.Path(__file__).parent.parent
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
DOCUMENTS = "\n".join(PAGES.values())
# "ben_tf.train", "ben_tf.retrieval build", ...
COMMANDS = sorted(
    set(
        re.findall(
            r"python -m (ben_tf\.retrieval \w+|(?!ben_tf\.retrieval)"
            r"(?:ben_tf|tfrecords_builder)\.\w+)",
            DOCUMENTS,
        )
    )
)
# What every command has.
COMMON_FLAGS = {"flagfile", "help", "helpfull", "verbose"}


def _section(page: str, title: str) -> str:
    return PAGES[page].split(f"# {title}\n")[1].split("\n## ")[0]


def _first_column(section: str) -> list[str]:
    rows = re.findall(r"^\| (.+?) \|", section, re.MULTILINE)
    return rows[1:]  # Without the header.


def test_the_readme_is_read_in_two_minutes():
    assert len(PAGES["README.md"].splitlines()) <= 200


def test_every_dependency_has_its_reason():
    table = _section("docs/dependencies.md", "What each is for")
    explained = [
        name for cell in _first_column(table) for name in cell.split(", ")
    ]
    required = {
        re.match(r"[\w-]+", line).group()
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    assert set(explained) == required
    assert len(explained) == len(set(explained))


def _all_flags() -> set[str]:
    return {name for command in COMMANDS for name in command_flags.of(command)}


def _command_lines() -> list[tuple[str, str]]:
    """(command, its arguments) for each line of a block of code."""
    text = re.sub(r"\\\n *", " ", DOCUMENTS)
    pattern = rf"^(?: {{4}})?python -m ({'|'.join(COMMANDS)})( .*|)$"
    return re.findall(pattern, text, re.MULTILINE)


def test_all_commands_are_shown():
    shown = {command for command, _ in _command_lines()}
    entry_points = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
            ".__main__"
        )
        for package in ("ben_tf", "tfrecords_builder")
        for path in (ROOT / package).rglob("*.py")
        if 'if __name__ == "__main__":' in path.read_text()
    }
    by_make = {"ben_tf.quickstart"}
    inline = {"ben_tf"}
    assert {
        name.split()[0] for name in shown
    } == entry_points - by_make - inline


@pytest.mark.parametrize(("command", "arguments"), _command_lines())
def test_command_lines_parse(command, arguments, monkeypatch):
    monkeypatch.chdir(ROOT)
    values = command_flags.of(command)
    assert values([command, *shlex.split(arguments)]) == [command]
    if command == "ben_tf.train":
        if values.statistics.endswith(".json"):
            values.statistics = "paper"  # An earlier command writes the file.
        config_flags.from_flags(values)  # Refuses values and combinations.
    values.unparse_flags()  # The next command line starts from the defaults.


def test_benchmarks_that_are_shown_have_these_flags():
    shown = re.findall(r"^python (benchmarks/\w+\.py)(.*)$", DOCUMENTS, re.M)
    assert shown
    for script, arguments in shown:
        defined = re.findall(
            r'DEFINE_\w+\(\s*"(\w+)"', (ROOT / script).read_text()
        )
        assert set(re.findall(r"--(\w+)", arguments)) <= set(defined)


def test_flags_that_are_named_exist():
    for page, text in PAGES.items():
        quoted = " ".join(re.findall(r"`[^`\n]+`", text))
        named = set(re.findall(r"(?<![\w-])--([a-z]\w+)", quoted))
        assert named <= _all_flags() | COMMON_FLAGS, page


@functools.cache
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
    [
        cell.strip("`")
        for cell in _first_column(PAGES["docs/troubleshooting.md"])
    ],
)
def test_quoted_messages_are_those_of_the_command_line(quoted, monkeypatch):
    names = _all_flags()
    monkeypatch.setattr(command_line.flags, "FLAGS", names)
    pattern = ".*".join(re.escape(part.strip()) for part in quoted.split("..."))
    assert any(
        re.search(pattern, command_line.with_flags(message), re.DOTALL)
        for message in _messages()
    )


def test_what_make_says_is_quoted():
    text = " ".join(PAGES["docs/troubleshooting.md"].split())
    (quoted,) = re.findall(r"`python3.11 (does not run.+?)`", text)
    assert quoted in (ROOT / "Makefile").read_text()


def test_flagfiles_that_are_named_exist():
    named = re.findall(r"--flagfile=(\S+)", DOCUMENTS)
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def _names_of(module: str) -> set[str] | None:
    """What a module of ours defines at its top; None if there is none."""
    path = ROOT.joinpath(*module.split("."))
    file = path.with_suffix(".py")
    if path.is_dir():
        file = path / "__init__.py"
    if not file.is_file():
        return None
    names = {found.stem for found in path.glob("*") if path.is_dir()}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {x.id for x in node.targets if isinstance(x, ast.Name)}
    return names


def test_imports_that_are_shown_work():
    """And what is then taken from an imported module is in it."""
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENTS, re.DOTALL)
    assert blocks
    for block in blocks:
        tree = ast.parse(block)
        modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    assert alias.name in _names_of(node.module)
                    modules[alias.name] = f"{node.module}.{alias.name}"
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and (names := _names_of(modules.get(node.value.id, "?")))
            ):
                assert node.attr in names


def test_the_changelog_leads_to_places_that_exist():
    table = (ROOT / "CHANGELOG.md").read_text().split("| before | now |")[1]
    new = re.findall(r"^\|.*\| (.+) \|$", table, re.MULTILINE)[1:]
    places = [place for cell in new for place in re.findall("`(.+?)`", cell)]
    assert places
    for place in places:
        parent, _, name = place.rpartition(".")
        assert _names_of(place) is not None or name in _names_of(parent), place


def test_files_that_are_linked_exist():
    """Sphinx checks the links between the pages; these are GitHub's."""
    for page, text in PAGES.items():
        links = re.findall(r"\]\((?!https?:)([^)#\s]+)", text)
        for link in links:
            assert (ROOT / page).parent.joinpath(link).is_file(), (page, link)
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= {
        *re.findall(r"\]\((docs/\w+\.md)", PAGES["README.md"]),
        *("docs/index.md", "docs/api.md", "docs/changelog.md"),
    }
