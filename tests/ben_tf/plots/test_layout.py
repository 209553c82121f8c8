"""No text of a chart covers another, on a screen or on a telephone."""

import numpy as np
import pytest

from ben_tf import bigearthnet
from ben_tf.evaluation import comparison
from ben_tf.evaluation import history
from ben_tf.evaluation import results
from ben_tf.plots import labels as label_plots
from ben_tf.plots import pixels
from ben_tf.plots import places
from ben_tf.plots import run
from ben_tf.plots import style
from tests.ben_tf.plots import drawn_text

pytestmark = pytest.mark.slow

NAMES = bigearthnet.CLASSES_19
_RANDOM = np.random.default_rng(0)
LABELS = _RANDOM.random((400, 19)) < 0.2
PROBABILITIES = _RANDOM.random((400, 19)).astype(np.float32)
PREDICTED = PROBABILITIES >= 0.5
WHERE = _RANDOM.uniform(-9, 30, 50), _RANDOM.uniform(37, 68, 50)


def _training_curves(narrow):
    curves = {
        name: [1000.5, 0.25]
        for metric in ("loss", "macro_f1", "sample_f2")
        for name in (metric, f"val_{metric}")
    }
    return run.training_curves(
        history.History([1, 2], curves),
        loss="class-weighted cross-entropy + contrastive",
        synthetic=True,
        narrow=narrow,
    )


def _class_scores(narrow):
    rows = [comparison.Row(name, 1.0, (0.9, 1.0), 0.5) for name in NAMES]
    rows[2] = comparison.Row(NAMES[2], None)
    return run.class_scores(
        rows, with_paper=True, synthetic=True, narrow=narrow
    )


def _errors(narrow):
    draw = run.commonest_errors if narrow else run.error_cooccurrence
    return draw(LABELS, PREDICTED, NAMES, synthetic=True)


def _precision_recall(narrow):
    return run.precision_recall(
        LABELS,
        PROBABILITIES,
        NAMES,
        [None, *[0.25] * 18],
        synthetic=True,
        narrow=narrow,
    )


def _reliability(narrow):
    share = [0.05, 0.5, 0.95]
    return run.reliability(
        results.Calibration(0.1, share, share, [9000, 10, 500]),
        synthetic=True,
        narrow=narrow,
    )


def _score_map(narrow):
    return places.score_map(
        *WHERE,
        _RANDOM.random(50),
        label="F2 of the patch",
        synthetic=True,
        narrow=narrow,
    )


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
@pytest.mark.parametrize(
    "draw",
    [
        _training_curves,
        _class_scores,
        _errors,
        _precision_recall,
        _reliability,
        _score_map,
    ],
)
def test_charts_of_a_run(draw, narrow):
    with drawn_text.recorded() as figures:
        draw(narrow)
    (figure,) = figures
    assert drawn_text.overlaps(figure) == []
    assert drawn_text.outside(figure) == []
    if narrow:
        assert figure.get_figwidth() == style.NARROW_WIDTH


@pytest.mark.parametrize("num_classes", [19, 43])
def test_cooccurrence(num_classes):
    present = np.ones((100_000, num_classes), bool)
    with drawn_text.recorded() as figures:
        label_plots.cooccurrence(
            present, bigearthnet.CLASSES[num_classes], synthetic=True
        )
    assert drawn_text.overlaps(figures[0]) == []


def test_histograms_leave_room_for_what_they_measure():
    values = {
        band: np.full(10, mean)
        for band, mean in bigearthnet.PAPER_STATISTICS.mean.items()
    }
    with drawn_text.recorded() as figures:
        pixels.histograms(values, synthetic=True)
    assert drawn_text.overlaps(figures[0]) == []


def test_overlaps_are_found():
    with drawn_text.recorded() as figures:
        with style.chart(3, 2, synthetic=True) as sheet:
            sheet.figure.subplots().set_xlabel("label")
            sheet.figure.text(0.5, 0.05, "in the way", ha="center")
    assert drawn_text.overlaps(figures[0]) == [
        (style.SYNTHETIC_MARK, "in the way")
    ]
