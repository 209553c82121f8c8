"""Scores of samples that were worked out by hand."""

import numpy as np
import pytest

from ben_tf.metrics import definitions

# One sample a row, worked out by hand from the docstring of sample_values.
_BY_HAND = {
    "docstring": (
        [1, 0, 1, 0],
        [0.9, 0.6, 0.5, 0.1],
        {
            "sample_precision": 2 / 3,
            "sample_recall": 1,
            "sample_f1": 4 / 5,
            "sample_f2": 10 / 11,
            "sample_f0_5": 5 / 7,
            "sample_accuracy": 2 / 3,
            "hamming_loss": 1 / 4,
            "subset_accuracy": 0,
            "one_error": 0,
            "coverage": 3,
            "ranking_loss": 1 / 4,
            "label_ranking_average_precision": 5 / 6,
            "label_cardinality": 2,
        },
    ),
    # Ties count against the label: rank 3 of the three equal ones.
    "ties": (
        [0, 1, 0, 0],
        [0.5, 0.5, 0.5, 0.2],
        {
            "sample_precision": 1 / 3,
            "one_error": 1,  # The first of the equal ones is taken.
            "coverage": 3,
            "ranking_loss": 2 / 3,
            "label_ranking_average_precision": 1 / 3,
        },
    ),
    "no label": (
        [0, 0, 0, 0],
        [0.9, 0.1, 0.1, 0.1],
        {
            "sample_precision": 0,
            "sample_recall": 0,
            "sample_f2": 0,
            "sample_accuracy": 0,
            "hamming_loss": 1 / 4,
            "one_error": 1,
            "coverage": 0,
            "ranking_loss": np.nan,
            "label_ranking_average_precision": 0,
            "label_cardinality": 0,
        },
    ),
    "no prediction": (
        [1, 1, 0, 0],
        [0.4, 0.1, 0.2, 0.3],
        {
            "sample_precision": 0,
            "sample_recall": 0,
            "sample_f1": 0,
            "sample_accuracy": 0,
            "hamming_loss": 1 / 2,
            "one_error": 0,
            "coverage": 4,
            "ranking_loss": 1 / 2,
            "label_ranking_average_precision": (1 + 2 / 4) / 2,
        },
    ),
    "neither": (
        [0, 0, 0, 0],
        [0.1, 0.1, 0.1, 0.1],
        {"sample_accuracy": np.nan, "subset_accuracy": 1, "hamming_loss": 0},
    ),
    "all labels": (
        [1, 1, 1, 1],
        [0.9, 0.8, 0.7, 0.6],
        {
            "sample_f2": 1,
            "subset_accuracy": 1,
            "coverage": 4,
            "ranking_loss": np.nan,
            "label_ranking_average_precision": 1,
        },
    ),
}


@pytest.mark.parametrize("case", _BY_HAND)
def test_samples_worked_out_by_hand(case):
    labels, probabilities, expected = _BY_HAND[case]
    values = definitions.sample_values(
        np.array([labels], bool), np.array([probabilities], np.float32)
    )
    assert set(values) == set(definitions.SAMPLE_METRICS)
    for name, value in expected.items():
        np.testing.assert_allclose(
            values[name].numpy(), [value], rtol=1e-6, err_msg=name
        )
