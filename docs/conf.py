"""Configures Sphinx for `make docs`; warnings are errors."""

import dataclasses
import os
import pathlib
import re
import shutil
import sys
from collections.abc import Iterable
from collections.abc import Sequence

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # Before TensorFlow is imported.

import tensorflow as tf
import tensorflow_datasets as tfds
from sphinx.application import Sphinx

import ben_tf
from ben_tf import bigearthnet
from ben_tf import config as config_lib
from tfrecords_builder import bigearthnet_mm_dataset_builder

HERE = pathlib.Path(__file__).parent
NOTEBOOKS = HERE.parent / "notebooks"
EXAMPLE = HERE.parent / "build" / "example" / "pages"
sys.path.insert(0, os.fspath(HERE))
import command_pages  # noqa: E402

project = "BigEarthNet-MM in TensorFlow"
author = "The ben_tf contributors"
release = ben_tf.__version__
html_title = project
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_extra_path = [os.fspath(EXAMPLE)] if EXAMPLE.is_dir() else []
html_copy_source = False
html_show_copyright = False

extensions = [
    "accessible",  # Ours: what axe-core finds fault with on pages of Sphinx.
    "myst_nb",  # Markdown, and notebooks as they were run.
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
# Pages of modules are generated here at each build, and ignored by git.
apidoc_modules = [
    {
        "path": f"../{package}",
        "destination": f"api/{package}",
        "separate_modules": True,
        "module_first": True,
        "max_depth": 1,
        # What has no docstring is a field that its class describes.
        "automodule_options": {"members", "show-inheritance"},
    }
    for package in ("ben_tf", "tfrecords_builder")
]
# Docstrings are written for readers of the source: `name` is code there.
default_role = "literal"
# Lists of one package each; docs/api.md leads to the packages themselves.
exclude_patterns = ["api/*/modules.rst"]
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# A reference to what is not there is a warning, and so an error. Named but not
# linked are types of other projects, private ones and type variables.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:(class|exc|obj)", r"(?!(ben_tf|tfrecords_builder)\b).*"),
    (r"py:(class|obj)", r".*\.(_\w+|Content|Item|Key|Result|Task|Value)"),
]
# "--" starts an option here more often than it is a dash.
smartquotes = False
myst_enable_extensions = ["deflist", "substitution"]
myst_heading_anchors = 3

# The notebooks are stored with what they show.
nb_execution_mode = "off"
# What a cell prints line by line is one text.
nb_merge_streams = True

# The lines of a docstring, which are changed in place.
Lines = list[str]


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _features_table(info: tfds.core.DatasetInfo) -> str:
    """Returns as a table what TFDS documents about the features of a record."""
    rows = []
    order = list(info.features)
    for feature in sorted(
        # The first describes the record as a whole.
        info.features.catalog_documentation()[1:],
        key=lambda feature: order.index(feature.name),
    ):
        if feature.tensor_info is not None:
            shape = feature.tensor_info.shape
            rows.append(
                [
                    f"`{feature.name}`",
                    feature.cls_name,
                    " x ".join("any" if n is None else str(n) for n in shape)
                    or "scalar",
                    tf.as_dtype(feature.tensor_info.tf_dtype).name,
                    feature.description or "",
                ]
            )
    header = ["feature", "TFDS type", "shape", "dtype", "what it is"]
    return _table(header, rows)


def _help(field: dataclasses.Field) -> str:
    """The help of a field's flag, with its choices."""
    text = field.metadata["help"]
    if choices := field.metadata["choices"]:
        text += f" One of: {', '.join(map(str, choices))}."
    return text


def _example_report() -> str:
    """A link to the page that docs/make_example.py has made."""
    if (EXAMPLE / "example_report.html").is_file():
        return '<a href="example_report.html">Open the report</a>'
    return (
        "It was not made for this build of the documentation: `make docs` does "
        "so, and `python docs/make_example.py` alone."
    )


