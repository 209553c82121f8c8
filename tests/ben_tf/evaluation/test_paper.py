"""The paper's tables: checksums that the paper itself prints."""

import numpy as np

from ben_tf import bigearthnet
from ben_tf.evaluation import paper


def test_class_scores_average_to_the_printed_row():
    for scores, average in (
        (paper.TABLE_1_IMAGENET, paper.TABLE_1_AVERAGE_IMAGENET),
        (paper.TABLE_1_FROM_SCRATCH, paper.TABLE_1_AVERAGE_FROM_SCRATCH),
    ):
        assert tuple(scores) == bigearthnet.CLASSES_19
        assert round(np.mean(list(scores.values())), 4) == average


def test_bold_figures_of_the_paper_are_the_best():
    best = {
        metric: (max if higher else min)(
            paper.TABLE_2, key=lambda model: paper.TABLE_2[model][metric]
        )
        for metric, higher in paper.TABLE_2_METRICS.items()
    }
    assert best == {
        "hamming_loss": "resnet152",
        "one_error": "resnet50",
        "sample_recall": "resnet50",
        "sample_f2": "resnet50",
    }


_COMPARABLE = {
    "data_is_synthetic": False,
    "trained_on_synthetic": False,
    "split": "test",
    "num_samples": 125_866,
    "modality": "MM",
    "num_classes": 19,
}


def test_the_papers_own_protocol_is_comparable():
    assert paper.why_not_comparable(**_COMPARABLE) == []


def test_every_difference_is_named():
    differences = {
        "data_is_synthetic": (True, "synthetic data"),
        "trained_on_synthetic": (True, "trained on synthetic data"),
        "split": ("validation", "split validation instead of test"),
        "num_samples": (100, "100 patches instead of 125,866"),
        "modality": ("S2", "S2 instead of S1 and S2"),
        "num_classes": (43, "43 classes instead of 19"),
        "config": ("v2", "dataset v2 instead of v1"),
    }
    for name, (value, reason) in differences.items():
        reasons = paper.why_not_comparable(**_COMPARABLE | {name: value})
        assert reasons == [reason]
