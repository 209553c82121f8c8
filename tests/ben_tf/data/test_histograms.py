"""Statistics of counted values are those of NumPy, in all digits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from ben_tf import bigearthnet
from ben_tf.data import built_dataset
from ben_tf.data import histograms
from ben_tf.data import input_pipeline


def _equals_numpy(band, values):
    wide = values.astype(np.float64).ravel()
    assert band.count == wide.size
    assert (band.minimum, band.maximum) == (wide.min(), wide.max())
    near = {"rel": 1e-10, "abs": 1e-10}
    assert band.mean == pytest.approx(wide.mean(), **near)
    assert band.std == pytest.approx(wide.std(), **near)
    shares = [float(x) for x in band.percentiles]
    assert [*band.percentiles.values()] == pytest.approx(
        np.percentile(wide, shares), **near
    )


@given(
    npst.arrays(
        np.float32,
        st.integers(1, 200),
        elements=st.floats(-500, 500, width=32),
    ),
    st.integers(0, 200),
)
def test_decibels(values, cut):
    histogram = histograms.Histogram()
    for part in (values[:cut], values[cut:]):
        if part.size:
            histogram.add(part)
    _equals_numpy(histogram.describe(values.dtype), values)


@given(npst.arrays(np.uint16, st.integers(1, 200)))
def test_digital_numbers(values):
    histogram = histograms.Histogram()
    histogram.add(values)
    _equals_numpy(histogram.describe(values.dtype), values)


def test_a_large_mean_does_not_hide_a_small_deviation():
    """Where the mean of squares less the square of the mean is nonsense."""
    values = np.float32(4096) + np.float32([0.0, 2**-11] * 50_000)
    histogram = histograms.Histogram()
    histogram.add(values)
    band = histogram.describe(values.dtype)
    assert band.std == pytest.approx(2**-12, rel=1e-10)


def test_zeros_of_both_signs_are_one_value():
    values = np.array([-0.0, 0.0, -0.0], np.float32)
    histogram = histograms.Histogram()
    histogram.add(values)
    band = histogram.describe(values.dtype)
    assert (band.count, band.minimum, band.maximum) == (3, 0, 0)


def test_loose_values_are_summed_up(monkeypatch):
    """Those near 0 and beyond all dB, of which few are kept at a time."""
    monkeypatch.setattr(histograms, "_MOST_LOOSE", 10)
    random = np.random.default_rng(1)
    parts = [
        np.concatenate([random.normal(0, 0.01, 50).round(3), [1e6, -3e4, -9]])
        for _ in range(20)
    ]
    values = np.float32(parts)
    histogram = histograms.Histogram()
    for part in values:
        histogram.add(part)
    assert len(histogram._loose) < 20
    _equals_numpy(histogram.describe(values.dtype), values)


def test_of_a_split(data_dir):
    builder = built_dataset.open_dataset(data_dir)
    found = histograms.of_split(builder, "train")
    batches = list(
        input_pipeline.native_batches(
            builder, "train", grids=tuple(bigearthnet.GRIDS)
        )
    )
    assert found.patches == sum(len(x["labels"]) for x in batches)
    assert found.synthetic
    assert found.dataset == "bigearthnet_mm/v1/1.0.0"
    for name, grid in bigearthnet.GRIDS.items():
        raw = np.concatenate([x["inputs"][name] for x in batches])
        for index, band in enumerate(grid.bands):
            _equals_numpy(found.bands[band], raw[..., index])
