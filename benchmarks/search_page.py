"""Measures the search page in a browser: how soon and how smoothly it shows.

    python benchmarks/search_page.py
    python benchmarks/search_page.py --index=index --data_dir=data

Without --index it makes up --num_patches patches: SYNTHETIC, on grids of 1.2 km
in tiles of 110 km over the ten countries of BigEarthNet, with random
embeddings; their pictures are missing. Serves the index as a process of its
own, opens the page in headless Chromium through Playwright, and ends with one
line a figure, `name: number`. Of --rounds visits the median counts:

  opening_s       from the start of the server to its address
  first_points_s  from opening the page to the first picture of the map that has
                  all points, for a client that comes first: `_again` are later
  ready_s         to the page being usable, at the first visit
  megabytes       that the page has loaded
  pan_p50_ms, pan_p99_ms, zoom_p50_ms, zoom_p99_ms  between two pictures while
                  the map is dragged, and while the wheel is turned
  filter_ms       from a click on a season to the map that shows it
  hits_ms         from a click on the map to the hits
  server_mb       memory of the server at the end
  errors          of the page, but for pictures that are missing

A headless browser draws WebGL with SwiftShader, on the processor: a machine
with a graphics card draws faster.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import search_load_server
from absl import app
from absl import flags
from playwright import sync_api
from rasterio import warp

from ben_tf import bigearthnet
from ben_tf.retrieval import embedding
from ben_tf.retrieval import index_writer
from ben_tf.retrieval import patch_facts

_INDEX = flags.DEFINE_string("index", None, "Index folder; None: made up.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Its dataset; that of its model by default."
)
_NUM_PATCHES = flags.DEFINE_integer("num_patches", 590_326, "To make up.")
_DIMENSION = flags.DEFINE_integer("dimension", 16, "Of their embeddings.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Visits.", lower_bound=1)
_WIDTH = flags.DEFINE_integer("width", 1400, "Of the window, CSS pixels.")
_SCREENSHOTS = flags.DEFINE_string(
    "screenshots", None, "Folder for a picture of the page, dark and light."
)

# West, south, east, north of where patches of each country may lie, degrees.
_BOXES = {
    "Austria": (12.5, 46.8, 16.0, 48.5),
    "Belgium": (3.2, 50.0, 5.6, 51.1),
    "Finland": (22.5, 61.0, 28.5, 67.5),
    "Ireland": (-9.3, 52.0, -6.8, 54.0),
    "Kosovo": (20.6, 42.2, 21.3, 42.8),
    "Lithuania": (21.8, 54.4, 25.5, 56.0),
    "Luxembourg": (5.9, 49.5, 6.3, 50.0),
    "Portugal": (-8.6, 37.5, -7.4, 41.5),
    "Serbia": (19.6, 43.2, 21.8, 45.6),
    "Switzerland": (6.8, 46.4, 9.3, 47.3),
}
_PATCHES_PER_TILE_SIDE = 90
_SHARE_OF_TILE = 0.6
_FIRST_DAY, _NUM_DAYS = 17_318, 365
_WEBGL = ("--use-gl=swiftshader", "--enable-unsafe-swiftshader")
_TIMEOUT_MS = 120_000
_MOVES = 60
_MISSING = "the server responded with a status of 404"
# Notes when the map and the page are there, and how long pictures take.
_WATCH = """
  window.noted = {};
  const note = () => {
    const root = document.documentElement;
    for (const [name, is_there] of [["points", Number(root.dataset.drawn) > 0],
        ["ready", root.dataset.ready === "yes"]])
      if (is_there && !(name in noted)) {
        noted[name] = NaN;
        requestAnimationFrame(() => setTimeout(
          () => {
            noted[name] = performance.now();
            if (noted.points > 0 && noted.ready > 0) root.dataset.noted = "";
          }));
      }
  };
  new MutationObserver(note).observe(document, {
    attributes: true, subtree: true,
    attributeFilter: ["data-drawn", "data-ready"]});
  window.frames_ms = [];
  let last = NaN;
  const tick = (now) => {
    frames_ms.push(now - last);
    last = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
"""


def main(_: list[str]) -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        index, data_dir = _INDEX.value, _DATA_DIR.value
        if index is None:
            index = os.fspath(make_index(folder / "index", _NUM_PATCHES.value))
            data_dir = _make_dataset(folder)
        start = time.perf_counter()
        with _served(index, data_dir) as (process, address):
            figures = {"opening_s": time.perf_counter() - start}
            figures |= _visit_all(address)
            memory = psutil.Process(process.pid).memory_info().rss
            figures["server_mb"] = memory / 1e6
    for name, value in figures.items():
        print(f"{name}: {value:.2f}")


# --- What is served ---------------------------------------------------------


def make_index(path: pathlib.Path, num_patches: int) -> pathlib.Path:
    """Writes an index of made-up patches; returns its folder."""
    rng = np.random.default_rng(0)
    per_tile = int(_SHARE_OF_TILE * _PATCHES_PER_TILE_SIDE**2)
    tiles = [_make_tile(rng, n) for n in range(-(-num_patches // per_tile))]
    names = [name for tile in tiles for name in tile["names"][:per_tile]]
    columns = {
        name: np.concatenate([tile[name][:per_tile] for tile in tiles])
        for name in ("epsg", "upper_left", "countries", "seasons", "days")
    }
    num_classes = len(bigearthnet.CLASSES_19)
    # A third of the patches has one label, and so on, as in the archive.
    labels = rng.random((num_patches, num_classes)) < 3 / num_classes
    labels[
        np.arange(num_patches), rng.integers(0, num_classes, num_patches)
    ] = 1
    shape = (num_patches, _DIMENSION.value)
    vectors = rng.standard_normal(shape, np.float32)
    vectors += labels @ rng.standard_normal(
        (num_classes, _DIMENSION.value), np.float32
    )
    return index_writer.write_index(
        path,
        embedding.Embedded(
            names=np.array(names[:num_patches]),
            labels=labels.astype(np.uint8),
            embeddings=np.maximum(vectors, 0),
            split_numbers=rng.integers(0, 3, num_patches).astype(np.uint8),
            provenance=embedding.Provenance(
                modality="MM",
                splits=("train", "validation", "test"),
                class_names=bigearthnet.CLASSES_19,
                fingerprint="made up",
                saved_model="made up",
                synthetic=True,
            ),
            **{name: x[:num_patches] for name, x in columns.items()},
        ),
    )


def _make_tile(rng: np.random.Generator, number: int) -> dict[str, Any]:
    """Patches of one acquisition, on a grid of 1.2 km with holes."""
    country = bigearthnet.COUNTRIES[number % len(bigearthnet.COUNTRIES)]
    west, south, east, north = _BOXES[country]
    longitude, latitude = rng.uniform(west, east), rng.uniform(south, north)
    zone = int((longitude + 180) // 6) + 1
    epsg = 32_600 + zone
    size_m = bigearthnet.PATCH_SIZE_M
    (left,), (top,) = warp.transform(
        "EPSG:4326", f"EPSG:{epsg}", [longitude], [latitude]
    )
    corner = np.array([left, top]) + np.array([-1, 1]) * (
        size_m * _PATCHES_PER_TILE_SIDE / 2
    )
    side = np.arange(_PATCHES_PER_TILE_SIDE)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    # Clouds and borders leave holes that hang together.
    waves = grid @ rng.normal(0, 0.1, (2, 4)) + rng.uniform(0, 6, 4)
    order = np.argsort(np.sin(waves).sum(axis=1))
    places = grid[order]
    day = int(rng.integers(_NUM_DAYS))
    date = np.datetime64(_FIRST_DAY + day, "D").item()
    return {
        "names": [
            f"S2A_MSIL2A_{date:%Y%m%d}T1{number:05d}_{column}_{row}"
            for column, row in places
        ],
        "epsg": np.full(len(places), epsg),
        "upper_left": corner + places * np.array([1, -1]) * size_m,
        "countries": np.full(
            len(places), number % len(bigearthnet.COUNTRIES), np.uint8
        ),
        "seasons": np.full(len(places), (date.month // 3 + 3) % 4, np.uint8),
        "days": np.full(len(places), patch_facts.day_number(date), np.int32),
    }


def _make_dataset(folder: pathlib.Path) -> str:
    """A dataset, since a server needs one; none of the patches is in it."""
    from tfrecords_builder import sample_data

    return os.fspath(sample_data.make_sample_data(folder / "data", num_pairs=8))


@contextlib.contextmanager
def _served(
    index: str, data_dir: str | None
) -> Iterator[tuple[subprocess.Popen, str]]:
    """Starts a server; gives its process and its address."""
    process = search_load_server.start(index, data_dir)
    try:
        assert process.stdout is not None
        match = re.search(r"http://\S+", process.stdout.readline())
        if match is None:
            raise SystemExit("The server did not start.")
        yield process, match[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


# --- The browser ------------------------------------------------------------


def _visit_all(address: str) -> dict[str, float]:
    chromium = next(
        filter(None, map(shutil.which, ("chromium", "google-chrome")))
    )
    visits = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", *_WEBGL],
        )
        for number in range(_ROUNDS.value):
            visits.append(_visit(browser, address, number))
        browser.close()
    first, *others = visits
    figures = {
        name: statistics.median(visit[name] for visit in visits)
        for name in first
    }
    figures["first_points_s"] = first["first_points_s"]
    figures["ready_s"] = first["ready_s"]
    if others:
        figures["first_points_again_s"] = statistics.median(
            visit["first_points_s"] for visit in others
        )
    figures["errors"] = sum(visit["errors"] for visit in visits)
    return figures


def _visit(
    browser: sync_api.Browser, address: str, number: int
) -> dict[str, float]:
    """Opens the page as somebody who has never been there, and uses it."""
    context = browser.new_context(
        viewport={"width": _WIDTH.value, "height": 900},
        color_scheme="dark" if number % 2 else "light",
    )
    page = context.new_page()
    page.set_default_timeout(_TIMEOUT_MS)
    num_bytes: list[int] = []
    faults: list[str] = []

    def count(request: sync_api.Request) -> None:
        num_bytes.append(request.sizes()["responseBodySize"])

    def note(said: sync_api.ConsoleMessage) -> None:
        if said.type == "error" and _MISSING not in said.text:
            faults.append(said.text)

    page.on("requestfinished", count)
    page.on("console", note)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.add_init_script(_WATCH)
    page.goto(address, wait_until="commit")
    page.wait_for_selector("html[data-noted]")
    noted = page.evaluate("noted")
    figures = {
        "first_points_s": noted["points"] / 1000,
        "ready_s": noted["ready"] / 1000,
        "megabytes": sum(num_bytes) / 1e6,
    }
    if _SCREENSHOTS.value:
        os.makedirs(_SCREENSHOTS.value, exist_ok=True)
        page.screenshot(
            path=f"{_SCREENSHOTS.value}/page_{_WIDTH.value}_{number}.png",
            full_page=True,
        )
    page.locator("#canvas").scroll_into_view_if_needed()
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    left, top = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    figures |= _frames(page, "pan", lambda: _drag(page, left, top))
    page.evaluate("map.showAll()")
    figures |= _frames(page, "zoom", lambda: _turn(page, left, top))
    page.evaluate("map.showAll()")
    page.evaluate("find('filter-details').open = true")
    figures["filter_ms"] = page.evaluate(
        """() => new Promise((done) => {
          const start = performance.now();
          find("seasons").querySelector("input").click();
          requestAnimationFrame(() => setTimeout(
            () => done(performance.now() - start)));
        })"""
    )
    page.evaluate("find('no-filters').click()")
    figures["hits_ms"] = _click(page)
    figures["errors"] = len(faults)
    for fault in faults:
        print(f"The page says: {fault}")
    context.close()
    return figures


def _drag(page: sync_api.Page, left: float, top: float) -> None:
    page.mouse.move(left, top)
    page.mouse.down()
    for step in range(_MOVES):
        page.mouse.move(left + 3 * (step % 30), top + 2 * (step % 30))
    page.mouse.up()


def _turn(page: sync_api.Page, left: float, top: float) -> None:
    page.mouse.move(left, top)
    for step in range(_MOVES):
        page.mouse.wheel(0, -60 if step < _MOVES / 2 else 60)


def _frames(page: sync_api.Page, name: str, use: Any) -> dict[str, float]:
    """Milliseconds between pictures while the map is used."""
    page.evaluate("frames_ms.length = 0")
    use()
    # The first one began before.
    took = page.evaluate("frames_ms.slice(1)")
    return {
        f"{name}_p{percent}_ms": float(np.percentile(took, percent))
        for percent in (50, 99)
    }


def _click(page: sync_api.Page) -> float:
    """Clicks where a patch lies; milliseconds to its hits."""
    page.evaluate(
        """() => {
          const row = columns.count >> 1;
          map.showPlace(columns.longitude[row], columns.latitude[row]);
        }"""
    )
    page.evaluate(
        """() => {
          window.hits_ms = new Promise((done) => {
            let start = NaN;
            map.element.addEventListener("pointerup", () => {
              start = performance.now();
            }, {capture: true, once: true});
            new MutationObserver((_, observer) => {
              if (!find("hits").querySelector("article")) return;
              observer.disconnect();
              done(performance.now() - start);
            }).observe(find("hits"), {childList: true});
          });
        }"""
    )
    page.locator("#canvas").click()
    return page.evaluate("hits_ms")


if __name__ == "__main__":
    app.run(main)
