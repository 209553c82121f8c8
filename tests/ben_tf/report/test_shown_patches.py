"""The best, middling and worst patches of a split."""

import numpy as np
import pytest

from ben_tf.evaluation import predictions
from ben_tf.report import shown_patches


def _predicted(labels, probabilities=None) -> predictions.Predictions:
    labels = np.asarray(labels, np.uint8)
    num = len(labels)
    return predictions.Predictions(
        patch_name=np.array([f"patch {row}" for row in range(num)]),
        labels=labels,
        probabilities=(
            labels if probabilities is None else probabilities
        ).astype(np.float32),
        **dict.fromkeys(("country", "season", "epsg"), np.zeros(num, int)),
        upper_left=np.zeros((num, 2)),
    )


def test_best_and_worst_patches():
    labels = np.eye(6, 4, dtype=np.uint8)
    labels[1, 3] = 1  # Two labels, both found: better than one.
    probabilities = labels.astype(np.float32)
    probabilities[4:] = 1 - probabilities[4:]
    predicted = _predicted(labels, probabilities)
    sample_f2 = np.array([1, 1, 0.5, 0.6, 0, 0.1])
    chosen = shown_patches.choose(predicted, sample_f2, 2)
    assert chosen == {"Best": [1, 0], "Middling": [3, 2], "Worst": [4, 5]}
    one = {name: values[:1] for name, values in vars(predicted).items()}
    chosen = shown_patches.choose(
        predictions.Predictions(**one), sample_f2[:1], 4
    )
    assert chosen == {"Best": [0]}


def test_groups_differ_in_score_where_most_patches_are_perfect():
    sample_f2 = np.array([1.0] * 9 + [0.8, 0.7, 0.2])
    chosen = shown_patches.choose(_predicted(np.eye(12)), sample_f2, 2)
    scores = {kind: sample_f2[rows] for kind, rows in chosen.items()}
    assert scores["Best"].tolist() == [1, 1]
    assert scores["Middling"].tolist() == [0.8]
    assert scores["Worst"].tolist() == [0.2, 0.7]


@pytest.mark.parametrize(
    ("sample_f2", "kinds"),
    [([1.0] * 6, {"Best"}), ([1, 1, 1, 1, 0, 0], {"Best", "Worst"})],
)
def test_a_group_without_a_score_of_its_own_is_left_out(sample_f2, kinds):
    chosen = shown_patches.choose(
        _predicted(np.eye(6)), np.array(sample_f2, float), 2
    )
    assert chosen.keys() == kinds


def test_equal_scores_show_different_labels():
    labels = np.eye(3)[[0, 0, 0, 1, 2, 0]]
    chosen = shown_patches.choose(
        _predicted(labels), np.array([1, 1, 1, 1, 1, 0.5]), 2
    )
    assert chosen["Best"] == [0, 3]
    # A worse score does not move up for the sake of its labels.
    labels = np.eye(3)[[0, 0, 0, 1, 2, 2]]
    chosen = shown_patches.choose(
        _predicted(labels), np.array([1, 1, 1, 0.9, 0.5, 0.4]), 2
    )
    assert chosen["Best"] == [0, 1]
