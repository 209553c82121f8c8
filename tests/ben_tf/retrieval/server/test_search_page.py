"""The search page in a real browser, as its users have it."""

import contextlib
import shutil

import numpy as np
import pytest

from ben_tf import bigearthnet
from ben_tf.archive import official_lists
from ben_tf.retrieval import embedding
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import index_writer
from ben_tf.retrieval import query as query_lib
from ben_tf.retrieval import where
from ben_tf.retrieval.server import server
from tests import browser

pytestmark = [pytest.mark.slow, browser.needed]

# WebGL without a graphics card.
_WEBGL = ("--use-gl=swiftshader", "--enable-unsafe-swiftshader")


@pytest.fixture(scope="module")
def half_index(index, tmp_path_factory):
    """The patches of the sample's index with even numbers."""
    chosen = slice(None, None, 2)
    columns = {
        name: getattr(index, name)[chosen]
        for name in (
            *("names", "labels", "epsg", "upper_left", "countries"),
            *("seasons", "days", "split_numbers", "embeddings"),
        )
    }
    provenance = embedding.Provenance(
        **{
            field: getattr(index.manifest, field)
            for field in embedding.Provenance.__struct_fields__
        }
    )
    return index_writer.write_index(
        tmp_path_factory.mktemp("indexes") / "half",
        embedding.Embedded(provenance=provenance, **columns),
    )


@pytest.fixture(scope="module")
def address(sample_index, half_index, workdir, data_dir, scene):
    with server.running(
        sample_index,
        half_index,
        data_dir=data_dir,
        saved_model=workdir / "saved_model",
        s2_scene=scene.safe,
        s1_scene=scene.s1,
    ) as address:
        yield f"{address}/"


@pytest.fixture(scope="module")
def chromium():
    with browser.launched(*_WEBGL) as launched:
        yield launched


@pytest.fixture(scope="module")
def index(sample_index):
    return index_lib.Index.open(sample_index)


@pytest.fixture
def visit(chromium, address):
    """Opens an address; neither errors nor requests to others may follow.

    `faulty`: the server is asked for what it refuses.
    """
    faults = []

    with contextlib.ExitStack() as opened:

        def visit(at=address, *, width=1400, scheme="light", faulty=False):
            context = chromium.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme
            )
            opened.callback(context.close)
            page = context.new_page()
            # Chromium tells of every answer such as 404.
            page.on(
                "console",
                lambda said: (
                    said.type == "error"
                    and not (faulty and "the server responded" in said.text)
                    and faults.append(said.text)
                ),
            )
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on(
                "request",
                lambda request: (
                    request.url.startswith(
                        (address, f"blob:{address}", "data:")
                    )
                    or faults.append(f"left for {request.url}")
                ),
            )
            page.goto(at)
            page.wait_for_selector("html[data-ready=yes]")
            return page

        yield visit
    assert faults == []


def _click_on_map(page, name):
    """Clicks where a patch lies, and waits for its hits."""
    page.evaluate(
        """async (name) => {
          const [patch] = await ask_patches({prefix: name});
          map.showPlace(patch.longitude_deg, patch.latitude_deg);
          map.zoom(20, ...[map.element.clientWidth / 2,
            map.element.clientHeight / 2]);
        }""",
        name,
    )
    page.locator("#canvas").click()
    _wait_for(page, name)


def _wait_for(page, name):
    """Waits for the hits of a query with this patch."""
    page.wait_for_selector(f"#examples .name:has-text('{name}')")
    _wait_for_answer(page)


def _wait_for_answer(page):
    page.wait_for_selector("#hits[aria-busy=false]")


def _names(page):
    return page.locator("#hits .name").all_text_contents()


def _library(index, **asked):
    answer = query_lib.query(index, k=12, **asked)
    return [hit.name for hit in answer.hits]


def _check_pictures(page):
    """They are all there, and square."""
    # Refused for a picture that does not come.
    sizes = page.evaluate(
        """() => Promise.all(
          [...document.querySelectorAll("article img")].map(async (img) => {
            img.loading = "eager";
            await img.decode();
            return [img.naturalWidth, img.clientWidth - img.clientHeight];
          }))"""
    )
    assert sizes
    assert all(width > 1 and abs(skew) <= 1 for width, skew in sizes), sizes


