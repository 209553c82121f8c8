"""Refuses pixels in other units than a model was trained on.

A model answers any numbers. These checks catch the usual mistakes:
linear backscatter instead of dB, reflectance from 0 to 1 instead of x 10,000.
"""

import numpy as np

from ben_tf import errors


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
        # Calm water lies near -30 dB, bright towns near 10 dB; what is linear
        # is never negative.
        if not (values.min() < 0 and -60 < middle < 20):
            raise errors.UserError(
                f"The Sentinel-1 values of {place} are not dB: their median is "
                f"{middle:.3g}. Expected backscatter in dB, about -40 to 10. "
                "Convert linear values with 10 * log10(value)."
            )
        return
    high = float(np.percentile(values, 99))
    if high <= 2 or values.min() < -1000 or middle > 30_000:
        raise errors.UserError(
            f"The Sentinel-2 values of {place} are not surface reflectance "
            f"x 10,000: their median is {middle:.3g}. Expected about 0 to "
            "10,000. Multiply reflectance from 0 to 1 by 10,000."
        )
