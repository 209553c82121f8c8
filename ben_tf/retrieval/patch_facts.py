"""What is known of a patch besides its pixels: of hits and of queries."""

import dataclasses
import datetime
import functools
import itertools
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from ben_tf import bigearthnet
from ben_tf.archive import patch_metadata
from ben_tf.data import geography

# Stands where the number of a country, a season or a split does.
UNKNOWN = bigearthnet.UNKNOWN % 256
# Stands where a number of days does.
UNKNOWN_DAY = int(np.iinfo(np.int32).min)
_DAY_LENGTH = len("2017-06-13")
_FIRST_DAY = datetime.date(1970, 1, 1).toordinal()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Patch:
    """One patch. What nobody knows of it is None.

    Attributes:
      name: Of the Sentinel-2 patch, or of the Sentinel-1 patch where that is
        all there is.
      labels: Names of its classes.
      country: One of `bigearthnet.COUNTRIES`.
      season: One of `bigearthnet.SEASONS`.
      date: Day of acquisition (Sentinel-2, UTC).
      split: Split of the dataset.
      epsg: Its UTM zone, an EPSG code.
      upper_left: Easting and northing of its upper left corner, metres.
      longitude: Of its centre, degrees east (WGS 84); None also for a place
        that is nowhere on Earth.
      latitude: Of its centre, degrees north (WGS 84); None likewise.
    """

    name: str
    labels: tuple[str, ...] | None = None
    country: str | None = None
    season: str | None = None
    date: datetime.date | None = None
    split: str | None = None
    epsg: int | None = None
    upper_left: tuple[float, float] | None = None
    longitude: float | None = None
    latitude: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Patches:
    """What is known of N patches, a column each.

    Attributes:
      names: (N,) str, all different.
      labels: (N, classes) uint8, multi-hot.
      epsg: (N,) int32, UTM zone of each patch, an EPSG code.
      upper_left: (N, 2) float64, its upper left corner in that zone, metres.
      countries: (N,) uint8, numbers in `bigearthnet.COUNTRIES`, or `UNKNOWN`.
      seasons: (N,) uint8, numbers in `bigearthnet.SEASONS`, or `UNKNOWN`.
      days: (N,) int32, days of acquisition (Sentinel-2, UTC) as `day_number`
        counts them, or `UNKNOWN_DAY`.
      split_numbers: (N,) uint8, numbers in a list of splits, or `UNKNOWN`.
    """

    names: np.ndarray
    labels: np.ndarray
    epsg: np.ndarray
    upper_left: np.ndarray
    countries: np.ndarray
    seasons: np.ndarray
    days: np.ndarray
    split_numbers: np.ndarray

    @functools.cached_property
    def centres(self) -> np.ndarray:
        """(N, 2) float64 longitude and latitude of all centres, degrees.

        NaN or infinite where one is nowhere on Earth. Of 590,326 patches they
        take a third of a second, once.
        """
        return np.stack(
            geography.patch_centres(self.epsg, self.upper_left), axis=1
        )

    def evenly_spaced(self, most: int) -> np.ndarray:
        """(M,) int64 numbers of rows, all of them if they are not too many."""
        count = min(most, len(self.names))
        return np.linspace(0, len(self.names) - 1, count).astype(np.int64)

    def rows(
        self,
        rows: np.ndarray,
        *,
        class_names: Sequence[str],
        split_names: Sequence[str],
    ) -> list[Patch]:
        """Makes values of some rows.

        Args:
          rows: (M,) int, their numbers.
          class_names: Columns of `labels`.
          split_names: What `split_numbers` are numbers of.
        """
        epsg, upper_left = self.epsg[rows], self.upper_left[rows]
        centres = np.stack(geography.patch_centres(epsg, upper_left), axis=1)
        columns = (
            *(self.names[rows], self.labels[rows], self.countries[rows]),
            *(self.seasons[rows], self.days[rows], self.split_numbers[rows]),
            *(epsg, upper_left, centres, np.isfinite(centres).all(axis=1)),
        )
        return [
            Patch(
                name=name,
                labels=tuple(itertools.compress(class_names, labels)),
                country=_name(bigearthnet.COUNTRIES, country),
                season=_name(bigearthnet.SEASONS, season),
                date=_date(day),
                split=_name(split_names, split),
                epsg=zone,
                upper_left=(corner[0], corner[1]),
                longitude=centre[0] if is_somewhere else None,
                latitude=centre[1] if is_somewhere else None,
            )
            # Lists: a number at a time, arrays that are memory-mapped are slow.
            for (
                name,
                labels,
                country,
                season,
                day,
                split,
                zone,
                corner,
                centre,
                is_somewhere,
            ) in zip(*(column.tolist() for column in columns), strict=True)
        ]


def unknown(num_patches: int) -> Mapping[str, np.ndarray]:
    """The columns of `Patches` of which nobody knows anything."""
    return {
        "countries": np.full(num_patches, UNKNOWN, np.uint8),
        "seasons": np.full(num_patches, UNKNOWN, np.uint8),
        "days": np.full(num_patches, UNKNOWN_DAY, np.int32),
        "split_numbers": np.full(num_patches, UNKNOWN, np.uint8),
    }


def day_number(date: datetime.date) -> int:
    """Days since 1970-01-01."""
    return date.toordinal() - _FIRST_DAY


def days_of_times(times: Sequence[bytes]) -> np.ndarray:
    """(N,) ISO 8601 times, UTF-8, as records hold them -> (N,) int32 days.

    `UNKNOWN_DAY` where there is no time, or what is none.
    """
    days = [_day(time[:_DAY_LENGTH].decode(errors="replace")) for time in times]
    return np.array(days, np.int32)


def days_in_names(names: Sequence[str] | np.ndarray) -> np.ndarray:
    """(N,) names of patches -> (N,) int32 days, unknown where none is in it."""
    return np.array([_day_in(str(name)) for name in names], np.int32)


def are_days(days: np.ndarray) -> bool:
    """Whether (N,) int32 are days of the calendar, or unknown."""
    first, last = map(day_number, (datetime.date.min, datetime.date.max))
    are_known = (first <= days) & (days <= last)
    return bool((are_known | (days == UNKNOWN_DAY)).all())


def _day(text: str) -> int:
    try:
        return day_number(datetime.date.fromisoformat(text))
    except ValueError:
        return UNKNOWN_DAY


def _day_in(name: str) -> int:
    try:
        return day_number(patch_metadata.time_in(name).date())
    except ValueError:
        return UNKNOWN_DAY


def _name(choices: Sequence[str], number: int) -> str | None:
    return None if number == UNKNOWN else choices[number]


def _date(day: int) -> datetime.date | None:
    if day == UNKNOWN_DAY:
        return None
    return datetime.date.fromordinal(day + _FIRST_DAY)