def test_a_point_of_the_map_is_a_query(visit, index):
    page = visit()
    assert page.evaluate("map.gl !== null")
    name = str(index.names[3])
    _click_on_map(page, name)
    assert _names(page) == _library(index, names=[name])
    _check_pictures(page)


def test_points_and_outlines_are_drawn(visit):
    page = visit()
    # WebGL keeps its pixels only until they are shown.
    colours = page.evaluate(
        """() => {
          map.drawNow();
          const count = (canvas) => {
            const copy = document.createElement("canvas");
            [copy.width, copy.height] = [canvas.width, canvas.height];
            const pen = copy.getContext("2d");
            pen.drawImage(canvas, 0, 0);
            const {data} = pen.getImageData(0, 0, copy.width, copy.height);
            let drawn = 0;
            for (let place = 3; place < data.length; place += 4)
              drawn += data[place] > 0;
            return drawn;
          };
          return [count(map.points), count(map.marks)];
        }"""
    )
    assert min(colours) > 100, colours


def _in_plane(places):
    """(N, 2) degrees -> Mercator's plane, by another formula than the page."""
    longitude, latitude = np.radians(places).T
    return np.stack([longitude, np.arcsinh(np.tan(latitude))], axis=1)


@pytest.fixture(scope="module")
def many_places():
    """(N, 2) longitude and latitude, as near to each other as patches lie."""
    rng = np.random.default_rng(0)
    places = rng.uniform((9.5, 49.7), (10.5, 50.3), (3000, 2))
    return places.astype(np.float32)


_MAKE_PATCHES = """
  const patches = new Patches(Float32Array.from([...longitudes, NaN]),
    Float32Array.from([...latitudes, 0]));
"""


def test_from_afar_cells_stand_for_many_patches(visit, many_places):
    """Oracle: NumPy counts what lies in each cell."""
    may = np.arange(len(many_places)) % 3 > 0
    seen = visit().evaluate(
        "([longitudes, latitudes, may]) => {"
        + _MAKE_PATCHES
        + """
          patches.setMay(Uint8Array.from([...may, 0]));
          const cells = patches.cells(0.0005);
          return {side: cells.side, box: patches.box, places: [...cells.places],
            may: [...cells.may], weight: [...cells.weight]};
        }""",
        [*many_places.T.tolist(), may.astype(int).tolist()],
    )
    assert 0.0005 <= seen["side"] < 0.001
    corner = np.array(seen["box"][:2])
    plane = _in_plane(many_places.astype(float))
    np.testing.assert_allclose(corner, plane.min(axis=0), atol=1e-7)
    # What lies at the edge of a cell may be rounded into the next one.
    steps = (plane - corner) / seen["side"]
    is_clear = (np.abs(steps - np.rint(steps)) > 1e-3).all(axis=1)
    cells = np.floor(steps)
    places = np.reshape(seen["places"], (-1, 2))
    drawn = np.floor((places - corner) / seen["side"])
    assert len(drawn) == len({*map(tuple, drawn)}) < len(many_places) / 2
    assert {*map(tuple, cells[is_clear])} <= {*map(tuple, drawn)}
    num_compared = 0
    for cell, is_in, weight in zip(
        drawn, seen["may"], seen["weight"], strict=True
    ):
        is_there = (cells == cell).all(axis=1)
        near = (np.abs(steps - cell - 0.5) < 0.51).all(axis=1)
        if not is_clear[near].all():
            continue
        num_compared += 1
        num = (is_there & may).sum()
        assert is_in == (num > 0)
        latitude = corner[1] + (cell[1] + 0.5) * seen["side"]
        ground = seen["side"] * 6378137 / np.cosh(latitude)
        share = (num or is_there.sum()) * (1200 / ground) ** 2
        expected = 255 * min(1, 0.25 + 0.75 * share)
        assert weight == pytest.approx(expected, abs=1.5)
    assert num_compared > 50


