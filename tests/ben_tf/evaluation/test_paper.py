"""The paper's tables: checksums that the paper itself prints."""

import numpy as np

from ben_tf import bigearthnet
from ben_tf.evaluation import comparison
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
        metric: (min if metric in comparison.LOWER_IS_BETTER else max)(
            paper.TABLE_2, key=lambda model: paper.TABLE_2[model][metric]
        )
        for metric in paper.TABLE_2_METRICS
    }
    assert best == {
        "hamming_loss": "resnet152",
        "one_error": "resnet50",
        "sample_recall": "resnet50",
        "sample_f2": "resnet50",
    }
