"""The paper's multi-label metrics: their definitions, and Keras metrics.

Two functions hold the definitions. `sample_values` scores each sample on its
own; `class_counts` counts hits and misses of each class. Everything else is a
mean over samples or a formula on counts, so the Keras metrics that run during
`fit` and the full set of `exact.compute` cannot disagree: they add up the
same numbers, whatever the batching. Average precision is the exception,
because it needs all scores at once: `exact.compute` is exact, the streaming
metric puts scores into bins (see `StreamingAveragePrecision`).

Definitions follow the authors' code (bigearthnet-models-tf 1.1.1,
`utils.get_metrics`): Table II of the paper is `sample_recall`, `sample_f2`,
`hamming_loss` and `one_error`; Table I is the per-class `f2`, its last row
`macro_f2`. Where a ratio is 0/0 and the authors' code does not define it, the
value is undefined: NaN, left out of averages, and counted in
`exact.Scores.undefined`. All metrics lie in [0, 1] except `coverage` (a
rank) and `label_cardinality` (a number of labels).
"""

import numpy as np
import tensorflow as tf

from ben_tf import bigearthnet

SAMPLE_METRICS = (
    "sample_precision",
    "sample_recall",
    "sample_f1",
    "sample_f2",
    "sample_f0_5",
    "sample_accuracy",
    "hamming_loss",
    "subset_accuracy",
    "one_error",
    "coverage",
    "ranking_loss",
    "label_ranking_average_precision",
    "label_cardinality",
)
# Each exists for every class, and as macro_* and micro_*.
COUNT_METRICS = ("precision", "recall", "f1", "f2", "f0_5", "accuracy")
_BETA = {"f1": 1.0, "f2": 2.0, "f0_5": 0.5}


def sample_values(
    labels: tf.Tensor,
    probabilities: tf.Tensor,
    *,
    threshold: float | tf.Tensor = bigearthnet.THRESHOLD,
) -> dict[str, tf.Tensor]:
    """Scores every sample on its own.

    With y the true and z the predicted classes of a sample, and the rank of a
    class the number of classes whose probability is at least its own (1 is
    best, ties count):

      sample_precision   |y and z| / |z|, 0 if nothing is predicted
      sample_recall      |y and z| / |y|, 0 if there is no label
      sample_f<beta>     (1 + beta^2) P R / (beta^2 P + R), 0 if P = R = 0
      sample_accuracy    |y and z| / |y or z| (Jaccard); undefined if both are
                         empty
      hamming_loss       |y xor z| / number of classes
      subset_accuracy    1 if y = z, else 0
      one_error          1 if the most probable class (the first one among
                         equals) is not in y, else 0
      coverage           largest rank of a label, 0 if there is no label
      ranking_loss       share of pairs (class in y, class not in y) with
                         p(in) <= p(not in); undefined without such a pair
      label_ranking_average_precision
                         mean over y of (labels of that rank or better) /
                         rank, 0 if there is no label
      label_cardinality  |y|

    Example: y = {0, 2} of 4 classes, p = (0.9, 0.6, 0.5, 0.1). Hence
    z = {0, 1, 2}, precision 2/3, recall 1, F2 = 5 (2/3) / (8/3 + 1) = 10/11,
    Hamming loss 1/4, ranks of y are 1 and 3, coverage 3, ranking loss 1/4
    (class 2 lies below class 1), LRAP (1/1 + 2/3) / 2 = 5/6.

    Args:
      labels: (batch, classes) bool.
      probabilities: (batch, classes) float32.
      threshold: A class is predicted at p >= threshold; a scalar, or
        (classes,) float32.

    Returns:
      dict from each of `SAMPLE_METRICS` to (batch,) float32; NaN: undefined.
    """
    predictions = probabilities >= threshold
    num_classes = tf.cast(tf.shape(labels)[1], tf.float32)
    num_labels = _count(labels)
    num_predictions = _count(predictions)
    hits = _count(labels & predictions)
    union = num_labels + num_predictions - hits
    errors = union - hits
    top_class = tf.argmax(probabilities, axis=1)
    values = {
        "sample_precision": tf.math.divide_no_nan(hits, num_predictions),
        "sample_recall": tf.math.divide_no_nan(hits, num_labels),
        "sample_accuracy": hits / union,
        "hamming_loss": errors / num_classes,
        "subset_accuracy": tf.cast(errors == 0, tf.float32),
        "one_error": 1.0
        - tf.gather(tf.cast(labels, tf.float32), top_class, batch_dims=1),
        "label_cardinality": num_labels,
    }
    for name, beta in _BETA.items():
        # Equal to the formula on P and R, and 0 where both are 0.
        values[f"sample_{name}"] = tf.math.divide_no_nan(
            (1 + beta**2) * hits, beta**2 * num_labels + num_predictions
        )

    # (batch, j, k): is class k ranked as high as class j, or higher?
    above = probabilities[:, tf.newaxis, :] >= probabilities[:, :, tf.newaxis]
    rank = _count(above)
    label_rank = _count(above & labels[:, tf.newaxis, :])
    is_label = tf.cast(labels, tf.float32)
    num_swapped = tf.reduce_sum(is_label * (rank - label_rank), axis=1)
    values["coverage"] = tf.reduce_max(is_label * rank, axis=1)
    values["ranking_loss"] = num_swapped / (
        num_labels * (num_classes - num_labels)
    )
    values["label_ranking_average_precision"] = tf.math.divide_no_nan(
        tf.reduce_sum(is_label * label_rank / rank, axis=1), num_labels
    )
    return values


