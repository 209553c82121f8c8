"""All metrics of a set of predictions, exactly, in blocks of flat memory.

The definitions are those of `definitions`; here they take arrays of any length.
For 125,866 samples of 43 classes all of it takes about a second on one core.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf.metrics import definitions

# Comparing all pairs of 43 classes takes about 80 MB for a block.
_BLOCK_SIZE = 8192


@dataclasses.dataclass(frozen=True)
class Scores:
    """All metrics of a set of samples.

    Attributes:
      num_samples: Number of samples.
      overall: `definitions.SAMPLE_METRICS`, and macro_* and micro_* of
        `definitions.COUNT_METRICS` and of average_precision -> value.
      per_class: `definitions.COUNT_METRICS`, average_precision and
        num_positives -> (classes,) float64. NaN, here and above: undefined.
      undefined: How many samples (or, for macro_*, classes) an average leaves
        out because the value is undefined there; only where there are any.
    """

    num_samples: int
    overall: dict[str, float]
    per_class: dict[str, np.ndarray]
    undefined: dict[str, int]


def compute(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    threshold: float | np.ndarray = bigearthnet.THRESHOLD,
) -> Scores:
    """Computes all metrics, exactly and in blocks: memory stays flat.

    Args:
      labels: (samples, classes), 0 or 1.
      probabilities: (samples, classes) float32 in [0, 1].
      threshold: As in `definitions.sample_values`.

    Raises:
      ValueError: Shapes differ, there is no sample, or a value is out of range.
    """
    labels, probabilities = _checked(labels, probabilities)
    per_sample, counts = samples_and_counts(
        labels, probabilities, threshold=threshold
    )
    per_class = {
        name: values.numpy()
        for name, values in definitions.scores_from_counts(counts).items()
    }
    per_class["average_precision"] = np.array(
        [
            average_precision(labels[:, index], probabilities[:, index])
            for index in range(labels.shape[1])
        ]
    )
    averaged = per_sample | {
        f"macro_{name}": v for name, v in per_class.items()
    }
    undefined = {name: int(np.isnan(v).sum()) for name, v in averaged.items()}
    overall = {
        name: float(definitions.mean_of_defined(values.astype(np.float64)))
        for name, values in per_sample.items()
    } | {
        name: float(value)
        for name, value in definitions.averaged_scores(counts).items()
    }
    overall["macro_average_precision"] = float(
        definitions.mean_of_defined(per_class["average_precision"])
    )
    overall["micro_average_precision"] = average_precision(
        labels.ravel(), probabilities.ravel()
    )
    per_class["num_positives"] = counts[0] + counts[2]
    return Scores(
        num_samples=len(labels),
        overall=overall,
        per_class=per_class,
        undefined={name: num for name, num in undefined.items() if num},
    )


def samples_and_counts(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    threshold: float | np.ndarray = bigearthnet.THRESHOLD,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Computes what `definitions` defines, for any number of samples.

    Args:
      labels: (samples, classes) bool array.
      probabilities: (samples, classes) float32 array.
      threshold: As in `definitions.sample_values`.

    Returns:
      The results of `definitions.sample_values`, dict to (samples,) float32,
      and of `definitions.class_counts`, (3, classes) float64.
    """
    threshold = np.broadcast_to(np.float32(threshold), labels.shape[1:])
    blocks = []
    counts = np.zeros((3, labels.shape[1]))
    for start in range(0, len(labels), _BLOCK_SIZE):
        rows = slice(start, start + _BLOCK_SIZE)
        values, block_counts = _block(
            labels[rows], probabilities[rows], threshold
        )
        blocks.append({name: value.numpy() for name, value in values.items()})
        counts += block_counts.numpy()
    per_sample = {
        name: np.concatenate([block[name] for block in blocks])
        for name in definitions.SAMPLE_METRICS
    }
    return per_sample, counts


@tf.function(reduce_retracing=True)
def _block(
    labels: tf.Tensor, probabilities: tf.Tensor, threshold: tf.Tensor
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    return (
        definitions.sample_values(labels, probabilities, threshold=threshold),
        definitions.class_counts(labels, probabilities, threshold=threshold),
    )


def average_precision(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Area under the precision-recall curve, summed in steps.

    The sum over distinct scores, from the highest, of (recall gained there) x
    (precision there); samples of equal score enter together. NaN without a
    positive. Equal to scikit-learn's `average_precision_score`.

    Args:
      labels: (samples,) bool.
      probabilities: (samples,) float32, not negative.
    """
    # Floats that are not negative sort like their bits, and the sign bit is
    # free: score and label in one integer make a plain sort do, several times
    # faster than an argsort. Adding zero turns -0.0 into 0.0.
    bits = (probabilities.astype(np.float32) + np.float32(0)).view(np.uint32)
    keys = np.sort((bits << np.uint32(1)) | labels.astype(np.uint32))[::-1]
    scores = keys >> np.uint32(1)
    last_of_equals = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    hits = np.cumsum(keys & np.uint32(1), dtype=np.float64)[last_of_equals]
    return float(definitions.step_area(hits, last_of_equals + 1.0))


def _checked(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    labels = np.asarray(labels)
    probabilities = np.asarray(probabilities, np.float32)
    if labels.ndim != 2 or labels.shape != probabilities.shape:
        raise ValueError(
            "Shapes do not fit. Expected labels and probabilities of equal "
            f"shape (samples, classes). Received: {labels.shape} and "
            f"{probabilities.shape}"
        )
    if not labels.size:
        raise ValueError("No metric exists without a sample.")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("Expected labels of 0 and 1 only (multi-hot).")
    # Written so that NaN fails as well.
    if not (probabilities.min() >= 0 and probabilities.max() <= 1):
        raise ValueError(
            "Expected probabilities in [0, 1]. Received values from "
            f"{probabilities.min()} to {probabilities.max()}"
        )
    return labels.astype(bool), probabilities
