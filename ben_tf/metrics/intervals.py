"""95 % bootstrap intervals: the spread of scores over test patches."""

import numpy as np

from ben_tf import bigearthnet
from ben_tf.metrics import definitions
from ben_tf.metrics import exact

# Average precision is left out: it would have to sort again in each replicate.
SAMPLE_METRICS = (
    "sample_recall",
    "sample_f1",
    "sample_f2",
    "hamming_loss",
    "one_error",
)
COUNT_METRICS = ("macro_f1", "macro_f2", "micro_f1", "micro_f2")
_NUM_TOGETHER = 16


def bootstrap(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    num_replicates: int = 1000,
    seed: int = 0,
    threshold: float | np.ndarray = bigearthnet.THRESHOLD,
) -> dict[str, np.ndarray]:
    """95 % percentile intervals from resampled patches.

    Each replicate draws N of the N patches with replacement, and scores them.
    The scores are sums over patches, so a replicate is a row of multiplicities,
    and many replicates at once are one matrix product.

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
      dict from each of `SAMPLE_METRICS` and `COUNT_METRICS` to (2,) float64,
      lower and upper end, and "per_class_f2" to (2, classes). NaN: undefined.
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
    sums = np.concatenate(sums).astype(np.float64)
    means = sums[:, : len(SAMPLE_METRICS)] / num_samples
    counts = sums[:, len(SAMPLE_METRICS) :].reshape(-1, 3, num_classes)
    counts = np.moveaxis(counts, 1, 0)
    averaged = definitions.averaged_scores(counts)
    replicates = dict(zip(SAMPLE_METRICS, means.T, strict=True))
    replicates |= {name: averaged[name].numpy() for name in COUNT_METRICS}
    replicates["per_class_f2"] = definitions.scores_from_counts(counts)[
        "f2"
    ].numpy()
    return {name: _interval(values) for name, values in replicates.items()}


def _interval(replicates: np.ndarray) -> np.ndarray:
    """(replicates, ...) -> (2, ...), without replicates that are undefined."""
    defined = ~np.isnan(replicates).all(axis=0)
    ends = np.full((2, *replicates.shape[1:]), np.nan)
    ends[:, defined] = np.nanpercentile(
        replicates[:, defined], [2.5, 97.5], axis=0
    )
    return ends