def class_counts(
    labels: tf.Tensor,
    probabilities: tf.Tensor,
    *,
    threshold: float | tf.Tensor = bigearthnet.THRESHOLD,
) -> tf.Tensor:
    """Counts hits and misses of each class over a batch.

    Args:
      labels: (batch, classes) bool.
      probabilities: (batch, classes) float32.
      threshold: As in `sample_values`.

    Returns:
      (3, classes) float64: true positives, false positives, false negatives.
    """
    predictions = probabilities >= threshold
    counts = [
        tf.reduce_sum(tf.cast(cells, tf.float32), axis=0)
        for cells in (
            labels & predictions,
            ~labels & predictions,
            labels & ~predictions,
        )
    ]
    return tf.cast(tf.stack(counts), tf.float64)


def scores_from_counts(counts: tf.Tensor | np.ndarray) -> dict[str, tf.Tensor]:
    """Turns counts of one class (or of a pool of classes) into its scores.

    With TP, FP, FN: precision TP / (TP + FP), recall TP / (TP + FN), accuracy
    TP / (TP + FP + FN) (Jaccard), F_beta (1 + beta^2) TP / ((1 + beta^2) TP +
    beta^2 FN + FP). 0/0 is NaN, undefined: the precision of a class that is
    never predicted, the recall of a class that never occurs.

    Args:
      counts: (3, ...) float64 as `class_counts` gives.

    Returns:
      dict from each of `COUNT_METRICS` to (...) float64.
    """
    hits, false_positives, false_negatives = tf.unstack(counts)
    scores = {
        "precision": hits / (hits + false_positives),
        "recall": hits / (hits + false_negatives),
        "accuracy": hits / (hits + false_positives + false_negatives),
    }
    for name, beta in _BETA.items():
        weighted = (1 + beta**2) * hits
        scores[name] = weighted / (
            weighted + beta**2 * false_negatives + false_positives
        )
    return scores


def averaged_scores(counts: tf.Tensor | np.ndarray) -> dict[str, tf.Tensor]:
    """Averages scores over classes.

    macro_*: mean over the classes for which the score is defined. micro_*:
    the score of all classes' counts added up.

    Args:
      counts: (3, ..., classes) float64; axes between are kept, so bootstrap
        replicates can be scored at once.

    Returns:
      dict from macro_* and micro_* of `COUNT_METRICS` to (...) float64.
    """
    scores = {}
    for name, values in scores_from_counts(counts).items():
        scores[f"macro_{name}"] = mean_of_defined(values)
    pooled = scores_from_counts(tf.reduce_sum(counts, axis=-1))
    return scores | {f"micro_{name}": pooled[name] for name in pooled}


def mean_of_defined(values: tf.Tensor | np.ndarray) -> tf.Tensor:
    """Mean over the last axis of what is not NaN; NaN if nothing is."""
    defined = ~tf.math.is_nan(values)
    total = tf.reduce_sum(tf.where(defined, values, 0), axis=-1)
    return total / tf.reduce_sum(tf.cast(defined, values.dtype), axis=-1)


def step_area(
    hits: tf.Tensor | np.ndarray, num_predicted: tf.Tensor | np.ndarray
) -> tf.Tensor:
    """Average precision: area under the precision-recall curve, in steps.

    The sum over steps, from the highest score to the lowest, of (recall gained
    there) x (precision there). Scores that count as equal share a step.

    Args:
      hits: (..., steps) float64, positives down to and including each step.
      num_predicted: (..., steps) float64, all samples likewise.

    Returns:
      (...) float64; NaN without a positive.
    """
    hits = tf.convert_to_tensor(hits)
    before = tf.concat([tf.zeros_like(hits[..., :1]), hits[..., :-1]], axis=-1)
    precision = tf.math.divide_no_nan(hits, num_predicted)
    return tf.reduce_sum((hits - before) * precision, axis=-1) / hits[..., -1]


def _count(cells: tf.Tensor) -> tf.Tensor:
    """Number of true cells along the last axis, float32."""
    return tf.reduce_sum(tf.cast(cells, tf.float32), axis=-1)
