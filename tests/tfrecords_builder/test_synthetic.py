"""The designed signal is where `signatures.py` says, and nowhere else."""

import collections

import numpy as np
import pytest

from ben_tf import bigearthnet
from tfrecords_builder import signatures
from tfrecords_builder import synthetic

pytestmark = pytest.mark.slow

BANDS = (*bigearthnet.S1_BANDS, *bigearthnet.S2_BANDS)


def _mean(labels, num_patches=60):
    """Mean of each band over patches, in standard deviations."""
    totals = dict.fromkeys(BANDS, 0.0)
    for i in range(num_patches):
        pixels = synthetic.draw_pixels(labels, np.random.default_rng(i))
        for band in BANDS:
            totals[band] += pixels[band].mean() / num_patches
    return {
        band: (totals[band] - bigearthnet.PAPER_STATISTICS.mean[band])
        / bigearthnet.PAPER_STATISTICS.std[band]
        for band in BANDS
    }


def test_every_class_has_a_signature_and_a_landscape():
    assert set(signatures.SIGNATURES) == set(bigearthnet.CLASSES_19)
    offered = {
        label
        for landscape in signatures.LANDSCAPES.values()
        for label in landscape
    }
    assert set(bigearthnet.labels_43_to_19(offered)) == set(
        bigearthnet.CLASSES_19
    )


def test_classes_are_spread_over_the_sensors():
    shown = [signatures.sensors_of(name) for name in bigearthnet.CLASSES_19]
    assert collections.Counter(shown) == {
        frozenset({"S1"}): 4,
        frozenset({"S2"}): 11,
        frozenset({"S1", "S2"}): 4,
    }
    # Both by texture alone, which moves no mean.
    assert signatures.sensors_of("Permanent crops") == {"S2"}
    assert signatures.sensors_of("Industrial or commercial units") == {"S1"}


@pytest.mark.parametrize(
    ("label", "bands"),
    [
        ("Peatbogs", {"VV", "VH"}),
        ("Mixed forest", {"B06", "B07", "B8A"}),
        ("Beaches, dunes, sands", {"B01", "B09"}),
        ("Vineyards", set()),  # Texture: no mean moves.
        ("Industrial or commercial units", {"VV", "VH"}),
        ("Water bodies", {"B04", "B08", "B11", "B12", "VV", "VH"}),
    ],
)
def test_a_class_moves_its_bands_only(label, bands):
    # The same seeds draw the same background.
    without, with_label = _mean(["Bare rock"]), _mean([label])
    base = _mean([])
    moved = {
        band for band in BANDS if abs(with_label[band] - base[band]) > 0.12
    }
    assert moved == bands
    assert without != base


def test_texture_shows_in_its_bands_only():
    random = np.random.default_rng(0)
    crops = synthetic.draw_pixels(["Vineyards"], random)
    plain = synthetic.draw_pixels([], random)
    for band in BANDS:
        ratio = crops[band].std() / plain[band].std()
        if band in bigearthnet.GRIDS["s2_10m"].bands:
            assert ratio > 1.5
        else:
            assert 0.8 < ratio < 1.25


def test_pixels_have_the_archive_s_dtypes_and_units():
    pixels = synthetic.draw_pixels(
        list(signatures.LANDSCAPES["coast"]), np.random.default_rng(0)
    )
    for band in BANDS:
        grid = bigearthnet.grid_of_band(band)
        assert pixels[band].shape == grid.shape[:2]
        assert pixels[band].dtype == grid.dtype
        assert np.all(np.isfinite(pixels[band]))
    assert np.all(pixels["VV"] > -75)
    assert pixels["B01"].min() >= 1


def test_speckle_is_that_of_a_multi_look_product():
    """In power, variance / mean^2 of speckle is 1 / looks (4.4)."""
    random = np.random.default_rng(0)
    db = synthetic.draw_pixels([], random)["VV"].astype(float)
    power = 10 ** (db / 10)
    assert power.var() / power.mean() ** 2 == pytest.approx(1 / 4.4, rel=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_labels_come_from_one_landscape(seed):
    random = np.random.default_rng(seed)
    labels = synthetic.draw_labels(random, only_dropped=False)
    assert any(
        set(labels) <= set(landscape)
        for landscape in signatures.LANDSCAPES.values()
    )
    assert labels == [n for n in bigearthnet.CLASSES_43 if n in labels]
    (dropped,) = synthetic.draw_labels(random, only_dropped=True)
    assert bigearthnet.CLASS_43_TO_19[dropped] is None
