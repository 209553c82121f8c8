"""Reads an HTML page that this package has written."""

import html.parser
import os
import pathlib


class Page(html.parser.HTMLParser):
    """Collects what is in a page; fails if its tags do not nest.

    Attributes:
      tags: (tag, attributes) in their order.
      text: All text, with single blanks.
    """

    _VOID = frozenset(
        {"meta", "link", "img", "br", "rect", "source", "image", "circle"}
    )

    def __init__(self, content: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self._words: list[str] = []
        self._open: list[str] = []
        self.feed(content)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self._VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self._VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        self._words += data.split()

    def all(self, tag: str) -> list[dict]:
        """Attributes of each element of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(self._words)

    @property
    def images(self) -> list[dict]:
        return self.all("img")


def read(path: str | os.PathLike) -> Page:
    return Page(pathlib.Path(path).read_text("utf-8"))
