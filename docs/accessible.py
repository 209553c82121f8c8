"""Sphinx extension: ends what shuts readers out of the pages of a theme.

Each rule below ends a fault that axe-core finds. Regions that scroll are the
business of static/scrolled.js: only a browser knows which of them do.
"""

import pathlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Parameters of a signature, one a line: a list of definitions of nothing.
_PARAMETERS = re.compile(
    r"<dl>\s*((?:<dd>(?:(?!</?d[dlt]\b).)*</dd>\s*)+)</dl>", re.DOTALL
)
_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match], str]], ...] = (
    # Captions above the links to other pages are headings of no level.
    (
        re.compile('(<p class="caption" role="heading")>'),
        r'\1 aria-level="2">',
    ),
    (
        _PARAMETERS,
        lambda match: '<div class="parameters">\n{}</div>'.format(
            match[1]
            .replace("<dd>", '<div class="parameter">')
            .replace("</dd>", "</div>")
        ),
    ),
    # Landmarks of the same kind have names that tell them apart.
    (
        re.compile('(<aside class="sidebar-drawer")>'),
        r'\1 aria-label="All pages">',
    ),
    (
        re.compile('(<aside class="toc-drawer(?: no-toc)?")>'),
        r'\1 aria-label="On this page">',
    ),
    # A heading of a column without a word is a cell.
    (
        re.compile(r'<th class="head">(?:<p>\s*</p>)?</th>'),
        '<td class="head"></td>',
    ),
    # On the page of all sources, lists stand next to the item they belong to.
    (re.compile(r"</li>\s*<ul>"), "\n<ul>"),
    (re.compile(r"</ul>(?=\s*(?:<li>|</ul>))"), "</ul></li>"),
    # The page of results begins with a heading of the second level.
    (
        re.compile(r'(?<!</h1>\n)<div id="search-results">'),
        '<h1>Search</h1>\n<div id="search-results">',
    ),
)


def mended(page: str) -> str:
    """A page, HTML, without these faults; one that has none is unchanged."""
    for pattern, replacement in _RULES:
        page = pattern.sub(replacement, page)
    return page


def _mend_all(app: "Sphinx", exception: Exception | None) -> None:
    """Mends the pages that were written; those of before are mended already."""
    if exception is not None or app.builder.format != "html":
        return
    for path in pathlib.Path(app.outdir).rglob("*.html"):
        before = path.read_text("utf-8")
        after = mended(before)
        if after != before:
            path.write_text(after, "utf-8")


def setup(app: "Sphinx") -> dict[str, bool]:
    """Connects the rules, and adds the script to each page."""
    app.connect("build-finished", _mend_all)
    app.add_js_file("scrolled.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
