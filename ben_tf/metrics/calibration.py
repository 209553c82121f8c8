"""Calibration of probabilities, and a tuned threshold for each class."""

import dataclasses

import numpy as np

from ben_tf import bigearthnet


@dataclasses.dataclass(frozen=True)
class Reliability:
    """Observed frequency of classes against their predicted probability.

    Attributes:
      mean_probability: (bins,) mean of the probabilities in each bin.
      fraction_present: (bins,) share of them whose class is a label.
      num_pairs: (bins,) number of (patch, class) pairs.
      expected_calibration_error: Mean over all pairs of the distance between
        the two in the pair's bin; 0 is perfect.
    """

    mean_probability: np.ndarray
    fraction_present: np.ndarray
    num_pairs: np.ndarray
    expected_calibration_error: float


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, *, num_bins: int = 15
) -> Reliability:
    """Pools all (patch, class) pairs in bins of equal width; NaN: empty bin.

    Args:
      labels: (N, classes), 0 or 1.
      probabilities: (N, classes) float32 in [0, 1].
      num_bins: Bins from 0 to 1; a bin holds its lower border.
    """
    probabilities = np.asarray(probabilities, np.float64).ravel()
    bins = np.minimum((probabilities * num_bins).astype(int), num_bins - 1)
    num_pairs = np.bincount(bins, minlength=num_bins)
    sums = [
        np.bincount(bins, weights=values, minlength=num_bins)
        for values in (probabilities, np.asarray(labels).ravel())
    ]
    with np.errstate(invalid="ignore"):
        mean_probability, fraction_present = (
            total / num_pairs for total in sums
        )
    error = np.abs(sums[0] - sums[1]).sum() / len(probabilities)
    return Reliability(
        mean_probability, fraction_present, num_pairs, float(error)
    )


def best_thresholds(
    labels: np.ndarray, probabilities: np.ndarray
) -> np.ndarray:
    """Chooses for each class the threshold with the highest F1.

    Choose on validation patches, never on those that are scored. A threshold
    lies halfway between two scores; a class without a positive keeps
    `bigearthnet.THRESHOLD`.

    Args:
      labels: (N, classes), 0 or 1.
      probabilities: (N, classes) float32.

    Returns:
      (classes,) float32.
    """
    labels = np.asarray(labels).astype(bool)
    return np.array(
        [
            _best_threshold(labels[:, index], probabilities[:, index])
            for index in range(labels.shape[1])
        ],
        np.float32,
    )


def _best_threshold(
    labels: np.ndarray, scores: np.ndarray
) -> float | np.float32:
    num_positives = labels.sum()
    if not num_positives:
        return bigearthnet.THRESHOLD
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    hits = np.cumsum(labels[order])
    f1 = 2 * hits / (np.arange(1, len(scores) + 1) + num_positives)
    # No threshold separates equal scores.
    possible = np.append(scores[1:] != scores[:-1], True)
    best = int(np.argmax(np.where(possible, f1, -1)))
    below = scores[best + 1] if best + 1 < len(scores) else 0.0
    middle = np.float32((float(scores[best]) + float(below)) / 2)
    # Adjacent floats have no value between them.
    return middle if middle > below else scores[best]
