"""Measures all metrics at full scale, on one core.

    python benchmarks/metrics.py

Scores random predictions of the size of the test split (125,866 patches; 19
and 43 classes) with `exact.compute`, bound to one core. Each figure is the
best of three runs after one to compile. The last lines:

    seconds_19    all metrics, 19 classes
    seconds_43    all metrics, 43 classes
    vs_sklearn    how many times longer scikit-learn takes for the same
                  metrics, 19 classes

Before them: how much memory more than the predictions themselves it takes, and
how far the two differ.
"""

import os
import resource
import time

import numpy as np
import sklearn.metrics
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf.metrics import exact

_NUM_PATCHES = bigearthnet.SPLIT_SIZES["test"]


def _random_predictions(num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws one or more labels a patch, about three, and telling scores."""
    random = np.random.default_rng(0)
    labels = random.random((_NUM_PATCHES, num_classes)) < 3 / num_classes
    rows = np.flatnonzero(~labels.any(axis=1))
    labels[rows, random.integers(num_classes, size=len(rows))] = True
    noise = random.normal(-2.5, 1.5, labels.shape)
    return labels, (1 / (1 + np.exp(-(noise + 3 * labels)))).astype(np.float32)


def _scikit_learn(
    labels: np.ndarray, probabilities: np.ndarray
) -> dict[str, float]:
    """Returns the metrics that scikit-learn has, under our names."""
    predictions = probabilities >= 0.5
    scores = {
        "hamming_loss": sklearn.metrics.hamming_loss(labels, predictions),
        "subset_accuracy": sklearn.metrics.accuracy_score(labels, predictions),
        "coverage": sklearn.metrics.coverage_error(labels, probabilities),
        "ranking_loss": sklearn.metrics.label_ranking_loss(
            labels, probabilities
        ),
        "label_ranking_average_precision": (
            sklearn.metrics.label_ranking_average_precision_score(
                labels, probabilities
            )
        ),
    }
    for ours, theirs in (
        ("sample", "samples"),
        ("micro", "micro"),
        ("macro", "macro"),
    ):
        for name, beta in (("f1", 1.0), ("f2", 2.0), ("f0_5", 0.5)):
            precision, recall, f_beta, _ = (
                sklearn.metrics.precision_recall_fscore_support(
                    labels,
                    predictions,
                    beta=beta,
                    average=theirs,
                    zero_division=0,
                )
            )
            scores[f"{ours}_precision"] = precision
            scores[f"{ours}_recall"] = recall
            scores[f"{ours}_{name}"] = f_beta
        scores[f"{ours}_accuracy"] = sklearn.metrics.jaccard_score(
            labels, predictions, average=theirs, zero_division=0
        )
        if ours != "sample":
            scores[f"{ours}_average_precision"] = (
                sklearn.metrics.average_precision_score(
                    labels, probabilities, average=theirs
                )
            )
    return scores


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measures and prints."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    seconds = {}
    for num_classes in (19, 43):
        labels, probabilities = _random_predictions(num_classes)
        exact.compute(labels[:20_000], probabilities[:20_000])
        before = _peak_mb()
        times = []
        for _ in range(3):
            start = time.perf_counter()
            ours = exact.compute(labels, probabilities).overall
            times.append(time.perf_counter() - start)
        seconds[num_classes] = min(times)
        size = (labels.nbytes + probabilities.nbytes) / 2**20
        print(
            f"{num_classes} classes: predictions {size:.0f} MiB, "
            f"peak memory grew by {_peak_mb() - before:.0f} MiB"
        )
        if num_classes == 19:
            start = time.perf_counter()
            theirs = _scikit_learn(labels, probabilities)
            seconds_sklearn = time.perf_counter() - start
            difference = max(
                abs(ours[name] - value) / abs(value)
                for name, value in theirs.items()
            )
            print(
                f"scikit-learn: {seconds_sklearn:.1f} s for {len(theirs)} of "
                f"the {len(ours)} metrics; largest relative difference "
                f"{difference:.1e}"
            )
    print(f"seconds_19: {seconds[19]:.3f}")
    print(f"seconds_43: {seconds[43]:.3f}")
    print(f"vs_sklearn: {seconds_sklearn / seconds[19]:.1f}")


if __name__ == "__main__":
    main()
