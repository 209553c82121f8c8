"""95 % bootstrap intervals: the spread of scores over test patches."""

import numpy as np

from ben_tf import bigearthnet
from ben_tf.metrics import definitions
from ben_tf.metrics import exact

SAMPLE_METRICS = (
    "sample_recall",
    "sample_f1",
    "sample_f2",
    "hamming_loss",
    "one_error",
)
COUNT_METRICS = ("macro_f1", "macro_f2", "micro_f1", "micro_f2")
RANK_METRICS = ("macro_average_precision", "micro_average_precision")
_NUM_TOGETHER = 16
_NUM_RANKED = 200  # Replicates with average precision.


def bootstrap(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    num_replicates: int = 1000,
    seed: int = 0,
    threshold: float | np.ndarray = bigearthnet.THRESHOLD,
) -> dict[str, np.ndarray]:
    """95 % percentile intervals from resampled patches.

    The interval covers the choice of patches only. It is too narrow for two
    reasons: neighbouring patches resemble each other, and another training run
    gives other scores.

    Args:
      labels: (N, classes), 0 or 1.
      probabilities: (N, classes) float32.
      num_replicates: More give steadier ends.
      seed: Of the draws.
      threshold: As in `definitions.sample_values`.

    Returns:
      dict from each of `SAMPLE_METRICS`, `COUNT_METRICS` and `RANK_METRICS` to
      (2,) float64, lower and upper end, and "per_class_f2" to (2, classes).
      NaN: undefined.
    """
    drawn = replicates(
        labels,
        probabilities,
        num_replicates=num_replicates,
        seed=seed,
        threshold=threshold,
    )
    return {name: interval(values) for name, values in drawn.items()}


def replicates(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    num_replicates: int = 1000,
    seed: int = 0,
    threshold: float | np.ndarray = bigearthnet.THRESHOLD,
) -> dict[str, np.ndarray]:
    """Scores of resampled patches.

    Each replicate draws N of the N patches with replacement, and scores them.
    Most scores are sums over patches: a replicate is a row of multiplicities,
    and many replicates at once are one matrix product. Average precision needs
    the patches in order of their scores: they are sorted once, and a replicate
    weights them by its multiplicities. That takes longer, so only the first 200
    replicates have it.

    The draws depend on N and the seed alone: replicates of two models on the
    same patches are pairs, and `interval` of their differences is the paired
    bootstrap.

    Args:
      labels: (N, classes), 0 or 1.
      probabilities: (N, classes) float32.
      num_replicates: More give steadier ends.
      seed: Of the draws.
      threshold: As in `definitions.sample_values`.

    Returns:
      dict from each of `SAMPLE_METRICS`, `COUNT_METRICS` and `RANK_METRICS` to
      (replicates,) float64, and "per_class_f2" to (replicates, classes).
      NaN: undefined.
    """
    labels = np.asarray(labels).astype(bool)
    predictions = probabilities >= np.float32(threshold)
    per_sample, _ = exact.samples_and_counts(
        labels, probabilities, threshold=threshold
    )
    num_samples, num_classes = labels.shape
    # A row for each patch; columns that add up to every score wanted.
    columns = np.concatenate(
        [
            np.stack([per_sample[name] for name in SAMPLE_METRICS], axis=1),
            labels & predictions,
            ~labels & predictions,
            labels & ~predictions,
        ],
        axis=1,
        dtype=np.float32,
    )
    random = np.random.default_rng(seed)
    by_class = [
        _Ranking(labels[:, index], probabilities[:, index], every=1)
        for index in range(num_classes)
    ]
    pooled = _Ranking(labels.ravel(), probabilities.ravel(), every=num_classes)
    average_precision: list[list[float]] = []
    sums = []
    for start in range(0, num_replicates, _NUM_TOGETHER):
        multiplicities = [
            np.bincount(
                random.integers(num_samples, size=num_samples),
                minlength=num_samples,
            )
            for _ in range(start, min(start + _NUM_TOGETHER, num_replicates))
        ]
        sums.append(np.array(multiplicities, np.float32) @ columns)
        for row in multiplicities[: max(_NUM_RANKED - start, 0)]:
            weights = row.astype(np.float32)
            of_class = np.array(
                [x.average_precision(weights) for x in by_class]
            )
            average_precision.append(
                [
                    float(definitions.mean_of_defined(of_class)),
                    pooled.average_precision(weights),
                ]
            )
    sums = np.concatenate(sums).astype(np.float64)
    means = sums[:, : len(SAMPLE_METRICS)] / num_samples
    counts = sums[:, len(SAMPLE_METRICS) :].reshape(-1, 3, num_classes)
    counts = np.moveaxis(counts, 1, 0)
    averaged = definitions.averaged_scores(counts)
    drawn = dict(zip(SAMPLE_METRICS, means.T, strict=True))
    drawn |= {name: averaged[name].numpy() for name in COUNT_METRICS}
    drawn |= dict(zip(RANK_METRICS, np.array(average_precision).T, strict=True))
    drawn["per_class_f2"] = definitions.scores_from_counts(counts)["f2"].numpy()
    return drawn


def interval(drawn: np.ndarray) -> np.ndarray:
    """The ends of the middle 95 % of replicates.

    Args:
      drawn: (replicates, ...) float64; those that are NaN, undefined, are left
        out.

    Returns:
      (2, ...) float64; NaN where every replicate is undefined.
    """
    defined = ~np.isnan(drawn).all(axis=0)
    ends = np.full((2, *drawn.shape[1:]), np.nan)
    ends[:, defined] = np.nanpercentile(drawn[:, defined], [2.5, 97.5], axis=0)
    return ends


class _Ranking:
    """Scores in descending order, whose samples can be weighted anew."""

    def __init__(
        self, labels: np.ndarray, probabilities: np.ndarray, *, every: int
    ):
        """Sorts.

        Args:
          labels: (samples,) bool.
          probabilities: (samples,) float32.
          every: How many samples in a row are of the same patch.
        """
        order = np.argsort(-probabilities, kind="stable")
        is_hit, scores = labels[order], probabilities[order]
        patch = (order // every).astype(np.int32)
        # Only a step with a positive adds to the area, so that sums are taken
        # up to the last sample of such a step and not of every one.
        ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
        step = np.searchsorted(ends, np.flatnonzero(is_hit))
        steps, first = np.unique(step, return_index=True)
        self._patch = patch
        self._starts = np.append(0, ends[steps] + 1)[:-1]
        self._size = int(ends[steps[-1]]) + 1 if len(steps) else 0
        self._hit_patch = patch[is_hit]
        self._first_hit = first

    def average_precision(self, weights: np.ndarray) -> float:
        """As `exact.average_precision`, with weights (patches,) float32."""
        if not self._size:
            return float("nan")
        samples = np.add.reduceat(
            weights[self._patch[: self._size]], self._starts
        )
        hits = np.add.reduceat(weights[self._hit_patch], self._first_hit)
        num_hits = np.cumsum(hits, dtype=np.float64)
        if not num_hits[-1]:
            return float("nan")
        num_samples = np.cumsum(samples, dtype=np.float64)
        precision = np.divide(
            num_hits,
            num_samples,
            out=np.zeros_like(num_hits),
            where=num_samples > 0,
        )
        return float(hits @ precision / num_hits[-1])
