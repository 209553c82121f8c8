"""Where patches lie: from UTM metres to degrees (WGS84).

Uses rasterio; training and evaluation do not import this module.
"""

import numpy as np
import rasterio
from rasterio import warp

from ben_tf import bigearthnet

_DEGREES = "EPSG:4326"


def patch_centres(
    epsg: np.ndarray, upper_left: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of the centres of patches.

    Args:
      epsg: (N,) int, coordinate system of each patch.
      upper_left: (N, 2) float64, easting and northing in metres.

    Returns:
      Two (N,) float64 arrays, degrees east and north.
    """
    half = bigearthnet.PATCH_SIZE_M / 2
    return to_degrees(epsg, upper_left[:, 0] + half, upper_left[:, 1] - half)


def patch_corners(epsg: np.ndarray, upper_left: np.ndarray) -> np.ndarray:
    """Corners of patches, counterclockwise from the lower left one.

    Args:
      epsg: (N,) int, coordinate system of each patch.
      upper_left: (N, 2) float64, easting and northing in metres.

    Returns:
      (N, 4, 2) float64, longitude and latitude in degrees.
    """
    epsg = np.asarray(epsg)
    corners = np.empty((len(epsg), 4, 2))
    for code in np.unique(epsg):
        members = epsg == code
        corners[members] = square_corners(
            f"EPSG:{code}", upper_left[members], bigearthnet.PATCH_SIZE_M
        )
    return corners


def square_corners(
    crs: str | rasterio.crs.CRS, upper_left: np.ndarray, size_m: float
) -> np.ndarray:
    """Corners of squares, counterclockwise from the lower left one.

    Args:
      crs: Their coordinate system, in metres.
      upper_left: (N, 2) float64, easting and northing.
      size_m: Length of their sides.

    Returns:
      (N, 4, 2) float64, longitude and latitude in degrees; NaN or infinite
      for a point that is nowhere on Earth.
    """
    steps = np.array([(0, -1), (1, -1), (1, 0), (0, 0)]) * size_m
    corners = (upper_left[:, None] + steps).reshape(-1, 2)
    degrees = _transform(crs, corners[:, 0], corners[:, 1])
    return np.stack(degrees, axis=1).reshape(-1, 4, 2)


def to_degrees(
    epsg: np.ndarray, easting: np.ndarray, northing: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) coordinates, each in its own system -> longitude and latitude.

    NaN or infinite for a point that is nowhere on Earth.
    """
    epsg = np.asarray(epsg)
    longitudes = np.empty(len(epsg))
    latitudes = np.empty(len(epsg))
    for code in np.unique(epsg):
        members = epsg == code
        longitudes[members], latitudes[members] = _transform(
            f"EPSG:{code}", easting[members], northing[members]
        )
    return longitudes, latitudes


def _transform(
    system: str | rasterio.crs.CRS, easting: np.ndarray, northing: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) coordinates of one system -> longitude and latitude."""
    try:
        found = warp.transform(system, _DEGREES, easting, northing)
        return np.array(found[0]), np.array(found[1])
    except Exception:
        # A point outside of the projection fails all others, with an error
        # whose type is private to rasterio.
        if len(easting) == 1:
            return np.array([np.nan]), np.array([np.nan])
    points = [
        _transform(system, easting[[i]], northing[[i]])
        for i in range(len(easting))
    ]
    return (
        np.concatenate([longitude for longitude, _ in points]),
        np.concatenate([latitude for _, latitude in points]),
    )
