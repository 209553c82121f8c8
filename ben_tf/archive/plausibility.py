"""Refuses pixels that no sensor has measured, or in other units.

A model answers any numbers, and ReLU turns NaN into 0. These checks catch what
is not finite, filled or scaled: no data in place of pixels, linear backscatter
instead of dB, reflectance from 0 to 1 instead of x 10,000. `check_band` and
`check_grid` are for patches and cost some microseconds, since an ordinary band
is known by its extremes or its first pixel; `check_units` is for scenes.
"""

from collections.abc import Sequence

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors

# BigEarthNet's own lie between -75.1 and 34.6 dB.
DECIBELS = (-100.0, 100.0)
# Speckle alone spreads a dB image over some 20 dB; linear backscatter ends
# at 0, or a little below where noise was subtracted.
_DARKEST_PIXEL_BELOW_DB = -1.0
# 1 times 10,000 is a white surface; clouds and glints exceed it a little.
_BRIGHTEST_MEDIAN = 30_000
_BRIGHTEST_IF_FROM_0_TO_1 = 2


def check_band(pixels: np.ndarray, sensor: str, place: str) -> None:
    """Refuses a band of a patch that holds something else than its unit.

    Args:
      pixels: (height, width); S1 float32 in dB, S2 uint16.
      sensor: "S1" or "S2".
      place: The file, for the message.

    Raises:
      errors.ArchiveError: S1 is NaN or infinite anywhere, beyond 100 dB
        anywhere, or nowhere below -1 dB; S2 is 0 or saturated everywhere, or
        its median is above 30,000.
    """
    if sensor == "S1":
        _check_decibels(pixels, place)
        return
    # Hardly any pixel is so dark or so bright, so that one tells.
    first = pixels.item(0)
    if first == 0 and not pixels.any():
        raise errors.ArchiveError(
            place,
            "holds nothing but 0, which is no data. Expected reflectance x "
            "10,000.",
        )
    if first > _BRIGHTEST_MEDIAN:
        middle = float(np.median(pixels))
        if middle > _BRIGHTEST_MEDIAN:
            what = "nothing but" if (pixels == middle).all() else "a median of"
            raise errors.ArchiveError(
                place,
                f"holds {what} {middle:g}. Expected reflectance x 10,000, "
                "about 0 to 10,000.",
            )


def _check_decibels(pixels: np.ndarray, place: str) -> None:
    # Both are NaN if one pixel is; and argmin is twice as fast as min.
    low = pixels.item(pixels.argmin())
    high = pixels.item(pixels.argmax())
    if DECIBELS[0] <= low < _DARKEST_PIXEL_BELOW_DB and high <= DECIBELS[1]:
        return
    not_finite = pixels.size - int(np.isfinite(pixels).sum())
    if not_finite:
        found = (
            f"NaN or infinite dB in {not_finite:,} of {pixels.size:,} pixels"
        )
    elif low == high == 0:
        found = "nothing but 0"
    elif low >= _DARKEST_PIXEL_BELOW_DB:
        found = (
            f"no dB but values from {low:g} to {high:g}, as of linear "
            "backscatter"
        )
    else:
        found = f"values from {low:g} to {high:g}"
    raise errors.ArchiveError(
        place,
        f"holds {found}. Expected backscatter in dB, about -40 to 10 and "
        "within -100 to 100.",
    )


def check_grid(
    bands: Sequence[np.ndarray], sensor: str, patch_name: str
) -> None:
    """Refuses the bands of a patch if they are scaled from 0 to 1.

    One band alone may be as dark as that, over deep water; all bands of a grid
    are not.

    Args:
      bands: The bands of one of `bigearthnet.GRIDS`, each (height, width).
      sensor: "S1" or "S2".
      patch_name: Name of the patch, for the message.

    Raises:
      errors.ArchiveError: No S2 pixel is above 2.
    """
    if sensor == "S1" or any(
        band.item(0) > _BRIGHTEST_IF_FROM_0_TO_1 for band in bands
    ):
        return
    brightest = max(int(band.max()) for band in bands)
    if brightest <= _BRIGHTEST_IF_FROM_0_TO_1:
        raise errors.ArchiveError(
            patch_name,
            f"has {bands[0].shape[0]} x {bands[0].shape[1]} bands without a "
            f"value above {brightest}. Expected reflectance x 10,000, about 0 "
            "to 10,000, not from 0 to 1.",
        )


def check_map(codes: np.ndarray, place: str) -> None:
    """Refuses a reference map that holds what is no class.

    Args:
      codes: Any shape, uint16.
      place: The file, for the message.

    Raises:
      errors.ArchiveError: A pixel holds no code of CORINE Land Cover.
    """
    found = np.unique(codes).tolist()
    if unknown := set(found) - bigearthnet.CLC_CODES:
        raise errors.ArchiveError(
            place,
            f"holds {min(unknown)}, which is no code of CORINE Land Cover. "
            "Expected codes of level 3, 111 to 523, or 999.",
        )


def check_units(pixels: np.ndarray, sensor: str, place: str) -> None:
    """Refuses values that cannot be dB (S1) or reflectance x 10,000 (S2).

    Args:
      pixels: Any shape; NaN stands for no data.
      sensor: "S1" or "S2".
      place: Where they come from, for the message.

    Raises:
      UserError: The values are implausible.
    """
    values = pixels[np.isfinite(pixels)]
    if not values.size:
        return
    middle = float(np.median(values))
    if sensor == "S1":
        # Calm water lies near -30 dB, bright towns near 10 dB. Of linear values
        # a few are below 0 where noise was subtracted.
        dark = float(np.percentile(values, 10))
        if not (dark < _DARKEST_PIXEL_BELOW_DB and -60 < middle < 20):
            raise errors.UserError(
                f"The Sentinel-1 values of {place} are not dB: their median is "
                f"{middle:.3g}. Expected backscatter in dB, about -40 to 10. "
                "Convert linear values with 10 * log10(value)."
            )
        return
    high = float(np.percentile(values, 99))
    if (
        high <= _BRIGHTEST_IF_FROM_0_TO_1
        or values.min() < -1000
        or middle > _BRIGHTEST_MEDIAN
    ):
        raise errors.UserError(
            f"The Sentinel-2 values of {place} are not surface reflectance "
            f"x 10,000: their median is {middle:.3g}. Expected about 0 to "
            "10,000. For reflectance from 0 to 1 set `reflectance_scale=1`."
        )
