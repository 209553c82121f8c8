"""Patches as pictures: raw bands in, 8-bit RGB or grey out, PNG bytes.

Each picture is stretched between percentiles of its own pixels, so that it is
neither black nor burnt. Brightness is thus not comparable between patches.
"""

import io
import types
from collections.abc import Mapping

import numpy as np
from PIL import Image

from ben_tf import bigearthnet
from ben_tf.plots import style

_PERCENTILES = (2, 98)
# A calm sea is not stretched into noise: the range of a picture is at least
# 0.03 of reflectance or 4 dB.
_MIN_RANGE = types.MappingProxyType({"S1": 4.0, "S2": 300.0})

# Picture -> bands for red, green, blue; one band: grey.
PICTURES = types.MappingProxyType(
    {
        "True colour": ("B04", "B03", "B02"),
        "False colour: B08, B04, B03": ("B08", "B04", "B03"),
        "Radar: VV, VH, VV - VH": ("VV", "VH", "VV - VH"),
        "VV": ("VV",),
        "VH": ("VH",),
    }
)

# One of each sensor.
BOTH_SENSORS = ("True colour", "Radar: VV, VH, VV - VH")


def sensor_of(picture: str) -> str:
    """The sensor whose bands one of `PICTURES` shows."""
    return bigearthnet.grid_of_band(PICTURES[picture][0]).sensor


def grids_of(picture: str) -> list[str]:
    """The grids that one of `PICTURES` takes, keys of `bigearthnet.GRIDS`."""
    bands = {band for x in PICTURES[picture] for band in x.split(" - ")}
    return [
        name
        for name, grid in bigearthnet.GRIDS.items()
        if not bands.isdisjoint(grid.bands)
    ]


def render(grids: dict[str, np.ndarray], picture: str) -> np.ndarray:
    """Draws one of `PICTURES`, stretched to 8 bits.

    Args:
      grids: Raw native grids of one patch, keys of `bigearthnet.GRIDS`, each
        (size, size, bands).
      picture: A key of `PICTURES`.

    Returns:
      (120, 120, 3) uint8, or (120, 120) uint8 for a single band.
    """
    channels = PICTURES[picture]
    bands = bands_of(grids)
    pixels = np.stack([_channel(bands, name) for name in channels], axis=-1)
    sensor = sensor_of(picture)
    # One range for all channels of S2 keeps colours as they are; the lower end
    # of each channel takes the haze away.
    stretched = _stretch(
        pixels, _MIN_RANGE[sensor], common_range=sensor == "S2"
    )
    return stretched[..., 0] if len(channels) == 1 else stretched


def to_png(pixels: np.ndarray) -> style.Picture:
    """(height, width, 3) or (height, width) uint8 -> PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", optimize=True)
    return style.Picture(buffer.getvalue())


def bands_of(grids: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Band -> (size, size), of native grids, keys of `bigearthnet.GRIDS`."""
    return {
        band: grids[name][..., place]
        for name in grids
        for place, band in enumerate(bigearthnet.GRIDS[name].bands)
    }


def _channel(bands: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """A band, or the difference of two: "VV - VH"."""
    first, *others = (
        bands[band].astype(np.float32) for band in name.split(" - ")
    )
    return first - sum(others)


def _stretch(
    pixels: np.ndarray, min_range: float, *, common_range: bool
) -> np.ndarray:
    # Damaged pixels (NaN, infinite dB) become black and do not take part.
    finite = np.where(np.isfinite(pixels), pixels, np.nan)
    if np.isnan(finite).all():
        return np.zeros(pixels.shape, np.uint8)
    low, high = np.nanpercentile(finite, _PERCENTILES, axis=(0, 1))
    spread = np.maximum(high - low, min_range)
    if common_range:
        spread = spread.max()
    middle = (low + high) / 2
    scaled = (finite - middle) / spread + 0.5
    return (255 * np.clip(np.nan_to_num(scaled), 0, 1)).round().astype(np.uint8)
