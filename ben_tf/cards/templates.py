"""Fills the templates of texts that are not pages."""

import json
import pathlib
from typing import Any

import jinja2
import markupsafe

# What would end the code, or the cell of a table that it stands in.
_NO_MARKS = str.maketrans("`|", "''")


def _code(text: object) -> markupsafe.Markup:
    """A text as code in Markdown, where nothing in it means anything."""
    words = " ".join(str(text).translate(_NO_MARKS).split())
    return markupsafe.Markup("`{}`").format(markupsafe.Markup(words))


def _quoted(text: object) -> markupsafe.Markup:
    """A text as a string of YAML or of protobuf's text format."""
    return markupsafe.Markup(json.dumps(str(text)))


_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parents[1]),
    # What is neither quoted nor code; Markdown may hold HTML.
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters["code"] = _code
_TEMPLATES.filters["quoted"] = _quoted


def render(template: str, **content: Any) -> str:
    """Fills a template.

    Args:
      template: Its path in the package, without ".jinja".
      **content: What the template names.
    """
    return _TEMPLATES.get_template(f"{template}.jinja").render(**content)
