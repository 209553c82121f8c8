"""A page of each kind of the documentation leaves no reader out, by axe-core.

`make docs` runs it on what it has built; nothing else collects it.
"""

import pathlib

import pytest

from tests import browser

BUILT = pathlib.Path(__file__).parents[2] / "build" / "docs"
PAGES = (
    "index.html",
    "commands/train.html",
    "notebooks/01_patch_pair.html",
    "api/ben_tf/ben_tf.retrieval.index.html",
    "_modules/ben_tf/retrieval/index.html",
    "_modules/index.html",
    "search.html",
    "genindex.html",
    "py-modindex.html",
)


@browser.needed
@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark")])
@pytest.mark.parametrize("name", PAGES)
def test_pages_have_no_serious_fault(name, width, scheme):
    with browser.opened(BUILT / name, width=width, scheme=scheme) as page:
        assert browser.serious_faults(page) == []
