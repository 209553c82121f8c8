"""Which patches a report shows, and their pictures."""

import dataclasses
import os
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.evaluation import predictions
from ben_tf.evaluation import results
from ben_tf.plots import pictures
from ben_tf.plots import style
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import patch_source

_NUM_HITS = 6


@dataclasses.dataclass(frozen=True)
class Patch:
    """A patch to look at.

    Attributes:
      name: Its name.
      title: What is said above it.
      pictures: Caption -> PNG.
      labels: True class names.
      predicted: Predicted class name -> probability.
    """

    name: str
    title: str
    pictures: Mapping[str, style.Picture]
    labels: Sequence[str]
    predicted: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Nearest:
    """A query and its hits.

    Attributes:
      query: Name of the evaluated patch that was asked for.
      names: (k,) names of the hits, the nearest one first.
      distances: (k,) float32.
      labels: (k, classes), multi-hot.
    """

    query: str
    names: np.ndarray
    distances: np.ndarray
    labels: np.ndarray


def choose(
    predicted: predictions.Predictions, sample_f2: np.ndarray, num_patches: int
) -> dict[str, list[int]]:
    """Picks the best, the median and the worst patches by sample F2.

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
        "Median": order[middle : middle + num],
        "Worst": order[::-1][:num],
    }
    shown: set[int] = set()
    chosen = {}
    for kind, rows in kinds.items():
        chosen[kind] = [int(row) for row in rows if int(row) not in shown]
        shown.update(chosen[kind])
    return {kind: rows for kind, rows in chosen.items() if rows}


def nearest(
    index_path: str | os.PathLike, predicted: predictions.Predictions
) -> Nearest:
    """Asks an index for the patches most like one evaluated patch.

    The query is the evaluated patch with most labels that the index holds.

    Raises:
      UserError: No index there, or none of the evaluated patches is in it.
    """
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
        k=_NUM_HITS,
        fingerprint=index.manifest.fingerprint,
        exclude=[name],
    )
    found = hits.names[0] != ""
    return Nearest(
        name,
        hits.names[0][found],
        hits.distances[0][found],
        hits.labels[0][found],
    )


def all_names(
    predicted: predictions.Predictions,
    chosen: Mapping[str, Sequence[int]],
    found: Nearest | None,
) -> set[str]:
    """Names of all patches whose pixels a report needs."""
    rows = [row for rows in chosen.values() for row in rows]
    wanted = {str(name) for name in predicted.patch_name[rows]}
    if found:
        wanted |= {found.query, *map(str, found.names)}
    return wanted


def read(
    data_dir: str | os.PathLike,
    evaluation: results.Evaluation,
    names: Iterable[str],
) -> dict[str, patch_source.Grids]:
    """Reads the raw bands of patches, by name; the evaluated split first."""
    split = evaluation.split
    others = [name for name in evaluation.data.split_sizes if name != split]
    return patch_source.from_dataset(
        data_dir,
        sorted(names),
        grids=tuple(bigearthnet.GRIDS),
        splits=[split, *others],
    )


class Artist:
    """Draws patches with their true and predicted labels."""

    def __init__(
        self,
        evaluation: results.Evaluation,
        predicted: predictions.Predictions,
        grids: Mapping[str, patch_source.Grids],
    ):
        """Takes what is known of the patches; `grids` is by name."""
        self._class_names = np.array(evaluation.class_names)
        self._threshold = np.float32(evaluation.threshold)
        self._predicted = predicted
        self._grids = grids
        self._rows = {
            str(name): row for row, name in enumerate(predicted.patch_name)
        }

    def groups(
        self, chosen: Mapping[str, Sequence[int]], sample_f2: np.ndarray
    ) -> dict[str, list[Patch]]:
        """Draws what `choose` chose: kind -> patches."""
        return {
            kind: [
                self._draw(
                    str(self._predicted.patch_name[row]),
                    f"F2 {sample_f2[row]:.2f}",
                    self._predicted.labels[row],
                    list(pictures.PICTURES),
                )
                for row in rows
            ]
            for kind, rows in chosen.items()
        }

    def nearest(self, found: Nearest) -> list[Patch]:
        """Draws a query, the first one, and its hits."""
        picture = list(pictures.PICTURES)[:1]
        labels = self._predicted.labels[self._rows[found.query]]
        return [
            self._draw(found.query, "Query", labels, picture),
            *(
                self._draw(
                    str(name),
                    f"{place}: distance {distance:.3g}",
                    labels,
                    picture,
                )
                for place, (name, distance, labels) in enumerate(
                    zip(
                        found.names, found.distances, found.labels, strict=True
                    ),
                    start=1,
                )
            ),
        ]

    def _draw(
        self,
        name: str,
        title: str,
        labels: np.ndarray,
        names_of_pictures: Collection[str],
    ) -> Patch:
        predicted = {}
        if name in self._rows:
            probabilities = self._predicted.probabilities[self._rows[name]]
            predicted = {
                str(self._class_names[i]): float(probabilities[i])
                for i in np.flatnonzero(probabilities >= self._threshold)
            }
        return Patch(
            name=name,
            title=title,
            pictures={
                picture: pictures.to_png(
                    pictures.render(self._grids[name], picture)
                )
                for picture in names_of_pictures
            },
            labels=self._class_names[labels.astype(bool)].tolist(),
            predicted=predicted,
        )