def test_the_nearest_patch_is_found(visit, many_places):
    """Oracle: all distances."""
    asked = np.random.default_rng(1).uniform((9, 49), (11, 51), (50, 2))
    rows = visit().evaluate(
        "([longitudes, latitudes, asked]) => {"
        + _MAKE_PATCHES
        + """
          return asked.map((place) => patches.nearest(
            ...mercator(...place), Infinity));
        }""",
        [*many_places.T.tolist(), asked.tolist()],
    )
    away = _in_plane(asked)[:, None] - _in_plane(many_places.astype(float))
    distances = np.hypot(*np.moveaxis(away, -1, 0))
    chosen = distances[np.arange(len(asked)), rows]
    np.testing.assert_allclose(chosen, distances.min(axis=1), atol=1e-6)


def test_enter_asks_for_the_patch_in_the_middle(visit, index):
    page = visit()
    page.focus("#canvas")
    page.keyboard.press("Enter")
    page.wait_for_selector("#hits article")
    name = page.locator("#examples .name").text_content()
    assert _names(page) == _library(index, names=[name])


def test_a_filter_changes_hits_and_map(visit, index):
    name = str(index.names[0])
    page = visit()
    _click_on_map(page, name)
    seasons = np.asarray(index.seasons)
    season = int(np.bincount(seasons[seasons < 4]).argmax())
    box = page.get_by_label(bigearthnet.SEASONS[season])
    box.focus()
    page.keyboard.press("Space")
    _wait_for_answer(page)
    expected = _library(
        index,
        names=[name],
        where=where.Where(seasons=[bigearthnet.SEASONS[season]]),
    )
    assert _names(page) == expected
    num, total = np.sum(seasons == season), len(seasons)
    assert 0 < num < total
    assert page.text_content("#count") == (
        f"{num} of {total} patches may be hits."
    )
    assert page.evaluate("map.may.reduce((a, b) => a + b)") == num
    # The keyboard has not lost its place.
    assert box.evaluate("box => box === document.activeElement")
    page.get_by_role("button", name="Remove all filters").click()
    _wait_for_answer(page)
    assert page.text_content("#count") == f"All {total} patches may be hits."


def test_parts_that_are_hidden_are_not_seen(visit):
    assert not visit().locator("#tools").is_visible()


def test_less_like_it_changes_the_order(visit, index):
    name = str(index.names[0])
    page = visit()
    _click_on_map(page, name)
    before = _names(page)
    disliked = before[0]
    press = page.locator("#hits").get_by_label(f"less like it: {disliked}")
    press.focus()
    page.keyboard.press("Enter")
    _wait_for(page, disliked)
    expected = _library(index, positives=[name], negatives=[disliked])
    assert _names(page) == expected
    assert expected != before
    assert page.evaluate("document.activeElement.id") == "hits-heading"
    # "Back" undoes it.
    page.go_back()
    page.wait_for_selector("#examples article >> nth=1", state="detached")
    _wait_for_answer(page)
    assert _names(page) == before


def test_a_patch_of_ones_own_finds_itself(visit, index, sample_archive_dir):
    name = str(index.names[0])
    s1_name = official_lists.official_patches()[name].s1_name
    page = visit()
    page.set_input_files(
        "#files",
        [
            path
            for folder in (name, s1_name)
            for path in sample_archive_dir.glob(f"*/{folder}/*.tif")
        ],
    )
    _wait_for(page, name)
    assert _names(page)[0] == name
    # What was sent is not refined: no button that would do nothing.
    assert page.locator("#hits [aria-pressed]").count() == 0
    _check_pictures(page)


def test_a_place_in_a_product_of_ones_own(visit, scene, tmp_path):
    packed = shutil.make_archive(
        tmp_path / "x", "zip", scene.safe.parent, scene.safe.name
    )
    page = visit()
    page.fill("#point", ", ".join(map(str, scene.point)))
    page.set_input_files("#files", [packed, scene.s1])
    _wait_for(page, "x")
    assert _names(page)[0] == scene.name
    _check_pictures(page)


def test_a_place_outside_is_told(visit, scene):
    page = visit(faulty=True)
    page.set_input_files("#files", scene.s1)
    page.wait_for_selector("#error:not(:empty)")
    page.fill("#point", "1, 2, 3")
    page.keyboard.press("Tab")
    page.wait_for_selector("#error:has-text('two numbers')")


