"""Which patches a report shows, and their pixels."""

import os
import pathlib

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.evaluation import predictions
from ben_tf.plots import pictures
from ben_tf.report import sections
from ben_tf.retrieval import patch_source

# Query name, names, distances and labels (num_hits, classes) of its hits.
Nearest = tuple[str, list[str], list[float], np.ndarray]

_THRESHOLD = np.float32(0.5)


def choose(
    predicted: predictions.Predictions, sample_f2: np.ndarray, num_patches: int
) -> dict[str, list[int]]:
    """Picks the best, the middling and the worst patches by sample F2.

    Among equals those with more labels count as better if all is right and
    the less decided ones as worse.

    Args:
      predicted: `predictions.Predictions`.
      sample_f2: (N,) score of each patch.
      num_patches: How many of each kind, fewer where there are fewer.

    Returns:
      Kind -> rows of `predicted`; no row twice.
    """
    labels = predicted.labels.astype(bool)
    error = np.abs(predicted.probabilities - labels).mean(axis=1)
    # The last key counts first.
    order = np.lexsort((error, -labels.sum(axis=1), -sample_f2))
    num = min(num_patches, len(order) // 3) or min(1, len(order))
    middle = (len(order) - num) // 2
    kinds = {
        "Best": order[:num],
        "Middling": order[middle : middle + num],
        "Worst": order[::-1][:num],
    }
    shown: set[int] = set()
    chosen = {}
    for kind, rows in kinds.items():
        chosen[kind] = [int(row) for row in rows if int(row) not in shown]
        shown.update(chosen[kind])
    return {kind: rows for kind, rows in chosen.items() if rows}


def nearest(
    index_path: pathlib.Path, predicted: predictions.Predictions, num_hits: int
) -> Nearest:
    """Asks an index for the patches most like one evaluated patch.

    The query is the evaluated patch with most labels that the index holds.

    Returns:
      (query name, names, distances, (num_hits, classes) labels).

    Raises:
      UserError: No index there, or none of the evaluated patches is in it.
    """
    from ben_tf.retrieval import index as index_lib

    index = index_lib.Index.open(index_path)
    known = np.flatnonzero(np.isin(predicted.patch_name, index.names))
    if not len(known):
        raise errors.UserError(
            f"The index {index_path} holds none of the evaluated patches. "
            "Build it of the same split."
        )
    row = known[predicted.labels[known].sum(axis=1).argmax()]
    name = str(predicted.patch_name[row])
    hits = index.search(
        index.embeddings[index.rows_of([name])],
        k=num_hits,
        fingerprint=index.manifest.fingerprint,
        exclude=[name],
    )
    found = hits.names[0] != ""
    return (
        name,
        [str(hit) for hit in hits.names[0][found]],
        hits.distances[0][found].tolist(),
        hits.labels[0][found],
    )


def render(
    data_dir: str | os.PathLike,
    split: str,
    result: dict,
    predicted: predictions.Predictions,
    *,
    sample_f2: np.ndarray,
    chosen: dict[str, list[int]],
    hits: Nearest | None,
) -> tuple[
    dict[str, list[sections.Patch]],
    tuple[sections.Patch, list[sections.Patch]] | None,
]:
    """Reads the pixels of the chosen patches and draws them.

    Args:
      data_dir: Folder with the dataset.
      split: Evaluated split.
      result: What evaluate wrote.
      predicted: `predictions.Predictions`.
      sample_f2: (N,) score of each patch.
      chosen: From `choose`.
      hits: From `nearest`, or None.

    Returns:
      Kind -> list of `sections.Patch`, and (query, hits) or None.
    """
    wanted = {
        str(predicted.patch_name[row])
        for rows in chosen.values()
        for row in rows
    }
    if hits:
        wanted |= {hits[0], *hits[1]}
    # What is found in the evaluated split is not looked for elsewhere.
    others = [
        name
        for name in result["data"]["split_sizes"]
        if not split.startswith(name)
    ]
    grids = patch_source.from_dataset(
        data_dir,
        sorted(wanted),
        grids=tuple(bigearthnet.GRIDS),
        splits=[split, *others],
    )
    class_names = result["class_names"]
    row_of_name = {
        str(name): row for row, name in enumerate(predicted.patch_name)
    }

    def names_of(multi_hot: np.ndarray) -> list[str]:
        return [class_names[i] for i in np.flatnonzero(multi_hot)]

    def draw(
        name: str,
        title: str,
        labels: np.ndarray,
        *,
        only: list[str] | None = None,
    ) -> sections.Patch:
        probabilities = {}
        if name in row_of_name:
            row = predicted.probabilities[row_of_name[name]]
            probabilities = {
                class_names[i]: float(row[i])
                for i in np.flatnonzero(row >= _THRESHOLD)
            }
        return sections.Patch(
            name=name,
            title=title,
            pictures={
                picture: pictures.to_png(pictures.render(grids[name], picture))
                for picture in (only or pictures.available(grids[name]))
            },
            labels=names_of(labels),
            predicted=probabilities,
        )

    groups = {
        kind: [
            draw(
                str(predicted.patch_name[row]),
                f"F2 {sample_f2[row]:.2f}",
                predicted.labels[row],
            )
            for row in rows
        ]
        for kind, rows in chosen.items()
    }
    if not hits:
        return groups, None
    query, names, distances, labels = hits
    picture = [next(iter(pictures.available(grids[query])))]
    drawn = [
        draw(
            name,
            f"{place}: distance {distance:.3g}",
            multi_hot,
            only=picture,
        )
        for place, (name, distance, multi_hot) in enumerate(
            zip(names, distances, labels, strict=True), start=1
        )
        if name in grids
    ]
    first = draw(
        query,
        "Query",
        predicted.labels[row_of_name[query]],
        only=picture,
    )
    return groups, (first, drawn)
