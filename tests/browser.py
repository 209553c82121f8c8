"""Opens a page in the Chromium of this machine, for tests of how it looks.

    @browser.needed
    def test_page(tmp_path):
        with browser.opened(path, width=390) as page:
            assert browser.serious_faults(page) == []

Playwright drives the browser; it brings none of its own. Chromium is found on
the PATH; where there is none, `needed` skips a test and says so.
"""

import contextlib
import pathlib
import shutil
from collections.abc import Iterator

import pytest
from axe_playwright_python import sync_playwright as axe
from playwright import sync_api

CHROMIUM = next(
    filter(
        None,
        map(shutil.which, ("chromium", "chromium-browser", "google-chrome")),
    ),
    None,
)
needed = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome"
)


@contextlib.contextmanager
def launched(*flags: str) -> Iterator[sync_api.Browser]:
    """Starts Chromium, with more of its flags."""
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", *flags],
        )
        yield chromium
        chromium.close()


@contextlib.contextmanager
def opened(
    path: pathlib.Path,
    *,
    width: int = 1400,
    scheme: str = "light",
    media: str = "screen",
    bypass_policy: bool = True,
) -> Iterator[sync_api.Page]:
    """Opens a file, without a network.

    Args:
      path: The HTML file.
      width: Of the window, in CSS pixels.
      scheme: "light" or "dark", what the reader prefers.
      media: "screen" or "print".
      bypass_policy: Whether a test may run scripts in the page, which the
        page's own policy refuses.
    """
    with launched() as chromium:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            offline=True,
            bypass_csp=bypass_policy,
        )
        page = context.new_page()
        page.emulate_media(media=media, color_scheme=scheme)
        page.goto(path.absolute().as_uri(), wait_until="load")
        yield page


def serious_faults(page: sync_api.Page) -> list[str]:
    """What axe-core calls a serious or critical fault of accessibility.

    The size of targets as well, which WCAG 2.2 asks for and axe-core by default
    does not look at.
    """
    rules = {"target-size": {"enabled": True}}
    found = axe.Axe().run(page, options={"rules": rules}).response
    # It has looked at something.
    assert found["passes"]
    return [
        f"{fault['id']} at {node['target']}: {node['failureSummary']}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def overhang(page: sync_api.Page) -> int:
    """How many pixels the page is wider than its window."""
    return page.evaluate(
        "document.documentElement.scrollWidth - window.innerWidth"
    )


def sideways_scrolled(page: sync_api.Page) -> list[str]:
    """The elements whose content is wider than they are, by class."""
    return page.evaluate(
        """() => [...document.body.querySelectorAll("*")]
        .filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1
          && ["auto", "scroll"].includes(getComputedStyle(e).overflowX))
        .map(e => e.className)"""
    )
