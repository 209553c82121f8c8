"""Queries and their nearest patches as one self-contained web page."""

import base64
import html
import os
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf.plots import pictures
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import overview_map
from ben_tf.retrieval import patch_source

# What a patch is drawn as, and the grids that takes.
_PICTURES = {
    "S1": ("Radar: VV, VH, VV - VH", ("s1",)),
    "S2": ("True colour", ("s2_10m",)),
    "MM": ("True colour", ("s2_10m",)),
}

_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2rem; color: #222; }
h1 { font-size: 1.4rem; } h2 { font-size: 1rem; margin: 2rem 0 .3rem; }
.row { display: flex; gap: 12px; overflow-x: auto; padding-bottom: .5rem; }
figure { margin: 0; flex: 0 0 150px; width: 150px; font-size: 12px; }
figure.query { border-right: 2px solid #999; padding-right: 12px; }
figure img { width: 150px; height: 150px; image-rendering: pixelated; }
figcaption b { display: block; }
figcaption small { color: #666; overflow-wrap: anywhere; }
ul { margin: .2rem 0; padding: 0; list-style: none; }
li { margin: 2px 0; padding: 1px 5px; border-radius: 3px; background: #eee; }
li.shared { background: #bfe6c4; } li.own { background: #d6e4f5; }
ul.legend { display: flex; gap: 6px; }
.warning { background: #fff3cd; padding: .5rem; }
svg { max-width: 100%; border: 1px solid #ccc; background: #f7fafc; }
svg a circle { fill: #1f6fb4; } svg a.query circle { fill: #d1495b; }
svg a:target circle { r: 9px; stroke: #000; stroke-width: 2; }
"""
_SCRIPT = """
const choice = document.getElementById("label");
choice.addEventListener("change", () => {
  for (const section of document.querySelectorAll("section")) {
    const labels = section.dataset.labels.split(" ");
    section.hidden = choice.value !== "" && !labels.includes(choice.value);
  }
});
"""


def write_gallery(
    *,
    index: str | os.PathLike,
    data_dir: str | os.PathLike,
    output_file: str | os.PathLike,
    queries: str | os.PathLike | None = None,
    names: Sequence[str] = (),
    num_queries: int = 10,
    k: int = 5,
) -> pathlib.Path:
    """Draws one row a query: its picture and those of the k nearest patches.

    Args:
      index: Index folder that is searched.
      data_dir: Folder of the TFDS dataset, where the pixels are.
      output_file: The page to write.
      queries: Index folder whose patches are the queries; None for `index`.
      names: The queries; by default `num_queries` patches, evenly spaced.
      num_queries: How many queries without `names`.
      k: Number of hits; a query's own patch is none.

    Returns:
      `output_file`.

    Raises:
      UserError: A name is not in `queries`, or not in the dataset; the
        indexes come from different models.
    """
    opened = index_lib.Index.open(index)
    asked = index_lib.Index.open(queries or index)
    rows = _query_rows(asked, names, num_queries)
    hits = opened.search(
        asked.embeddings[rows],
        k=k,
        fingerprint=asked.manifest.fingerprint,
        modality=asked.manifest.modality,
        exclude=asked.names[rows],
    )
    query_images = _draw(asked, np.unique(rows), data_dir)
    hit_images = _draw(
        opened, np.unique(hits.rows[hits.rows != index_lib.EMPTY]), data_dir
    )
    sections = [
        _section(asked, row, query_images, opened, hits, place, hit_images)
        for place, row in enumerate(rows)
    ]
    places = overview_map.Places(
        names=[*asked.names[rows], *hits.names[hits.names != ""]],
        epsg=np.concatenate([asked.epsg[rows], _of(opened.epsg, hits)]),
        upper_left=np.concatenate(
            [asked.upper_left[rows], _of(opened.upper_left, hits)]
        ),
        num_queries=len(rows),
    )
    page = _page(opened, asked, rows, sections, overview_map.draw(places))
    return files.write(output_file, page)


def _query_rows(
    asked: index_lib.Index, names: Sequence[str], num_queries: int
) -> np.ndarray:
    if not len(names):
        count = min(num_queries, len(asked.names))
        return np.linspace(0, len(asked.names) - 1, count).astype(np.int64)
    rows = asked.rows_of(names)
    if (rows < 0).any():
        missing = names[int(np.flatnonzero(rows < 0)[0])]
        raise errors.UserError(
            f"Patch {missing} is not in the index {asked.path}. Expected names "
            f"of its splits {asked.manifest.splits}. Correct --patch."
        )
    return rows


def _of(array: np.ndarray, hits: index_lib.Hits) -> np.ndarray:
    return array[hits.rows[hits.rows != index_lib.EMPTY]]


def _draw(
    opened: index_lib.Index, rows: np.ndarray, data_dir: str | os.PathLike
) -> dict[str, str]:
    """Name -> picture as a data URI."""
    picture, grids = _PICTURES[opened.manifest.modality]
    names = [str(name) for name in opened.names[rows]]
    found = patch_source.from_dataset(
        data_dir, names, grids=grids, splits=opened.manifest.splits
    )
    return {
        name: "data:image/png;base64,"
        + base64.b64encode(
            pictures.to_png(pictures.render(found[name], picture))
        ).decode("ascii")
        for name in names
    }


def _section(
    asked: index_lib.Index,
    row: int,
    query_images: Mapping[str, str],
    opened: index_lib.Index,
    hits: index_lib.Hits,
    place: int,
    hit_images: Mapping[str, str],
) -> str:
    own = np.flatnonzero(asked.labels[row])
    name = str(asked.names[row])
    figures = [
        _figure(
            name,
            query_images[name],
            caption="query",
            labels=[(asked.manifest.class_names[c], "own") for c in own],
            css="query",
        )
    ]
    for number, hit in enumerate(hits.names[place]):
        if not hit:
            continue
        present = np.flatnonzero(hits.labels[place, number])
        labels = [
            (
                opened.manifest.class_names[c],
                "shared" if asked.labels[row, c] else "other",
            )
            for c in present
        ]
        figures.append(
            _figure(
                str(hit),
                hit_images[str(hit)],
                caption=f"{number + 1}: {hits.distances[place, number]:.4g}",
                labels=labels,
                css="hit",
            )
        )
    return (
        f'<section data-labels="{" ".join(map(str, own))}">'
        f"<h2>{html.escape(name)}</h2>"
        f'<div class="row">{"".join(figures)}</div></section>'
    )


def _figure(
    name: str,
    image: str,
    *,
    caption: str,
    labels: Sequence[tuple[str, str]],
    css: str,
) -> str:
    items = "".join(
        f'<li class="{kind}">{html.escape(label)}</li>'
        for label, kind in labels
    )
    anchor = html.escape(overview_map.anchor(name))
    return (
        f'<figure class="{css}"><img src="{image}" '
        f'alt="{html.escape(name)}" width="150" height="150"><figcaption>'
        f"<b>{html.escape(caption)}</b><small>{html.escape(name)} "
        f'<a href="#{anchor}">map</a></small><ul>{items}</ul>'
        "</figcaption></figure>"
    )


def _page(
    opened: index_lib.Index,
    asked: index_lib.Index,
    rows: np.ndarray,
    sections: Sequence[str],
    map_svg: str,
) -> str:
    used = np.flatnonzero(asked.labels[rows].any(axis=0))
    options = "".join(
        f'<option value="{c}">{html.escape(asked.manifest.class_names[c])}'
        "</option>"
        for c in used
    )
    synthetic = opened.manifest.synthetic or asked.manifest.synthetic
    warning = (
        '<p class="warning">Synthetic patches: what is found here says '
        "nothing about BigEarthNet.</p>"
        if synthetic
        else ""
    )
    facts = (
        f"{asked.manifest.modality} queries of "
        f"{', '.join(asked.manifest.splits)}, {len(opened.names):,} "
        f"{opened.manifest.modality} patches of "
        f"{', '.join(opened.manifest.splits)}, {opened.distance} distance, "
        f"{opened.manifest.search} search, model "
        f"{opened.manifest.fingerprint[:12]}"
    )
    size = bigearthnet.PATCH_SIZE_M / 1000
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Patches that look alike</title><style>{_STYLE}</style></head><body>
<h1>Patches that look alike</h1>
<p>{html.escape(facts)}. Each picture shows {size:g} km x {size:g} km,
brightness stretched for itself; the number is the distance, smaller is more
alike.</p>
{warning}
<p><label>Queries with label <select id="label"><option value="">any</option>
{options}</select></label></p>
<ul class="legend"><li class="own">label of the query</li><li class="shared">
label of a hit, shared</li><li>not shared</li></ul>
{"".join(sections)}
<h2>Where they lie</h2>
{map_svg}
<script>{_SCRIPT}</script></body></html>
"""
