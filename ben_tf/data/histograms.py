"""The values of a band, counted: one pass, exact, whatever their number.

Means and deviations that are summed up while reading lose digits, and
percentiles cannot be had that way at all. Both are exact if each value that
occurs is counted: 65,536 counts for uint16. float32 has 2^32 values, of which
those that a band in dB takes lie in some hundred blocks of 65,536 neighbours;
counts of a block are made when a value of it is met. Of the real archive that
is up to about 0.5 GB for a band of Sentinel-1, three times that at the end.
"""

from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds

from ben_tf import band_statistics
from ben_tf import bigearthnet
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline

PERCENTILES = (0.1, 1, 2, 5, 25, 50, 75, 95, 98, 99, 99.9)

_BLOCK = 1 << 16
_SIGN = np.uint32(1 << 31)


class Histogram:
    """How often each value occurs."""

    def __init__(self) -> None:
        # Number of the block -> counts of its values.
        self._blocks: dict[int, np.ndarray] = {}

    def add(self, values: np.ndarray) -> None:
        """Counts values: uint16 or finite float32, any shape."""
        if values.dtype == np.uint16:
            counts = np.bincount(values.ravel(), minlength=_BLOCK)
            self._block(0)[:] += counts
            return
        keys = np.sort(_keys(values.ravel()))
        starts = np.flatnonzero(np.diff(keys, prepend=keys[:1] ^ 1))
        counts = np.diff(starts, append=len(keys))
        keys = keys[starts]
        blocks, firsts = np.unique(keys >> 16, return_index=True)
        for block, first, end in zip(
            blocks.tolist(), firsts, [*firsts[1:], len(keys)], strict=True
        ):
            # Each key occurs once, so that += counts all.
            self._block(block)[keys[first:end] & 0xFFFF] += counts[first:end]

    def describe(
        self, dtype: np.dtype, percentiles: Sequence[float] = PERCENTILES
    ) -> band_statistics.Band:
        """Statistics of all values that were added, at least one.

        Args:
          dtype: That of the values.
          percentiles: Which to take, 0 to 100.
        """
        values, numbers = map(
            np.concatenate, zip(*self._values(dtype), strict=True)
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

    def _values(
        self, dtype: np.dtype
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields values in float64 that rise, and how often each occurs."""
        for number, counts in sorted(self._blocks.items()):
            (within,) = np.nonzero(counts)
            keys = (within + number * _BLOCK).astype(np.uint32)
            values = keys if dtype == np.uint16 else _floats(keys)
            yield values.astype(np.float64), counts[within]


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
    histograms = {
        band: Histogram()
        for grid in bigearthnet.GRIDS.values()
        for band in grid.bands
    }
    num_patches = 0
    for batch in input_pipeline.read_batches(
        builder,
        split,
        desc="statistics",
        grids=tuple(bigearthnet.GRIDS),
    ):
        num_patches += len(batch["labels"])
        for name, raw in batch["inputs"].items():
            values = raw.numpy()
            for index, band in enumerate(bigearthnet.GRIDS[name].bands):
                histograms[band].add(values[..., index])
    return band_statistics.DatasetStatistics(
        dataset=builder.info.full_name,
        split=split,
        part=(builder.info.metadata or {}).get("part", ""),
        synthetic=built_dataset.is_synthetic(builder),
        patches=num_patches,
        bands={
            band: histogram.describe(
                np.dtype(bigearthnet.grid_of_band(band).dtype)
            )
            for band, histogram in histograms.items()
        },
    )
