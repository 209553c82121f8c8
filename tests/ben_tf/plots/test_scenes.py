"""A map has the colours of the classes, and a legend of those that occur."""

import io

import numpy as np
from PIL import Image

from ben_tf import bigearthnet
from ben_tf.plots import scenes


def _drawn(classes: np.ndarray, *, synthetic: bool = False) -> np.ndarray:
    picture = scenes.land_cover(
        np.zeros((60, 60, 3), np.uint8),
        classes,
        bigearthnet.CLASSES_19,
        synthetic=synthetic,
    )
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def _share(pixels: np.ndarray, color: str) -> float:
    """Of the pixels, those of about a colour: JPEG changes them a little."""
    wanted = np.array(list(bytes.fromhex(color.removeprefix("#"))))
    return (np.abs(pixels.astype(int) - wanted).max(axis=-1) < 12).mean()


def test_classes_have_their_colours_and_no_data_has_none():
    colors = bigearthnet.CLASS_COLORS[19]
    first, second, absent = bigearthnet.CLASSES_19[:3]
    classes = np.array([[1, 1, 2, 0]], np.uint8).repeat(4, axis=0)
    pixels = _drawn(classes)
    # The legend adds a little to each.
    assert _share(pixels, colors[first]) > 1.5 * _share(pixels, colors[second])
    assert _share(pixels, colors[second]) > 0.05
    assert _share(pixels, colors[absent]) < 0.005
    everywhere = _drawn(np.ones((4, 4), np.uint8))
    assert _share(everywhere, colors[first]) > _share(pixels, colors[first])


def test_a_synthetic_scene_is_marked():
    classes = np.ones((4, 4), np.uint8)
    assert len(_drawn(classes, synthetic=True)) > len(_drawn(classes))
