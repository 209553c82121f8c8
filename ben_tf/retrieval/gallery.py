"""Queries and their nearest patches as one self-contained web page."""

import dataclasses
import hashlib
import itertools
import os
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf.data import built_dataset
from ben_tf.data import geography
from ben_tf.data import run_data
from ben_tf.pages import page
from ben_tf.plots import pictures
from ben_tf.plots import places
from ben_tf.plots import style
from ben_tf.retrieval import embedding
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import patch_source


@dataclasses.dataclass(frozen=True)
class _Patch:
    """A query or a hit; `pictures` of each sensor, by what they show."""

    name: str
    caption: str
    pictures: Mapping[str, style.Picture]
    labels: Sequence[str]


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
    """Draws one row per query: its pictures and those of the k nearest patches.

    Each patch is shown as both sensors see it, whatever the index looks at.

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
        indexes come from different models, or were built of other records.
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
        answer = zip(hits.rows[place], hits.distances[place], strict=True)
        return _Row(
            np.flatnonzero(asked.labels[row]).tolist(),
            [
                _patch(asked, row, "Query", query_pictures),
                *(
                    _patch(
                        searched,
                        hit,
                        f"{number}: {distance:.4g}",
                        hit_pictures,
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
        made_of=_made_of(asked.manifest, searched.manifest),
    )
    return files.write(output_file, content)


def _query_rows(
    asked: index_lib.Index, names: Sequence[str], num_queries: int
) -> np.ndarray:
    if not len(names):
        return asked.evenly_spaced(num_queries)
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
) -> dict[str, dict[str, style.Picture]]:
    """Reads and draws rows of an index: name -> what is shown -> picture."""
    names = np.unique(opened.names[rows]).tolist()
    # Data of one's own may lack a sensor.
    sensors = built_dataset.sensors(built_dataset.open_dataset(data_dir))
    shown = [
        x for x in pictures.BOTH_SENSORS if pictures.sensor_of(x) in sensors
    ]
    found = patch_source.from_dataset(
        data_dir,
        names,
        grids=[grid for x in shown for grid in pictures.grids_of(x)],
        records=opened.manifest.records,
    )
    return {
        name: {
            picture: pictures.to_png(pictures.render(found[name], picture))
            for picture in shown
        }
        for name in names
    }


def _patch(
    opened: index_lib.Index,
    row: int,
    caption: str,
    drawn: Mapping[str, Mapping[str, style.Picture]],
) -> _Patch:
    """Describes a row of an index."""
    name = str(opened.names[row])
    return _Patch(
        name,
        caption,
        drawn[name],
        list(
            itertools.compress(opened.manifest.class_names, opened.labels[row])
        ),
    )


def _made_of(
    asked: embedding.Provenance, searched: embedding.Provenance
) -> dict[str, dict[str, str]]:
    """What the indexes were computed with and of; once if it is the same."""
    of_queries, of_hits = _facts(asked), _facts(searched)
    if of_queries == of_hits:
        return {"Queries and hits": of_hits}
    return {"Queries": of_queries, "Hits": of_hits}


def _facts(made: embedding.Provenance) -> dict[str, str]:
    """What is known of an index; those of before know less."""
    return {
        "Embedded": str(made.origin or "unknown"),
        "Model": f"{made.model or 'unknown'}, {made.modality}",
        "Weights, SHA-256": made.fingerprint,
        "Trained on": ", ".join(made.trained_on) or "unknown",
        "Dataset": f"{made.dataset or 'unknown'}, {', '.join(made.splits)}",
        "Synthetic": "yes" if made.synthetic else "no",
        "Records, SHA-256": made.records or "unknown",
    }


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
