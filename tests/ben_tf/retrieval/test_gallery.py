"""The gallery: what it draws of queries and hits, and how a browser sees it."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from rasterio import warp

from ben_tf import errors
from ben_tf.data import built_dataset
from ben_tf.plots import pictures
from ben_tf.retrieval import gallery
from ben_tf.retrieval import index
from ben_tf.retrieval import patch_source
from tests import browser
from tests import html_page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page_file(sample_index, data_dir, tmp_path_factory):
    return gallery.write_gallery(
        index=sample_index,
        data_dir=data_dir,
        output_file=tmp_path_factory.mktemp("gallery") / "gallery.html",
        num_queries=3,
        k=2,
    )


@pytest.fixture
def no_pixels(monkeypatch):
    """A dataset of both sensors with any patch, each of them black."""
    picture = {
        "s1": np.zeros((120, 120, 2), np.float32),
        "s2_10m": np.zeros((120, 120, 4), np.uint16),
    }
    monkeypatch.setattr(
        patch_source,
        "from_dataset",
        lambda data_dir, names, **_: dict.fromkeys(names, picture),
    )
    monkeypatch.setattr(built_dataset, "open_dataset", lambda data_dir: None)
    monkeypatch.setattr(built_dataset, "sensors", lambda built: ("S1", "S2"))


@pytest.fixture(scope="module")
def first_hits(sample_index):
    """Names and labels of the first query and of its hits, by class name."""
    opened = index.Index.open(sample_index)
    hits = opened.search(
        opened.embeddings[:1],
        k=2,
        fingerprint=opened.manifest.fingerprint,
        exclude=opened.names[:1],
    )
    rows = [0, *hits.rows[0]]
    classes = np.array(opened.manifest.class_names)
    return [
        (str(opened.names[row]), set(classes[opened.labels[row].astype(bool)]))
        for row in rows
    ]


def test_page_has_a_row_for_each_query(page_file):
    page = html_page.read(page_file)
    assert len(page.all("section")) == 3
    assert len(page.all("figure")) == 3 * (1 + 2) + 1  # The map.
    assert "what is found here says nothing about BigEarthNet" in page.text


def test_each_patch_is_shown_by_both_sensors(page_file, first_hits, data_dir):
    images = html_page.read(page_file).images
    names = [name for name, _ in first_hits]
    assert [image["alt"] for image in images[:6]] == [
        f"{shown} of {name}"
        for name in names
        for shown in ("True colour", "Radar: VV, VH, VV - VH")
    ]
    grids = patch_source.from_dataset(
        data_dir, names[:1], grids=("s1", "s2_10m")
    )[names[0]]
    for image, shown in zip(images, pictures.BOTH_SENSORS, strict=False):
        content = base64.b64decode(image["src"].partition(",")[2])
        np.testing.assert_array_equal(
            np.asarray(Image.open(io.BytesIO(content))),
            pictures.render(grids, shown),
        )


def _labels(element: str) -> set[tuple[str, str]]:
    """(kind, text) of the labels in a piece of a page."""
    items = re.findall(r'<li class="(\w+)">(.*?)</li>', element, re.DOTALL)
    return {
        (kind, " ".join(re.sub("<[^>]*>", "", text).split()))
        for kind, text in items
    }


def test_labels_say_by_sign_and_word_what_is_shared(page_file, first_hits):
    section = page_file.read_text().split("<section")[1]
    figures = section.split("<figure")[1:]
    (_, own), *hits = first_hits
    assert _labels(figures[0]) == {("own", name) for name in own}
    for figure, (_, labels) in zip(figures[1:], hits, strict=True):
        assert _labels(figure) == {
            *(("shared", f"✓ shared: {name}") for name in own & labels),
            *(
                ("lacking", f"\N{MINUS SIGN} missing: {name}")
                for name in own - labels
            ),
            *(("extra", f"+ extra: {name}") for name in labels - own),
        }


def test_page_has_landmarks_and_a_link_to_each_query(page_file):
    page = html_page.read(page_file)
    for landmark in ("header", "nav", "main"):
        assert len(page.all(landmark)) == 1
    ids = {section["id"] for section in page.all("section")}
    links = {link.get("href", "")[1:] for link in page.all("a")}
    assert ids <= links


def test_pictures_of_other_records_are_refused(
    sample_index, reordered_data_dir, tmp_path
):
    with pytest.raises(errors.UserError, match="holds other records"):
        gallery.write_gallery(
            index=sample_index,
            data_dir=reordered_data_dir,
            output_file=tmp_path / "gallery.html",
        )
    assert not list(tmp_path.iterdir())


def test_page_needs_nothing_else(page_file):
    for _, attributes in html_page.read(page_file).tags:
        for name in ("src", "srcset", "href"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:"))


def _made_of(path):
    """What is folded away at the foot: index -> what -> value."""
    text = path.read_text().partition("<details>")[2]
    return {
        heading: dict(
            re.findall(
                r'<th scope="row">(.*?)</th><td><code>(.*?)</code></td>', rows
            )
        )
        for heading, rows in re.findall(
            r"<h2>(.*?)</h2>(.*?)</table>", text, re.DOTALL
        )
    }


def test_page_says_what_it_was_made_of(page_file, sample_index):
    made = index.Index.open(sample_index).manifest
    assert _made_of(page_file) == {
        "Queries and hits": {
            "Embedded": f"{made.origin.date} by ben_tf {made.origin.version}, "
            f"TensorFlow {made.origin.tensorflow}, {made.origin.device}",
            "Model": "small_cnn, MM",
            "Weights, SHA-256": made.fingerprint,
            "Trained on": "bigearthnet_mm/v1/1.0.0",
            "Dataset": "bigearthnet_mm/v1/1.0.0, test",
            "Synthetic": "yes",
            "Records, SHA-256": made.records,
        }
    }
    assert len(made.records) == 64


def test_indexes_of_other_kinds_are_told_apart(write, no_pixels, tmp_path):
    def gallery_of(name):
        return gallery.write_gallery(
            index=write("hits"),
            queries=write("queries", splits=("train",), records="ab"),
            data_dir="nowhere",
            output_file=tmp_path / name,
        )

    made = _made_of(gallery_of("page.html"))
    assert made["Queries"]["Dataset"] == "unknown, train"
    assert made["Queries"]["Records, SHA-256"] == "ab"
    assert made["Hits"]["Dataset"] == "unknown, test"
    for what in ("Embedded", "Trained on", "Records, SHA-256"):
        assert made["Hits"][what] == "unknown"


def test_equal_input_gives_an_equal_page(write, no_pixels, tmp_path):
    path = write()
    first, second = (
        gallery.write_gallery(
            index=path, data_dir="nowhere", output_file=tmp_path / name
        )
        for name in ("first.html", "second.html")
    )
    assert first.read_bytes() == second.read_bytes()


def test_map_links_lead_somewhere(page_file):
    page = html_page.read(page_file)
    targets = {attributes.get("id") for _, attributes in page.tags}
    links = [link["href"] for link in page.all("a") if "href" in link]
    assert len(links) == 9 + 3 + 1  # From pictures, to queries, to the map.
    assert {link[1:] for link in links} <= targets


def test_filter_offers_the_labels_of_the_queries(page_file):
    page = html_page.read(page_file)
    used = {
        label
        for section in page.all("section")
        for label in section["data-labels"].split()
    }
    assert {option["value"] for option in page.all("option")} == used | {""}


def test_everything_is_escaped(write, no_pixels, tmp_path):
    evil = [f"</figcaption><script>alert({n})</script>\"'" for n in range(120)]
    path = write(names=np.array(evil), splits=("<b>test</b>",))
    file = gallery.write_gallery(
        index=path, data_dir="nowhere", output_file=tmp_path / "page.html"
    )
    text = file.read_text()
    assert "<script>alert" not in text
    assert "<b>test</b>" not in text
    assert len(html_page.Page(text).all("script")) == 1


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


@browser.needed
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_page_is_accessible_and_fits(page_file, width, scheme):
    with browser.opened(page_file, width=width, scheme=scheme) as page:
        page.locator("summary").click()
        assert browser.serious_faults(page) == []
        assert browser.overhang(page) <= 0
        assert browser.sideways_scrolled(page) == []


@browser.needed
def test_the_filter_hides_other_queries(page_file):
    with browser.opened(page_file, bypass_policy=False) as page:
        assert page.locator("section:visible").count() == 3
        chosen = page.locator("option").nth(1).get_attribute("value")
        page.locator("select").select_option(chosen)
        shown = page.locator("section:visible")
        assert 1 <= shown.count() <= 3
        for number in range(shown.count()):
            labels = shown.nth(number).get_attribute("data-labels")
            assert chosen in labels.split()
