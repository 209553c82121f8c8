"""Shapes as GeoJSON has them (RFC 7946): degrees of WGS 84, longitude first."""

from typing import Any

import numpy as np

_DIGITS = 7  # A centimetre.


def polygon(corners: np.ndarray) -> dict[str, Any] | None:
    """A geometry; None for one that lies nowhere, as JSON has no NaN.

    Args:
      corners: (N, 2) float64, longitude and latitude in degrees,
        counterclockwise.
    """
    if not np.isfinite(corners).all():
        return None
    closed = np.append(corners, corners[:1], axis=0)
    return {
        "type": "Polygon",
        "coordinates": [np.round(closed, _DIGITS).tolist()],
    }
