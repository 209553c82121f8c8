"""Imports point one way: from commands down to the facts."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
FILES = sorted(
    path
    for package in ("ben_tf", "tfrecords_builder")
    for path in (ROOT / package).rglob("*.py")
)

# Room -> the rooms that it may import. A room is a folder of ben_tf, a module
# that lies directly in it, or the whole of tfrecords_builder. Everybody may
# import FOUNDATION, which imports nothing of ours but the errors.
FOUNDATION = {
    "bigearthnet",
    "errors",
    "files",
    "main_memory",
    "npy",
    "origin",
    "path_flags",
}
ARROWS = {
    "command_line": {
        "flag_errors",
        "foreign_errors",
        "help_text",
        "plain_progress",
    },
    "flag_errors": {"help_text"},
    "plain_progress": set(),
    "help_text": set(),
    "__main__": {"flag_errors", "help_text"},
    "band_statistics": set(),
    "config": {"band_statistics"},
    "archive": set(),
    "metrics": set(),
    "data": {"band_statistics"},
    "finite": set(),
    "folder_lock": set(),
    "models": {"data"},
    "saved_model": {"data", "finite", "saved_model_check"},
    "saved_model_check": set(),
    # Loads the SavedModel, as evaluation does; the scores are for the card.
    "exchange": {"data", "evaluation", "saved_model", "workdir"},
    "workdir": {"config"},
    "training": {
        "config",
        "data",
        "finite",
        "folder_lock",
        "metrics",
        "models",
        "saved_model",
        "workdir",
    },
    "evaluation": {"data", "metrics", "saved_model", "workdir"},
    "plots": {"evaluation"},
    "pages": set(),
    "scenes": {"archive"},
    "predict": {"archive", "command_line", "data", "saved_model", "scenes"},
    # The pixels of a query may come from folders of an archive or an image.
    "retrieval": {
        "archive",
        "command_line",
        "data",
        "folder_lock",
        "pages",
        "plots",
        "saved_model",
        "scenes",
    },
    "report": {
        "command_line",
        "data",
        "evaluation",
        "metrics",
        "pages",
        "plots",
        "retrieval",
        "workdir",
    },
    # The table of patches gives their centres in degrees: data.geography.
    "tfrecords_builder": {"archive", "command_line", "data", "folder_lock"},
    "train": {"command_line", "config", "training"},
    "evaluate": {"command_line", "evaluation"},
    "statistics": {"band_statistics", "command_line", "data"},
    "foreign_errors": set(),
    "export": {"command_line", "exchange", "training", "workdir"},
    "import_checkpoint": {"command_line", "config", "training"},
    "quickstart": {
        "command_line",
        "config",
        "data",
        "evaluation",
        "report",
        "retrieval",
        "tfrecords_builder",
        "training",
        "workdir",
    },
}
# Only quickstart runs other commands.
COMMANDS = {
    path for path in FILES if 'if __name__ == "__main__":' in path.read_text()
}
# The only module that may import TensorFlow Addons, which one lane lacks.
ADDONS_HOME = "ben_tf.training.addons"


def module_of(path: pathlib.Path) -> str:
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


IMPORTS = {module_of(path): _imports(path) for path in FILES}


def _room(module: str) -> str:
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] if package == "ben_tf" else package


def _rooms_of(module: str) -> set[str]:
    """The other rooms that a module imports from."""
    return {
        _room(name)
        for name in IMPORTS[module]
        if name.startswith(("ben_tf.", "tfrecords_builder."))
    } - {_room(module)}


def reaches(module: str) -> set[str]:
    """`module` and all modules of this project that it may import."""
    seen, todo = {module}, [module]
    while todo:
        new = IMPORTS[todo.pop()] & IMPORTS.keys() - seen
        seen |= new
        todo += new
    return seen


def _circle(arrows: dict[str, set[str]]) -> set[str]:
    """The nodes on circles; empty where an order exists."""
    left = dict(arrows)
    while ends := [node for node in left if not left[node] & left.keys()]:
        for node in ends:
            del left[node]
    return set(left)


@pytest.mark.parametrize("module", IMPORTS)
def test_a_module_imports_only_rooms_that_the_table_allows(module):
    room = _room(module)
    allowed = FOUNDATION | ARROWS.get(room, set())
    if room in FOUNDATION or not room:
        allowed = {"errors"} - {room}
    assert _rooms_of(module) <= allowed


def test_the_table_lists_the_rooms_that_exist():
    rooms = {_room(module) for module in IMPORTS} - FOUNDATION - {""}
    assert rooms == ARROWS.keys()


def test_neither_rooms_nor_modules_form_a_circle():
    assert not _circle(ARROWS)
    assert not _circle(
        {
            module: names & IMPORTS.keys() - {module}
            for module, names in IMPORTS.items()
        }
    )


def test_circles_are_found():
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}
    assert _circle(arrows) == {"a", "b", "c"}


@pytest.mark.parametrize("module", IMPORTS)
def test_commands_are_leaves(module):
    commands = {module_of(path) for path in COMMANDS}
    assert module == "ben_tf.quickstart" or not IMPORTS[module] & commands


@pytest.mark.parametrize("module", IMPORTS)
def test_addons_are_imported_in_one_module_only(module):
    assert module == ADDONS_HOME or not any(
        name.startswith("tensorflow_addons") for name in IMPORTS[module]
    )


@pytest.mark.parametrize("room", ["models", "data", "metrics", "training"])
def test_libraries_know_no_flags(room):
    for module in IMPORTS:
        if _room(module) == room:
            for reached in reaches(module):
                assert reached == "ben_tf.config.config_flags" or not any(
                    name.startswith("absl") for name in IMPORTS[reached]
                )


def test_training_needs_no_rasterio():
    for module in reaches("ben_tf.training.trainer"):
        assert not any(name.startswith("rasterio") for name in IMPORTS[module])


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_files_say_their_purpose(path):
    assert ast.get_docstring(ast.parse(path.read_text()))
