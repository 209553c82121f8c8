"""The values of a band, counted: one pass, exact, whatever their number.

Means and deviations that are summed up while reading lose digits, and
percentiles cannot be had that way at all. Both are exact if each value that
occurs is counted. uint16 takes 65,536 counts. Of float32, half of all numbers
are nearer to 0 than 1, where few values in dB lie: those far from 0 have counts
in blocks of 65,536 neighbours, made when one of them is met, the others are
kept as they come and summed up now and then. The counts of a band
of Sentinel-1 take up to 1.3 GB, however many patches there are.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds

from ben_tf import band_statistics
from ben_tf import bigearthnet
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline

PERCENTILES = (0.1, 1, 2, 5, 25, 50, 75, 95, 98, 99, 99.9)

_BLOCK = 1 << 16
# Sizes of float32 with counts in blocks.
_DENSE = (2.0**-3, 2.0**7)
# Of the others, how many to keep before they are summed up.
_MOST_LOOSE = 1 << 22
_SIGN = np.uint32(1 << 31)


class Histogram:
    """How often each value occurs."""

    def __init__(self) -> None:
        # Number of the block -> counts of its values.
        self._blocks: dict[int, np.ndarray] = {}
        # Other values as (keys, counts); the first pair is summed up.
        self._loose: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, values: np.ndarray) -> None:
        """Counts values: uint16 or finite float32, any shape."""
        values = values.ravel()
        if values.dtype == np.uint16:
            counts = np.bincount(values, minlength=_BLOCK)
            self._block(0)[:] += counts
            return
        sizes = np.abs(values)
        is_dense = (sizes >= _DENSE[0]) & (sizes < _DENSE[1])
        self._loose.append(_count(_keys(values[~is_dense])))
        if sum(len(keys) for keys, _ in self._loose[1:]) > _MOST_LOOSE:
            self._sum_up()
        keys, counts = _count(_keys(values[is_dense]))
        blocks, firsts = np.unique(keys >> 16, return_index=True)
        ends = itertools.pairwise([*firsts, len(keys)])
        for block, (first, end) in zip(blocks.tolist(), ends, strict=True):
            # Each key occurs once, so that += counts all.
            self._block(block)[keys[first:end] & 0xFFFF] += counts[first:end]

    def _sum_up(self) -> None:
        """Makes one pair of the loose ones."""
        if self._loose:
            keys, counts = map(np.concatenate, zip(*self._loose, strict=True))
            keys, places = np.unique(keys, return_inverse=True)
            total = np.zeros(len(keys), np.int64)
            np.add.at(total, places.ravel(), counts)
            self._loose = [(keys, total)]

    def describe(
        self, dtype: np.dtype, percentiles: Sequence[float] = PERCENTILES
    ) -> band_statistics.Band:
        """Statistics of all values that were added, at least one.

        Args:
          dtype: That of the values.
          percentiles: Which to take, 0 to 100.
        """
        keys, numbers = self._counted()
        values = (_floats(keys) if dtype == np.float32 else keys).astype(
            np.float64
        )
        ends = np.cumsum(numbers)
        count = int(ends[-1])
        mean = float(values @ numbers) / count
        variance = float((values - mean) ** 2 @ numbers) / count

        def value_at(rank: int) -> float:
            return float(values[np.searchsorted(ends, rank, side="right")])

        def percentile(share: float) -> float:
            position = share / 100 * (count - 1)
            low = int(position)
            below, above = value_at(low), value_at(min(low + 1, count - 1))
            return below + (above - below) * (position - low)

        return band_statistics.Band(
            count=count,
            mean=mean,
            std=variance**0.5,
            minimum=float(values[0]),
            maximum=float(values[-1]),
            percentiles={f"{x:g}": percentile(x) for x in percentiles},
        )

    def _block(self, number: int) -> np.ndarray:
        if number not in self._blocks:
            self._blocks[number] = np.zeros(_BLOCK, np.int64)
        return self._blocks[number]

    def _counted(self) -> tuple[np.ndarray, np.ndarray]:
        """Keys that rise, and how often each occurs."""
        self._sum_up()
        found = list(self._loose)
        for number, counts in self._blocks.items():
            (within,) = np.nonzero(counts)
            keys = (within + number * _BLOCK).astype(np.uint32)
            found.append((keys, counts[within]))
        keys, numbers = map(np.concatenate, zip(*found, strict=True))
        order = np.argsort(keys)
        return keys[order], numbers[order]


def _count(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each key once, in order, and how often it occurs."""
    return np.unique(keys, return_counts=True)


def _keys(values: np.ndarray) -> np.ndarray:
    """float32 -> uint32 in the same order; -0.0 becomes 0.0."""
    bits = (values + np.float32(0)).view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _floats(keys: np.ndarray) -> np.ndarray:
    """The inverse of `_keys`."""
    return np.where(keys & _SIGN, keys ^ _SIGN, ~keys).view(np.float32)


def of_split(
    builder: tfds.core.DatasetBuilder, split: str
) -> band_statistics.DatasetStatistics:
    """Statistics of all pixels of a split, with a progress bar.

    Zeros of Sentinel-2 count like any other value, as in the published figures.

    Args:
      builder: From `built_dataset.open_dataset`.
      split: TFDS split.

    Raises:
      errors.UserError: The dataset has no such split, its records are damaged,
        or it was changed meanwhile.
    """
    sensors = built_dataset.sensors(builder)
    grids = [n for n, x in bigearthnet.GRIDS.items() if x.sensor in sensors]
    histograms = {
        band: Histogram()
        for name in grids
        for band in bigearthnet.GRIDS[name].bands
    }
    num_patches = 0
    for batch in input_pipeline.read_batches(
        builder,
        split,
        desc="statistics",
        grids=grids,
    ):
        num_patches += len(batch["labels"])
        for name, raw in batch["inputs"].items():
            values = raw.numpy()
            for index, band in enumerate(bigearthnet.GRIDS[name].bands):
                histograms[band].add(values[..., index])
    return band_statistics.DatasetStatistics(
        dataset=builder.info.full_name,
        split=split,
        part=built_dataset.part(builder),
        synthetic=built_dataset.is_synthetic(builder),
        patches=num_patches,
        bands={
            band: histogram.describe(
                np.dtype(bigearthnet.grid_of_band(band).dtype)
            )
            for band, histogram in histograms.items()
        },
    )