_commands = command_pages.read_all()
_info = bigearthnet_mm_dataset_builder.Builder(data_dir=os.devnull).info
myst_substitutions = {
    "dataset": f"`{_info.full_name}`",
    "commands": command_pages.overview(_commands),
    "description": _info.description,
    "example_report": _example_report(),
    "features": _features_table(_info),
    "splits": _table(
        ["split", "pairs"],
        [
            [f"`{name}`", f"{size:,}"]
            for name, size in bigearthnet.SPLIT_SIZES.items()
        ]
        + [["together", f"{bigearthnet.NUM_PATCHES:,}"]],
    ),
    "bands": _table(
        ["array", "band", "pixel size", "mean", "standard deviation"],
        [
            [
                f"`{name}`",
                band,
                f"{grid.pixel_size_m} m",
                f"{bigearthnet.PAPER_STATISTICS.mean[band]:.2f}",
                f"{bigearthnet.PAPER_STATISTICS.std[band]:.2f}",
            ]
            for name, grid in bigearthnet.GRIDS.items()
            for band in grid.bands
        ],
    ),
    "classes": _table(
        ["index", "class of 43", "index", "class of 19"],
        [
            [
                number,
                old,
                "" if new is None else bigearthnet.CLASSES_19.index(new),
                new or "dropped",
            ]
            for number, (old, new) in enumerate(
                bigearthnet.CLASS_43_TO_19.items()
            )
        ],
    ),
}


def _describe_fields(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    lines: Lines,
) -> None:
    """Lists the fields of the configuration with the help of their flags."""
    del app, what, name, options
    if obj is not config_lib.Config:
        return
    described = ["Attributes:"]
    for field in dataclasses.fields(obj):
        described.append(f"  {field.name}: {_help(field)}")
    lines[:0] = [lines.pop(0), "", *described]


def _mark_literal_blocks(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    lines: Lines,
) -> None:
    """Turns a docstring as it reads in the source into reStructuredText.

    Commands, formulas and tables, which stand indented or between bars after
    an empty line, would otherwise be quotations or verses; |y| and S2A_ would
    be references.
    """
    del app, what, name, obj, options
    marked: Lines = []
    block_indent, last = None, ""
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if not line.strip():
            marked.append(line)
            continue
        if block_indent is not None and indent < block_indent:
            block_indent = None
        if block_indent is None and number and not lines[number - 1].strip():
            is_table = line.startswith("|")
            if is_table or indent > len(last) - len(last.lstrip()):
                block_indent = indent
                outer = min(indent, len(last) - len(last.lstrip()))
                marked += [" " * outer + "::", ""]
        if block_indent is not None:
            marked.append("    " + line)
        elif last.strip() in ("Returns:", "Yields:"):
            # Without a type in front; napoleon takes the text up to a colon.
            marked.append(" " * indent + ": " + _escape(line.lstrip()))
        else:
            marked.append(_escape(line))
        last = line
    lines[:] = marked


def _escape(line: str) -> str:
    """Escapes what is not between backticks."""
    parts = line.split("`")
    parts[::2] = [
        re.sub(r"(?<=\w)_(?!\w)", r"\_", part).replace("|", r"\|")
        for part in parts[::2]
    ]
    return "`".join(parts)


def _generate(app: Sphinx) -> None:
    """Writes the pages that git ignores: of the commands, of the notebooks."""
    del app
    command_pages.write(HERE / "commands", _commands)
    folder = HERE / "notebooks"
    folder.mkdir(exist_ok=True)
    notebooks = {path.name: path for path in NOTEBOOKS.glob("*.ipynb")}
    for path in folder.glob("*.ipynb"):
        if path.name not in notebooks:
            path.unlink()
    for name, path in notebooks.items():
        copy = folder / name
        if not copy.exists() or copy.read_bytes() != path.read_bytes():
            shutil.copyfile(path, copy)


def setup(app: Sphinx) -> None:
    """Connects all; those of docstrings before napoleon, which reads them."""
    app.connect("builder-inited", _generate)
    app.connect("autodoc-process-docstring", _mark_literal_blocks, priority=400)
    app.connect("autodoc-process-docstring", _describe_fields, priority=450)
