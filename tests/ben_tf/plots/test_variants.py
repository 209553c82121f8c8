"""Charts of several runs name each of them."""

import xml.etree.ElementTree

import numpy as np

from ben_tf import bigearthnet
from ben_tf.plots import variants


def _texts(svg: bytes) -> list[str]:
    root = xml.etree.ElementTree.fromstring(svg)
    return [text.strip() for text in root.itertext() if text.strip()]


def test_scores_leave_out_what_is_undefined():
    values = {
        sensor: dict.fromkeys(bigearthnet.CLASSES_19, score)
        for sensor, score in (("S1", 0.25), ("S2", 0.5), ("MM", 0.75))
    }
    values["S1"]["Pastures"] = None
    for row in values.values():
        row["Inland wetlands"] = None
    texts = _texts(variants.scores(values, label="AP", synthetic=True))
    for text in ("S1", "S2", "MM", "AP", "Pastures", "Inland wetlands"):
        assert text in texts


def test_curves_and_bars_carry_labels_and_numbers():
    texts = _texts(
        variants.curves(
            {"one": ([1, 2], [0.5, 0.6]), "two": ([1], [np.nan])},
            x_label="k",
            y_label="precision",
            synthetic=False,
        )
    )
    assert {"one", "two", "k", "precision"} <= set(texts)
    texts = _texts(
        variants.bars(
            {"read": 1234.4, "parse": 9.6}, label="/s", synthetic=True
        )
    )
    assert {"1,234", "10", "read", "parse", "/s"} <= set(texts)
