import html.parser
import shutil
import subprocess

import numpy as np
import pytest
from rasterio import warp

from ben_tf import errors
from ben_tf.retrieval import gallery
from ben_tf.retrieval import index
from ben_tf.retrieval import patch_source

pytestmark = pytest.mark.slow

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Page(html.parser.HTMLParser):
    """Collects tags and checks that they nest."""

    EMPTY = frozenset(
        {"circle", "image", "img", "link", "meta", "input", "br", "!doctype"}
    )

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page_file(sample_index, data_dir, tmp_path_factory):
    return gallery.write_gallery(
        index=sample_index,
        data_dir=data_dir,
        output_file=tmp_path_factory.mktemp("gallery") / "gallery.html",
        num_queries=3,
        k=2,
    )


def test_page_has_a_row_for_each_query(page_file, sample_index):
    text = page_file.read_text()
    page = Page(text)
    assert len(page.all("section")) == 3
    assert len(page.all("figure")) == 3 * (1 + 2) + 1  # The map.
    opened = index.Index.open(sample_index)
    hits = opened.search(
        opened.embeddings[:1],
        k=2,
        fingerprint=opened.manifest.fingerprint,
        exclude=opened.names[:1],
    )
    alternatives = [image["alt"] for image in page.all("img")]
    assert alternatives[:3] == [opened.names[0], *hits.names[0]]
    shared = (opened.labels[0] & hits.labels[0]).sum()
    first = text.split("<section")[1]
    assert first.count('class="hit"') == shared
    assert "what is found here says nothing about BigEarthNet" in text


def test_page_needs_nothing_else(page_file):
    page = Page(page_file.read_text())
    for _, attributes in page.tags:
        for name in ("src", "href"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:"))


def test_map_links_lead_somewhere(page_file):
    page = Page(page_file.read_text())
    targets = {attributes.get("id") for _, attributes in page.tags}
    links = [link["href"] for link in page.all("a") if "href" in link]
    assert len(links) == 9
    assert {link[1:] for link in links} <= targets


def test_filter_offers_the_labels_of_the_queries(page_file):
    page = Page(page_file.read_text())
    used = {
        label
        for section in page.all("section")
        for label in section["data-labels"].split()
    }
    assert {option["value"] for option in page.all("option")} == used | {""}


def test_everything_is_escaped(write, monkeypatch, tmp_path):
    evil = [f"</figcaption><script>alert({n})</script>\"'" for n in range(120)]
    path = write(names=np.array(evil), splits=("<b>test</b>",))
    picture = {"s2_10m": np.zeros((120, 120, 4), np.uint16)}
    monkeypatch.setattr(
        patch_source,
        "from_dataset",
        lambda data_dir, names, **_: dict.fromkeys(names, picture),
    )
    file = gallery.write_gallery(
        index=path, data_dir="nowhere", output_file=tmp_path / "page.html"
    )
    text = file.read_text()
    assert "<script>alert" not in text
    assert "<b>test</b>" not in text
    assert len(Page(text).all("script")) == 1


def test_radar_queries_have_radar_pictures(write, monkeypatch, tmp_path):
    asked = []

    def from_dataset(data_dir, names, *, grids, splits):
        asked.append(grids)
        shape = {"s1": (120, 120, 2), "s2_10m": (120, 120, 4)}
        arrays = {grid: np.ones(shape[grid], np.float32) for grid in grids}
        return dict.fromkeys(names, arrays)

    monkeypatch.setattr(patch_source, "from_dataset", from_dataset)
    gallery.write_gallery(
        index=write("archive", modality="S2"),
        queries=write("queries", modality="S1"),
        data_dir="nowhere",
        output_file=tmp_path / "page.html",
    )
    assert asked == [("s1",), ("s2_10m",)]


def test_unknown_query(sample_index, tmp_path):
    with pytest.raises(errors.UserError, match="nobody is not in"):
        gallery.write_gallery(
            index=sample_index,
            output_file=tmp_path / "page.html",
            names=["nobody"],
        )


def test_map_marks_each_patch_once_at_its_place():
    epsg = np.array([32633, 32633, 32633])
    upper_left = np.array([[4e5, 5e6], [4e5, 6e6], [4e5, 5e6]])
    base_map, marks = gallery._map(
        ["south", "north", "south"], epsg, upper_left, num_queries=1
    )
    kinds = {mark.name: mark.kind for mark in marks}
    assert kinds == {"south": "query", "north": "found"}
    south = {mark.name: mark for mark in marks}["south"]
    assert (south.x, south.y) == (base_map.x[0], base_map.y[0])
    (longitude,), (latitude,) = warp.transform(
        "EPSG:32633", "EPSG:4326", [4e5 + 600], [5e6 - 600]
    )
    assert south.longitude == pytest.approx(longitude)
    assert south.latitude == pytest.approx(latitude)


@pytest.mark.skipif(_CHROMIUM is None, reason="no Chromium found")
def test_opens_in_a_browser(page_file, tmp_path):
    process = subprocess.run(
        [
            _CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            f"--user-data-dir={tmp_path}",
            "--virtual-time-budget=2000",
            "--dump-dom",
            page_file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("<figure") == 10
    assert "</html>" in process.stdout
