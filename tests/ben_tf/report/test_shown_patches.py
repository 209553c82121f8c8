"""The best, the median and the worst patches of a split."""

import numpy as np

from ben_tf.evaluation import predictions
from ben_tf.report import shown_patches


def test_best_and_worst_patches():
    labels = np.eye(6, 4, dtype=np.uint8)
    labels[1, 3] = 1  # Two labels, both found: better than one.
    probabilities = labels.astype(np.float32)
    probabilities[4:] = 1 - probabilities[4:]
    predicted = predictions.Predictions(
        patch_name=np.array(list("abcdef")),
        labels=labels,
        probabilities=probabilities,
        **dict.fromkeys(("country", "season", "epsg"), np.zeros(6, int)),
        upper_left=np.zeros((6, 2)),
    )
    sample_f2 = np.array([1, 1, 0.5, 0.6, 0, 0.1])
    chosen = shown_patches.choose(predicted, sample_f2, 2)
    assert chosen == {"Best": [1, 0], "Median": [3, 2], "Worst": [4, 5]}
    one = {name: values[:1] for name, values in vars(predicted).items()}
    chosen = shown_patches.choose(
        predictions.Predictions(**one), sample_f2[:1], 4
    )
    assert chosen == {"Best": [0]}
