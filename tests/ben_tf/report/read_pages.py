"""Pages as a reader has them: sections with tables, and in a browser."""

import html
import html.parser
import json
import pathlib
import re
import shutil
import subprocess

import pytest
from playwright import sync_api

_CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None
)
needs_chromium = pytest.mark.skipif(
    _CHROMIUM is None, reason="no chromium binary found"
)
_VOID = ("meta", "link", "img", "br", "rect", "line")
_PROBE = """
<script>
addEventListener("load", () => {
  const found = (%s)();
  const probe = document.createElement("pre");
  probe.id = "probe";
  probe.textContent = JSON.stringify(found);
  document.body.append(probe);
});
</script>
"""


class Page(html.parser.HTMLParser):
    """Text, images, links, and the tables below each heading.

    Attributes:
      text: All text, with single spaces.
      alts: What images say in words.
      links: Addresses of links.
      tables: Last heading before a table -> its rows, of texts.
      tags: Names of all elements.
    """

    def __init__(self, path: pathlib.Path):
        super().__init__()
        self.alts, self.links, self.tags = [], [], []
        self.tables: dict[str, list[list[str]]] = {}
        self._open, self._words = [], []
        self._heading = ""
        self.feed(path.read_text("utf-8"))
        self.close()
        assert not self._open
        self.text = " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        if tag == "img":
            self.alts.append(attrs["alt"])
        if tag == "a":
            self.links.append(attrs["href"])
        if tag not in _VOID:
            self._open.append(tag)
        if tag in ("h2", "h3", "h4"):
            self._heading = ""
        if tag == "tr":
            self.tables.setdefault(self._heading.strip(), []).append([])
        if tag in ("td", "th"):
            self.tables[self._heading.strip()][-1].append("")

    def handle_endtag(self, tag):
        if tag not in _VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self._open):
            self._words.append(data)
        if {"h2", "h3", "h4"} & set(self._open):
            self._heading += data
        if {"td", "th"} & set(self._open):
            cells = self.tables[self._heading.strip()][-1]
            cells[-1] = " ".join(f"{cells[-1]} {data}".split())


def bar_contrasts(page: sync_api.Page) -> list[float]:
    """Contrasts of the text of cells with a bar to what lies behind it.

    Axe does not look through the drawing. The formula is that of WCAG 2.2,
    "contrast ratio".
    """
    colours = page.evaluate(
        """() => [...document.querySelectorAll("td.bar")].flatMap((cell) => {
          const back = [
            getComputedStyle(cell.querySelector("svg")).backgroundColor,
            getComputedStyle(cell.querySelector("rect")).fill,
          ];
          return [...cell.querySelectorAll("span, small")].flatMap((text) =>
            back.map((colour) => [getComputedStyle(text).color, colour]));
        })"""
    )
    return [_contrast(*pair) for pair in colours]


def _contrast(first: str, second: str) -> float:
    darker, lighter = sorted(map(_luminance, (first, second)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance of an opaque colour, as a browser says it."""
    match = re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", colour)
    assert match, colour
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (int(number) / 255 for number in match.groups())
    ]
    return sum(
        weight * c
        for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True)
    )


def measured(page: pathlib.Path, folder: pathlib.Path, script: str) -> dict:
    """What a function in JavaScript finds on a page 390 pixels wide.

    Args:
      page: The page.
      folder: An empty one to work in.
      script: A function without arguments.
    """
    probed = folder / "probed.html"
    text = page.read_text("utf-8")
    # The page's own policy would, rightly, refuse the probe.
    text = re.sub("<meta http-equiv[^>]*>", "", text)
    text = text.replace("</body>", f"{_PROBE % script}</body>")
    # Windows of a browser have a least width; frames have none.
    frame = html.escape(text)
    probed.write_text(
        f'<iframe srcdoc="{frame}" width="390" height="900" id="f"></iframe>'
        '<script>addEventListener("load", () => { document.body.append('
        'document.getElementById("f").contentDocument.getElementById("probe")'
        ")});</script>"
    )
    dom = subprocess.run(
        [
            _CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-dev-shm-usage",
            f"--user-data-dir={folder / 'profile'}",
            "--dump-dom",
            "--virtual-time-budget=5000",
            probed.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    return json.loads(
        html.unescape(re.search('<pre id="probe">(.*?)</pre>', dom).group(1))
    )
