"""Imports point one way, and files stay small."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
FILES = sorted(
    path
    for package in ("ben_tf", "tfrecords_builder")
    for path in (ROOT / package).rglob("*.py")
)
ENTRY_POINTS = {
    name
    for name in (
        str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
        for path in FILES
        if 'if __name__ == "__main__":' in path.read_text()
    )
}
# What only losses, optimizers and metrics may import.
ADDONS_HOMES = {"ben_tf.losses", "ben_tf.optimizers", "ben_tf.metrics"}


def _module(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: pathlib.Path) -> set[str]:
    """Dotted names of all that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in {path}"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


IMPORTS = {_module(path): _imports(path) for path in FILES}


def _reaches(module: str) -> set[str]:
    """All modules of this project that importing `module` may import."""
    seen, todo = set(), [module]
    while todo:
        for name in IMPORTS.get(todo.pop(), ()):
            if name in IMPORTS and name not in seen:
                seen.add(name)
                todo.append(name)
    return seen


@pytest.mark.parametrize("module", IMPORTS)
def test_arrows(module):
    imported = IMPORTS[module]
    if module == "ben_tf.bigearthnet":
        roots = {name.split(".")[0] for name in imported}
        assert roots <= {"collections", "dataclasses", "types"}
    if module.startswith("tfrecords_builder"):
        ours = {name for name in imported if name.startswith("ben_tf")}
        assert ours <= {"ben_tf.bigearthnet", "ben_tf.command_line"}
    if module != "ben_tf.quickstart":
        assert not imported & ENTRY_POINTS
    if module not in ADDONS_HOMES:
        assert not any(
            name.startswith("tensorflow_addons") for name in imported
        )


@pytest.mark.parametrize(
    "module", ["ben_tf.models", "ben_tf.preprocessing", "ben_tf.metrics"]
)
def test_the_core_knows_no_flags(module):
    assert "ben_tf.command_line" not in _reaches(module)
    for name in {module, *_reaches(module)}:
        assert not any(x.startswith("absl") for x in IMPORTS[name])


@pytest.mark.parametrize("module", ["ben_tf.train", "ben_tf.training"])
def test_training_needs_neither_rasterio_nor_the_builder(module):
    for name in {module, *_reaches(module)}:
        assert not name.startswith("tfrecords_builder")
        assert not any(x.startswith("rasterio") for x in IMPORTS[name])


@pytest.mark.parametrize(
    "module",
    [
        name
        for name in IMPORTS
        if name == "ben_tf.evaluate"
        or name.startswith(
            ("ben_tf.predict.", "ben_tf.report", "ben_tf.retrieval")
        )
    ],
)
def test_using_a_model_never_builds_one(module):
    assert not any(
        name.startswith("ben_tf.models") for name in _reaches(module)
    )


@pytest.mark.parametrize("path", FILES, ids=_module)
def test_files_can_be_read_in_one_sitting(path):
    source = path.read_text()
    tree = ast.parse(source)
    assert ast.get_docstring(tree), "says no purpose"
    # Docstrings hold formulas and shapes; they do not count.
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstring_lines = sum(
        node.body[0].end_lineno - node.body[0].lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, documented) and ast.get_docstring(node)
    )
    assert len(source.splitlines()) - docstring_lines <= 300
