"""Which patches a report shows, and their pictures."""

import collections
import dataclasses
import itertools
import os
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import origin
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
      labels: True class names.
      predicted: Predicted class name -> probability.
    """

    name: str
    title: str
    labels: Sequence[str]
    predicted: Mapping[str, float]


def groups(
    evaluation: results.Evaluation,
    predicted: predictions.Predictions,
    sample_f2: np.ndarray,
    num_patches: int,
) -> dict[str, list[Patch]]:
    """Describes what `choose` chooses: kind -> patches."""
    threshold = np.float32(evaluation.threshold)

    def describe(row: int) -> Patch:
        scores = zip(
            evaluation.class_names, predicted.probabilities[row], strict=True
        )
        return Patch(
            str(predicted.patch_name[row]),
            f"F2 {sample_f2[row]:.2f}",
            _chosen(evaluation.class_names, predicted.labels[row]),
            {
                name: float(score)
                for name, score in scores
                if score >= threshold
            },
        )

    chosen = choose(predicted, sample_f2, num_patches)
    return {kind: [*map(describe, rows)] for kind, rows in chosen.items()}


def choose(
    predicted: predictions.Predictions, sample_f2: np.ndarray, num_patches: int
) -> dict[str, list[int]]:
    """Picks patches with the best, middling and worst sample F2.

    The groups differ in score: a middling patch is worse than the best shown
    and better than the worst shown, so that there is none, nor a worst one,
    where all patches are equally good. Among the best of equal score, label
    sets that are not shown yet come first, then patches with more labels, then
    those with more decided predictions; among the worst, the other way round.

    Args:
      predicted: Labels and predictions of N patches.
      sample_f2: (N,) score of each patch.
      num_patches: How many of each kind, fewer where there are fewer.

    Returns:
      Kind -> rows of `predicted`; no row twice, no kind without rows.
    """
    labels = predicted.labels.astype(bool)
    error = np.abs(predicted.probabilities - labels).mean(axis=1)
    # The last key counts first.
    order = np.lexsort((error, -labels.sum(axis=1), -sample_f2))
    num = min(num_patches, len(order) // 3) or min(1, len(order))
    best = _of_many_label_sets(order, labels, sample_f2)[:num]
    worse = order[sample_f2[order] < sample_f2[best].min(initial=np.inf)]
    worst = _of_many_label_sets(worse[::-1], labels, sample_f2)[:num]
    between = worse[sample_f2[worse] > sample_f2[worst].max(initial=-np.inf)]
    # From the one in the middle to both sides.
    from_middle = np.argsort(
        np.abs(np.arange(len(between)) - (len(between) - 1) / 2), kind="stable"
    )
    middling = sorted(from_middle[:num])
    kinds = {"Best": best, "Middling": between[middling], "Worst": worst}
    return {kind: rows.tolist() for kind, rows in kinds.items() if len(rows)}


def _of_many_label_sets(
    rows: np.ndarray, labels: np.ndarray, sample_f2: np.ndarray
) -> np.ndarray:
    """Moves, among rows of equal score, those of a repeated label set back."""
    seen: collections.Counter[bytes] = collections.Counter()
    repeats = np.zeros(len(rows), np.int64)
    for place, row in enumerate(rows):
        label_set = labels[row].tobytes()
        repeats[place] = seen[label_set]
        seen[label_set] += 1
    # Scores come in blocks, whichever end is first.
    block = np.cumsum(np.diff(sample_f2[rows], prepend=np.nan) != 0)
    return rows[np.lexsort((repeats, block))]


def nearest(
    index_path: str | os.PathLike,
    predicted: predictions.Predictions,
    evaluation: results.Evaluation,
) -> list[Patch]:
    """Asks an index for the patches most like one evaluated patch.

    The query is the evaluated patch with most labels that the index holds.

    Args:
      index_path: Folder of the index.
      predicted: The evaluated patches.
      evaluation: Their scores.

    Returns:
      The query, then its hits, the nearest first; without predictions.

    Raises:
      UserError: No index there, none of the evaluated patches is in it, or it
        was built with other weights or of other records.
    """
    index = index_lib.Index.open(index_path)
    manifest, model, data = index.manifest, evaluation.model, evaluation.data
    for what, found, expected in (
        ("with other weights", manifest.fingerprint, model.fingerprint),
        # Indexes of before do not say of which records they are.
        ("of other records", manifest.records or data.records, data.records),
    ):
        if found != expected:
            raise errors.UserError(
                f"The index {index_path} was built {what} "
                f"({origin.short(found)}) than those that were scored "
                f"({origin.short(expected)}). Build it again with python -m "
                "ben_tf.retrieval build, or remove it."
            )
    rows = index.rows_of(predicted.patch_name)
    rows = rows[rows >= 0]
    if not len(rows):
        raise errors.UserError(
            f"The index {index_path} holds none of the evaluated patches. "
            "Build it of the same split."
        )
    query = rows[index.labels[rows].sum(axis=1).argmax()]
    hits = index.search(
        index.embeddings[[query]],
        k=_NUM_HITS,
        fingerprint=index.manifest.fingerprint,
        exclude=index.names[[query]],
    )
    titles = [
        f"{place}: distance {distance:.3g}"
        for place, distance in enumerate(hits.distances[0], start=1)
    ]
    return [
        Patch(
            str(index.names[row]),
            title,
            _chosen(index.manifest.class_names, index.labels[row]),
            {},
        )
        for row, title in zip(
            [query, *hits.rows[0]], ["Query", *titles], strict=True
        )
        if row != index_lib.EMPTY
    ]


def read_pictures(
    data_dir: str | os.PathLike,
    evaluation: results.Evaluation,
    patches: Iterable[Patch],
    *,
    sensors: Sequence[str],
) -> Callable[[str, str], style.Picture]:
    """Reads the raw bands of patches.

    Args:
      data_dir: Folder of the TFDS dataset.
      evaluation: Names the records.
      patches: What to read.
      sensors: Those that the patches have pixels of.

    Returns:
      What draws them: (name of a patch, key of `pictures.PICTURES`) -> PNG.

    Raises:
      UserError: The dataset holds other records than those that were scored.
    """
    grids = patch_source.from_dataset(
        data_dir,
        sorted({patch.name for patch in patches}),
        grids=[n for n, x in bigearthnet.GRIDS.items() if x.sensor in sensors],
        records=evaluation.data.records,
    )
    return lambda name, picture: pictures.to_png(
        pictures.render(grids[name], picture)
    )


def _chosen(class_names: Sequence[str], labels: np.ndarray) -> list[str]:
    """Names of the classes that a multi-hot row has."""
    return list(itertools.compress(class_names, labels))
