"""Fills a template with content: one HTML file that loads nothing."""

import base64
import dataclasses
import hashlib
import pathlib
from collections.abc import Collection
from collections.abc import Sequence
from typing import Any

import jinja2
import markupsafe

_FOLDER = pathlib.Path(__file__).parent
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_FOLDER),
    # All text is escaped; a name that a template does not get is an error.
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A cell with a value from 0 to 1, its bar and its interval.

    Attributes:
      value: The value; None: undefined.
      ends: Its 95 % interval, or None.
    """

    value: float | None
    ends: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class Text:
    """A cell whose text is not what it is sorted by.

    Attributes:
      text: What is shown.
      key: What the column is sorted by; None: stays at the end.
      link: Relative address that the text leads to; "" for none.
    """

    text: str
    key: float | str | None = None
    link: str = ""


Cell = str | float | int | None | Estimate | Text


@dataclasses.dataclass(frozen=True)
class Table:
    """A table that can be sorted by any of its columns.

    Attributes:
      columns: Headings.
      rows: Cells of each row. A float is shown with four digits, None as
        "undefined"; "" is an empty cell.
      bars: Headings of columns whose cells show a bar from 0 to 1.
      texts: Headings of columns with text that may take several lines.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    bars: Collection[str] = ()
    texts: Collection[str] = ()


def render(template: str, **content: Any) -> str:
    """Fills a template.

    The page allows itself no source but its own: its content security policy
    names the style and the script by their hashes, and pictures are part of
    the page.

    Args:
      template: Its name, without ".html.jinja".
      **content: What the template names; text is escaped.
    """
    style, script = (
        (_FOLDER / name).read_text("utf-8") for name in ("page.css", "page.js")
    )
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; "
        "form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    return _TEMPLATES.get_template(f"{template}.html.jinja").render(
        policy=policy,
        style=markupsafe.Markup(style),
        script=markupsafe.Markup(script),
        **content,
    )


def render_served(template: str, **content: Any) -> str:
    """Fills a template of a page that a server sends with its own policy.

    Args:
      template: Its name, without ".html.jinja".
      **content: What the template names; text is escaped.
    """
    return _TEMPLATES.get_template(f"{template}.html.jinja").render(**content)


def read_asset(name: str) -> str:
    """A style or a script of this folder."""
    return (_FOLDER / name).read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
