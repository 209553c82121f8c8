"""Pages of the documentation leave no reader out, by axe-core."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

from tests import browser
from tests import html_page

DOCS = pathlib.Path(__file__).parents[2] / "docs"

INDEX = f"""\
# Title

| | what |
|---|---|
| a | {"x" * 60} |

    {"y" * 70}

```{{py:function}} search(name: str, number: int) -> str
Finds a patch.
```

## Section

## Another section

### Part of it

```{{toctree}}
:caption: Of other pages

other
```
"""
CONFIGURATION = f"""\
import sys
sys.path.insert(0, {str(DOCS)!r})
extensions = ["accessible", "myst_parser"]
html_theme = "furo"
html_static_path = [{str(DOCS / "static")!r}]
html_css_files = ["pages.css"]
maximum_signature_line_length = 10
"""


@pytest.fixture(scope="module")
def accessible():
    spec = importlib.util.spec_from_file_location(
        "accessible", DOCS / "accessible.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_captions_have_a_level(accessible):
    page = '<p class="caption" role="heading"><span>A</span></p>'
    assert accessible.mended(page) == (
        '<p class="caption" role="heading" aria-level="2"><span>A</span></p>'
    )


def test_parameters_are_no_definitions(accessible):
    page = (
        '<dl class="py"><dt class="sig">f(\n\n<dl>\n<dd><em>a</em>,</dd>\n'
        "<dd><em>b</em>,</dd>\n</dl>\n\n)</dt>\n<dd><dl>\n<dt>A</dt>\n"
        "<dd>B</dd>\n</dl></dd></dl>"
    )
    assert accessible.mended(page) == (
        '<dl class="py"><dt class="sig">f(\n\n<div class="parameters">\n'
        '<div class="parameter"><em>a</em>,</div>\n'
        '<div class="parameter"><em>b</em>,</div>\n</div>\n\n)</dt>\n'
        # Those that define something stay.
        "<dd><dl>\n<dt>A</dt>\n<dd>B</dd>\n</dl></dd></dl>"
    )


def test_sidebars_have_names(accessible):
    page = html_page.Page(
        accessible.mended(
            '<aside class="sidebar-drawer"></aside>'
            '<aside class="toc-drawer"></aside><aside class="other"></aside>'
        )
    )
    names = [aside.get("aria-label") for aside in page.all("aside")]
    assert names == ["All pages", "On this page", None]


@pytest.mark.parametrize("empty", ["", "<p></p>", "<p> </p>"])
def test_headings_without_a_word_are_cells(accessible, empty):
    page = f'<th class="head">{empty}</th><th class="head"><p>A</p></th>'
    assert accessible.mended(page) == (
        '<td class="head"></td><th class="head"><p>A</p></th>'
    )


def test_lists_are_in_the_item_that_they_belong_to(accessible):
    page = (
        "<ul><li>a</li>\n<ul><li>b</li>\n<ul><li>c</li>\n</ul></ul>"
        "<li>d</li>\n</ul>"
    )
    once = accessible.mended(page)
    assert "".join(once.split()) == (
        "<ul><li>a<ul><li>b<ul><li>c</li></ul></li></ul></li><li>d</li></ul>"
    )
    assert accessible.mended(once) == once


def test_the_page_of_results_has_a_title(accessible):
    page = accessible.mended('<div id="search-results"></div>')
    assert page == '<h1>Search</h1>\n<div id="search-results"></div>'


def test_a_mended_page_stays_as_it_is(accessible):
    page = (
        '<p class="caption" role="heading">A</p><dl>\n<dd>a</dd>\n</dl>'
        '<aside class="sidebar-drawer"></aside><th class="head"></th>'
        '<aside class="toc-drawer no-toc"></aside>'
        '<div id="search-results"></div>'
    )
    once = accessible.mended(page)
    assert once.count("aria-") == 3
    assert accessible.mended(once) == once


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A project as ours, built by Sphinx with the theme."""
    for name in ("furo", "myst_parser"):
        pytest.importorskip(name, reason=f"no {name}: `.[docs]` brings it")
    source = tmp_path_factory.mktemp("source")
    (source / "conf.py").write_text(CONFIGURATION)
    (source / "index.md").write_text(INDEX)
    (source / "other.md").write_text("# Other\n\n## Section\n")
    built = source / "built"
    command = [sys.executable, "-m", "sphinx", "-W", "-q", source, built]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return built


@browser.needed
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("name", ["index", "other", "search", "genindex"])
def test_pages_have_no_serious_fault(pages, name, width, scheme):
    path = pages / f"{name}.html"
    with browser.opened(path, width=width, scheme=scheme) as page:
        assert browser.serious_faults(page) == []


@browser.needed
@pytest.mark.slow
def test_only_what_scrolls_is_a_stop_of_the_keyboard(pages):
    focused = "pre[tabindex='0'], .table-wrapper[tabindex='0']"
    with browser.opened(pages / "index.html", width=390) as page:
        assert page.locator(focused).count() == 2
        page.set_viewport_size({"width": 1400, "height": 900})
        page.wait_for_function(
            f'document.querySelectorAll("{focused}").length === 0',
            timeout=10_000,
        )
