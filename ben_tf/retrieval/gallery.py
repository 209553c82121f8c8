"""Queries and their nearest patches as one self-contained web page."""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf.data import geography
from ben_tf.data import run_data
from ben_tf.pages import page
from ben_tf.plots import pictures
from ben_tf.plots import places
from ben_tf.plots import style
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import patch_source

# What a patch is drawn as, and the grids that takes.
_PICTURES = {
    "S1": ("Radar: VV, VH, VV - VH", ("s1",)),
    "S2": ("True colour", ("s2_10m",)),
    "MM": ("True colour", ("s2_10m",)),
}


@dataclasses.dataclass(frozen=True)
class _Patch:
    """A query or a hit; `labels` are (kind, name), a kind a style."""

    name: str
    caption: str
    picture: style.Picture
    labels: Sequence[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class _Row:
    """A query, the first of the patches, and its hits; `own` are its labels."""

    own: Sequence[int]
    patches: Sequence[_Patch]


@dataclasses.dataclass(frozen=True)
class _Place:
    """A patch on the map, `x` and `y` in points from its upper left corner."""

    name: str
    kind: str
    x: float
    y: float
    longitude: float
    latitude: float


def write_gallery(
    *,
    index: str | os.PathLike,
    output_file: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
    queries: str | os.PathLike | None = None,
    names: Sequence[str] = (),
    num_queries: int = 10,
    k: int = 5,
) -> pathlib.Path:
    """Draws one row per query: its picture and those of the k nearest patches.

    Args:
      index: Index folder that is searched.
      output_file: The page to write.
      data_dir: Folder of the TFDS dataset, where the pixels are; None: the one
        that the model of the index was trained on.
      queries: Index folder whose patches are the queries; None for `index`.
      names: The queries; by default `num_queries` patches, evenly spaced.
      num_queries: How many queries without `names`.
      k: Number of hits; a query is not among its own.

    Returns:
      `output_file`.

    Raises:
      UserError: A name is not in `queries`, or not in the dataset; the
        indexes come from different models.
    """
    files.check_writable(output_file)
    searched = index_lib.Index.open(index)
    asked = index_lib.Index.open(queries or index)
    data_dir = run_data.of_model(searched.manifest.saved_model, data_dir)
    rows = _query_rows(asked, names, num_queries)
    hits = searched.search(
        asked.embeddings[rows],
        k=k,
        fingerprint=asked.manifest.fingerprint,
        modality=asked.manifest.modality,
        exclude=asked.names[rows],
    )
    found = hits.rows[hits.rows != index_lib.EMPTY]
    query_pictures = _draw(asked, rows, data_dir)
    hit_pictures = _draw(searched, found, data_dir)
    base_map, marks = _map(
        names=[*asked.names[rows], *searched.names[found]],
        epsg=np.concatenate([asked.epsg[rows], searched.epsg[found]]),
        upper_left=np.concatenate(
            [asked.upper_left[rows], searched.upper_left[found]]
        ),
        num_queries=len(rows),
    )

    def describe(place: int, row: int) -> _Row:
        own = asked.labels[row]
        of_query, of_hits = ["own"] * len(own), np.where(own, "hit", "other")
        answer = zip(hits.rows[place], hits.distances[place], strict=True)
        return _Row(
            np.flatnonzero(own).tolist(),
            [
                _patch(asked, row, "query", query_pictures, of_query),
                *(
                    _patch(
                        searched,
                        hit,
                        f"{number}: {distance:.4g}",
                        hit_pictures,
                        of_hits,
                    )
                    for number, (hit, distance) in enumerate(answer, start=1)
                    if hit != index_lib.EMPTY
                ),
            ],
        )

    content = page.render(
        "gallery",
        queries=asked.manifest,
        searched=searched.manifest,
        distance=searched.distance,
        size_km=f"{bigearthnet.PATCH_SIZE_M / 1000:g}",
        rows=[describe(*pair) for pair in enumerate(rows)],
        anchor=_anchor,
        map=base_map,
        places=marks,
    )
    return files.write(output_file, content)


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
            f"of its splits {asked.manifest.splits}. Correct the name."
        )
    return rows


def _draw(
    opened: index_lib.Index, rows: np.ndarray, data_dir: str | os.PathLike
) -> dict[str, style.Picture]:
    """Reads and draws rows of an index: name -> picture."""
    picture, grids = _PICTURES[opened.manifest.modality]
    names = np.unique(opened.names[rows]).tolist()
    found = patch_source.from_dataset(
        data_dir, names, grids=grids, splits=opened.manifest.splits
    )
    return {
        name: pictures.to_png(pictures.render(found[name], picture))
        for name in names
    }


def _patch(
    opened: index_lib.Index,
    row: int,
    caption: str,
    drawn: Mapping[str, style.Picture],
    kinds: Sequence[str] | np.ndarray,
) -> _Patch:
    """Describes a row of an index; `kinds` holds that of each class."""
    name = str(opened.names[row])
    class_names = opened.manifest.class_names
    labels = np.flatnonzero(opened.labels[row])
    return _Patch(
        name,
        caption,
        drawn[name],
        [(str(kinds[label]), class_names[label]) for label in labels],
    )


def _map(
    names: Sequence[str],
    epsg: np.ndarray,
    upper_left: np.ndarray,
    *,
    num_queries: int,
) -> tuple[places.BaseMap, list[_Place]]:
    """A map, and on it each patch once; the first `num_queries` are queries."""
    longitudes, latitudes = geography.patch_centres(epsg, upper_left)
    # The page says once that the patches are synthetic; the map shows none.
    base_map = places.base_map(longitudes, latitudes, synthetic=False)
    _, first = np.unique(names, return_index=True)
    # Drawn last, queries lie on top.
    return base_map, [
        _Place(
            str(names[number]),
            "query" if number < num_queries else "found",
            base_map.x[number],
            base_map.y[number],
            longitudes[number],
            latitudes[number],
        )
        for number in sorted(first, reverse=True)
    ]


def _anchor(name: str) -> str:
    """The id of a patch on the map, safe in HTML and URLs."""
    return "map-" + hashlib.sha256(name.encode()).hexdigest()[:16]
