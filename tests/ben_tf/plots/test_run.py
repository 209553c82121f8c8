"""Charts are well-formed images, also of undefined values and one patch."""

import math
import xml.etree.ElementTree

import numpy as np
import pytest

from ben_tf import bigearthnet
from ben_tf.evaluation import comparison
from ben_tf.evaluation import history
from ben_tf.evaluation import results
from ben_tf.plots import run
from ben_tf.plots import style


def _text(svg: bytes) -> str:
    """All text of an SVG file; fails if it is no XML."""
    return " ".join(xml.etree.ElementTree.fromstring(svg).itertext())


def _texts(svg: bytes) -> list[str]:
    """The texts of a chart, in the order in which they are drawn."""
    root = xml.etree.ElementTree.fromstring(svg)
    return [
        " ".join("".join(text.itertext()).split())
        for text in root.iter("{http://www.w3.org/2000/svg}text")
    ]


@pytest.mark.parametrize("num_epochs", [1, 3])
def test_training_curves(num_epochs):
    epochs = list(range(1, num_epochs + 1))
    text = _text(
        run.training_curves(
            history.History(
                epochs,
                {
                    "loss": epochs,
                    "val_loss": epochs,
                    "macro_f1": [math.nan] * num_epochs,
                },
            ),
            synthetic=False,
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
    text = _text(
        run.class_scores(rows, with_paper=num_classes == 19, synthetic=False)
    )
    assert "<b>&" in text
    assert "undefined" in text
    assert "Coniferous forest" in text
    assert ("paper" in text) == (num_classes == 19)


@pytest.mark.slow
@pytest.mark.parametrize("num_samples", [1, 40])
def test_error_charts(num_samples):
    names = bigearthnet.CLASSES_19
    random = np.random.default_rng(0)
    probabilities = random.random((num_samples, 19)).astype(np.float32)
    labels = random.random((num_samples, 19)) < 0.2
    matrix = run.error_cooccurrence(
        labels, probabilities >= 0.5, names, synthetic=True
    )
    assert f"Pastures ({(labels & (probabilities < 0.5))[:, 4].sum()})" in (
        _text(matrix)
    )
    curves = run.precision_recall(
        labels, probabilities, names, [None, *[0.25] * 18], synthetic=True
    )
    assert style.SYNTHETIC_MARK in _text(matrix)
    assert style.SYNTHETIC_MARK in _text(curves)
    assert "AP undefined" in _text(curves)
    assert "AP 0.2500" in _text(curves)


def _missed_and_false():
    """Class a is missed on 3 patches, where b is predicted twice, c once."""
    labels = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 1], [0, 1, 0]], bool)
    predicted = np.array([[0, 1, 0], [0, 1, 1], [0, 0, 1], [0, 1, 0]], bool)
    return labels, predicted, ["a", "b", "c"]


def test_cells_of_errors_hold_their_number_of_patches():
    texts = _texts(run.error_cooccurrence(*_missed_and_false(), synthetic=True))
    assert {"a (3)", "b (0)", "c (0)"} <= set(texts)
    # No other text is a single digit.
    assert [text for text in texts if text in "0123456789"] == ["2", "1"]


def test_commonest_errors_are_sorted_and_tell_of_how_many():
    labels, predicted, names = _missed_and_false()
    chart = run.commonest_errors(labels, predicted, names, synthetic=True)
    texts = _texts(chart)
    assert [t for t in texts if " of 3" in t] == ["2 of 3", "1 of 3"]
    assert texts.index("→ b") < texts.index("→ c")
    assert "→ a" not in texts
    first = run.commonest_errors(
        labels, predicted, names, synthetic=True, num=1
    )
    assert "→ c" not in _texts(first)
    none = run.commonest_errors(labels, labels, names, synthetic=True)
    assert "none" in _texts(none)


def test_reliability_with_empty_bins():
    svg = run.reliability(
        results.Calibration(0.1, [0.1, None], [0.2, None], [30, 0]),
        synthetic=False,
    )
    assert style.SYNTHETIC_MARK not in _text(svg)
    assert "predicted probability" in _text(svg)


def test_the_same_data_give_the_same_bytes():
    learned = history.History([1, 2], {"loss": [2.0, 1.0]})
    first, second = (
        run.training_curves(learned, synthetic=True) for _ in range(2)
    )
    assert first == second


def test_precision_recall_curve_ends_at_full_recall():
    labels = np.array([True, False, True, False])
    scores = np.array([0.9, 0.9, 0.4, 0.1])
    recall, precision = run._curve(labels, scores)
    np.testing.assert_allclose(recall, [0, 0.5, 1, 1])
    np.testing.assert_allclose(precision, [0.5, 0.5, 2 / 3, 0.5])
