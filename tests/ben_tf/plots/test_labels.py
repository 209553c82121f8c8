"""Charts of labels show the numbers they are given."""

import xml.etree.ElementTree

import numpy as np
import pytest

from ben_tf import bigearthnet
from ben_tf.plots import labels
from ben_tf.plots import style


def _texts(svg: bytes) -> list[str]:
    root = xml.etree.ElementTree.fromstring(svg)
    return [text.strip() for text in root.itertext() if text.strip()]


@pytest.mark.parametrize("num_classes", [19, 43])
def test_class_counts_write_every_count(num_classes):
    counts = {
        name: 1000 * place
        for place, name in enumerate(bigearthnet.CLASSES[num_classes])
    }
    texts = _texts(labels.class_counts(counts, synthetic=True))
    assert {f"{count:,}" for count in counts.values()} <= set(texts)
    assert "Coniferous forest" in texts
    assert style.SYNTHETIC_MARK in texts


def test_labels_per_patch_tell_the_average():
    texts = _texts(
        labels.labels_per_patch(
            {"19 classes": np.array([1, 2]), "43 classes": np.array([1, 3])},
            synthetic=False,
        )
    )
    assert "19 classes, 1.50 on average" in texts
    assert "43 classes, 2.00 on average" in texts
    assert style.SYNTHETIC_MARK not in texts


def test_cooccurrence_writes_the_number_of_patches_into_cells():
    # a on 4 patches, b on 2 of them and on 1 other, c never.
    multi_hot = np.array(
        [[1, 1, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0]], bool
    )
    texts = _texts(
        labels.cooccurrence(multi_hot, ["a", "b", "c"], synthetic=False)
    )
    for text in ("a (4)", "b (3)", "c (0)"):
        assert text in texts
    assert texts.count("2") == 2  # a with b, b with a; no zeros, no diagonal.


def test_shares_are_percentages_of_a_group():
    texts = _texts(
        labels.shares(
            {"here": {"x": 1, "y": 3}, "there": {"x": 500, "y": 500}},
            synthetic=False,
        )
    )
    assert "there (1,000)" in texts
    assert [t for t in texts if t in ("25", "75")] == ["25", "75"]
    assert texts.count("50") == 2