def test_a_click_in_the_scene_of_the_server(visit, scene):
    page = visit()
    button = page.get_by_role("button", name="Search in the scene")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    page.evaluate("(point) => map.showPlace(...point)", scene.point)
    page.evaluate(
        "map.zoom(20, ...[map.element.clientWidth / 2, "
        "map.element.clientHeight / 2])"
    )
    page.locator("#canvas").click()
    _wait_for(page, scene.safe.stem)
    assert _names(page)[0] == scene.name
    # Patches can be chosen again.
    button.click()
    page.focus("#canvas")
    page.keyboard.press("Enter")
    _wait_for(page, scene.name)


def test_another_index_keeps_what_it_has(visit, address, index):
    kept, left = map(str, index.names[:2])
    page = visit(
        f"{address}#p={kept}&p={left}&labels_none=Marine+waters&splits=test"
    )
    page.select_option("#index", "half")
    page.wait_for_selector(f"#left:has-text('{left}')")
    assert page.text_content("#left") == (
        f"The index half does not have these, which were left out: {left}."
    )
    assert _names(page)
    assert page.locator("#examples .name").all_text_contents() == [kept]
    assert page.evaluate("state.labels_none") == ["Marine waters"]
    # Nothing is left out on the way back.
    page.select_option("#index", index.path.name)
    page.wait_for_selector("#left:empty", state="attached")
    _wait_for_answer(page)
    assert _names(page)


def test_what_is_no_patch_is_told(visit, tmp_path):
    (tmp_path / "note.tif").write_bytes(b"no picture")
    page = visit(faulty=True)
    page.set_input_files("#files", tmp_path / "note.tif")
    page.wait_for_selector("#error:has-text('cannot be read')")


def test_an_address_is_shared(visit, address, index):
    page = visit()
    name, other = map(str, index.names[:2])
    _click_on_map(page, name)
    season = bigearthnet.SEASONS[int(index.seasons[0])]
    page.get_by_label(season).check()
    _wait_for_answer(page)
    page.select_option("#picture", "radar")
    again = visit(page.url)
    assert _names(again) == _names(page)
    assert again.get_by_label(season).is_checked()
    for one in (page, again):
        src = one.locator("#hits img").first.get_attribute("src")
        assert src.endswith("/radar.png")
    # Another address in the same tab is taken, too.
    again.goto(f"{address}#p={other}")
    _wait_for(again, other)
    assert _names(again) == _library(index, names=[other])
    assert not again.get_by_label(season).is_checked()


def test_a_name_that_nobody_knows_leaves_no_hits(visit, address, index):
    page = visit(f"{address}#p={index.names[0]}", faulty=True)
    assert _names(page)
    page.fill("#name", "<img src=x onerror=alert(1)>")
    page.keyboard.press("Enter")
    page.wait_for_selector("#error:has-text('is not in the index')")
    assert _names(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_anybody_can_use_it(visit, address, index, width, scheme):
    page = visit(
        f"{address}#p={index.names[0]}&n={index.names[1]}"
        "&labels_none=Urban+fabric",
        width=width,
        scheme=scheme,
    )
    page.evaluate("find('filter-details').open = true")
    assert _names(page)
    _check_pictures(page)
    assert browser.serious_faults(page) == []
    assert browser.overhang(page) <= 0
    assert browser.sideways_scrolled(page) == []


@pytest.mark.parametrize("width", [1400, 390])
def test_the_keyboard_goes_down_the_page(visit, address, index, width):
    page = visit(f"{address}#p={index.names[0]}", width=width)
    page.evaluate("find('filter-details').open = true")
    parts = []
    for _ in range(200):
        page.keyboard.press("Tab")
        part, outline = page.evaluate(
            """() => {
              const at = document.activeElement;
              const part = at.closest("section, footer");
              return [part && part.className,
                getComputedStyle(at).outlineStyle];
            }"""
        )
        if part == "":
            break
        # Whoever tabs sees where.
        assert outline != "none"
        if part is not None and part not in parts[-1:]:
            parts.append(part)
    assert parts == ["query-part", "map-part", "filter-part", "hits-part"]
