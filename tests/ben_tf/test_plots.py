"""Charts are well-formed images, also of undefined values and one patch."""

import math
import xml.etree.ElementTree

import numpy as np
import pytest

from ben_tf import bigearthnet
from ben_tf import comparison
from ben_tf import plots


def _text(svg: bytes) -> str:
    """All text of an SVG file; fails if it is no XML."""
    return " ".join(xml.etree.ElementTree.fromstring(svg).itertext())


@pytest.mark.parametrize("num_epochs", [1, 3])
def test_training_curves(num_epochs):
    epochs = list(range(1, num_epochs + 1))
    text = _text(
        plots.training_curves(
            {
                "epoch": epochs,
                "loss": epochs,
                "val_loss": epochs,
                "macro_f1": [math.nan] * num_epochs,
            }
        )
    )
    assert "Loss" in text
    assert "validation" in text
    assert "Macro F1" in text


@pytest.mark.parametrize("num_classes", [19, 43])
def test_class_scores_name_every_class(num_classes):
    rows = [
        comparison.Row(name, 0.5, (0.4, 0.6), 0.7)
        for name in bigearthnet.CLASSES[num_classes]
    ]
    rows[3] = comparison.Row("<b>&", None)
    text = _text(plots.class_scores(rows, with_paper=num_classes == 19))
    assert "<b>&" in text
    assert "undefined" in text
    assert "Coniferous forest" in text
    assert ("paper" in text) == (num_classes == 19)


@pytest.mark.parametrize("num_samples", [1, 40])
def test_error_charts(num_samples):
    names = bigearthnet.CLASSES_19
    random = np.random.default_rng(0)
    probabilities = random.random((num_samples, 19)).astype(np.float32)
    labels = random.random((num_samples, 19)) < 0.2
    matrix = plots.error_cooccurrence(labels, probabilities >= 0.5, names)
    assert f"Pastures ({(labels & (probabilities < 0.5))[:, 4].sum()})" in (
        _text(matrix)
    )
    curves = plots.precision_recall(
        labels, probabilities, names, [None, *[0.25] * 18]
    )
    assert "AP undefined" in _text(curves)
    assert "AP 0.2500" in _text(curves)


def test_reliability_with_empty_bins():
    svg = plots.reliability(
        {
            "mean_probability": [0.1, None],
            "fraction_present": [0.2, None],
            "num_pairs": [30, 0],
        }
    )
    assert "predicted probability" in _text(svg)


@pytest.mark.parametrize("num_samples", [1, 50])
def test_score_map_is_a_png(num_samples):
    values = np.linspace(0.1, 0.9, num_samples)
    png = plots.score_map(10 * values, 45 + values, values, "F2")
    assert png.startswith(b"\x89PNG")


def test_the_same_data_give_the_same_bytes():
    history = {"epoch": [1, 2], "loss": [2.0, 1.0]}
    assert plots.training_curves(history) == plots.training_curves(history)


def test_precision_recall_curve_ends_at_full_recall():
    labels = np.array([True, False, True, False])
    scores = np.array([0.9, 0.9, 0.4, 0.1])
    recall, precision = plots._curve(labels, scores)
    np.testing.assert_allclose(recall, [0, 0.5, 1, 1])
    np.testing.assert_allclose(precision, [0.5, 0.5, 2 / 3, 0.5])
