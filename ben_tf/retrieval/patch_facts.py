"""What is known of a patch besides its pixels: of hits and of queries."""

import dataclasses
import datetime
import itertools
from collections.abc import Sequence

import numpy as np

from ben_tf import bigearthnet
from ben_tf.archive import patch_metadata
from ben_tf.data import geography

# Stands where the number of a country does, as uint8.
UNKNOWN_COUNTRY = bigearthnet.UNKNOWN % 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class Patch:
    """One patch.

    Attributes:
      name: Of the Sentinel-2 patch, or of the Sentinel-1 patch where that is
        all there is.
      labels: Names of its classes; None if nobody knows them.
      country: One of `bigearthnet.COUNTRIES`; None if nobody knows.
      epsg: Its UTM zone, an EPSG code.
      upper_left: Easting and northing of its upper left corner, metres.
      longitude: Of its centre, degrees east (WGS 84); None for a place that is
        nowhere on Earth.
      latitude: Of its centre, degrees north (WGS 84); None likewise.
    """

    name: str
    labels: tuple[str, ...] | None
    country: str | None
    epsg: int
    upper_left: tuple[float, float]
    longitude: float | None
    latitude: float | None

    @property
    def date(self) -> datetime.date | None:
        """Day of acquisition (UTC); None if the name does not hold it."""
        try:
            return patch_metadata.time_in(self.name).date()
        except ValueError:
            return None


def describe(
    *,
    names: Sequence[str] | np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    countries: np.ndarray,
    epsg: np.ndarray,
    upper_left: np.ndarray,
) -> list[Patch]:
    """Makes values of rows of arrays.

    Args:
      names: (N,) names.
      labels: (N, classes), multi-hot.
      class_names: Columns of `labels`.
      countries: (N,) uint8, numbers in `bigearthnet.COUNTRIES`, or
        `UNKNOWN_COUNTRY`.
      epsg: (N,) int, UTM zones.
      upper_left: (N, 2) float64, metres.
    """
    centres = np.stack(geography.patch_centres(epsg, upper_left), axis=1)
    return [
        Patch(
            name=str(name),
            labels=tuple(itertools.compress(class_names, present)),
            country=None
            if country == UNKNOWN_COUNTRY
            else bigearthnet.COUNTRIES[country],
            epsg=int(zone),
            upper_left=(float(corner[0]), float(corner[1])),
            longitude=float(centre[0]) if is_somewhere else None,
            latitude=float(centre[1]) if is_somewhere else None,
        )
        for name, present, country, zone, corner, centre, is_somewhere in zip(
            names,
            labels,
            countries,
            epsg,
            upper_left,
            centres,
            np.isfinite(centres).all(axis=1),
            strict=True,
        )
    ]
