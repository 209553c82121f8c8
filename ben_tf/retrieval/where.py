"""Which patches of an index may be hits: by label, place, time, split, name."""

import dataclasses
import datetime
import math
from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.retrieval import embedding
from ben_tf.retrieval import patch_facts

# Stands for an open end of an interval, as in STAC.
_OPEN = ".."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Where:
    """Conditions that a patch must meet, all of them; by default there is none.

    What nobody knows of a patch meets no condition.

    Attributes:
      labels_all: Names of classes; a patch has all of them.
      labels_any: A patch has at least one of them.
      labels_none: A patch has none of them.
      countries: Of `bigearthnet.COUNTRIES`; a patch lies in one of them.
      seasons: Of `bigearthnet.SEASONS`.
      dates: First and last day of acquisition (Sentinel-2, UTC), both included;
        None for an open end.
      bbox: West, south, east and north in degrees (WGS 84); holds the centre of
        a patch. West of more than east crosses the 180th meridian.
      splits: Splits of the index, such as "test", or parts such as
        "test[:100]", as it was built of.
      names: Names of patches; None for all.
    """

    labels_all: Sequence[str] = ()
    labels_any: Sequence[str] = ()
    labels_none: Sequence[str] = ()
    countries: Sequence[str] = ()
    seasons: Sequence[str] = ()
    dates: tuple[datetime.date | None, datetime.date | None] = (None, None)
    bbox: tuple[float, float, float, float] | None = None
    splits: Sequence[str] = ()
    names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Refuses what no patch can meet."""
        _check("countries", self.countries, bigearthnet.COUNTRIES)
        _check("seasons", self.seasons, bigearthnet.SEASONS)
        first, last = self.dates
        if first and last and first > last:
            raise errors.UserError(
                "Expected `dates` whose first day is not after the last. "
                f"Received: {first} and {last}."
            )
        if self.bbox is not None:
            west, south, east, north = self.bbox
            if not (
                all(map(math.isfinite, self.bbox))
                and -180 <= west <= 180
                and -180 <= east <= 180
                and -90 <= south <= north <= 90
            ):
                raise errors.UserError(
                    "Expected `bbox` as west,south,east,north in degrees, from "
                    "-180 to 180 and from -90 to 90, south not above north. "
                    f"Received: {self.bbox}."
                )

    def rows(self, patches: embedding.Embedded) -> np.ndarray | None:
        """The patches that meet all conditions.

        Args:
          patches: Such as an index.

        Returns:
          (M,) int64 rows, ascending; None: all of them do, which a search
          need not copy.

        Raises:
          UserError: A label, split or name that `patches` does not have.
        """
        if self == EVERYWHERE:
            return None
        meets = np.ones(len(patches.names), bool)
        for condition in (
            self._has_labels,
            self._lies_there,
            self._was_taken_then,
            self._is_named,
        ):
            meets &= condition(patches)
        return None if meets.all() else np.flatnonzero(meets)

    def _has_labels(self, patches: embedding.Embedded) -> np.ndarray | bool:
        meets: np.ndarray | bool = True
        class_names = patches.provenance.class_names
        for name, combine in (
            ("labels_all", lambda x: x.all(axis=1)),
            ("labels_any", lambda x: x.any(axis=1)),
            ("labels_none", lambda x: ~x.any(axis=1)),
        ):
            wanted = getattr(self, name)
            _check(name, wanted, class_names)
            if wanted:
                columns = [class_names.index(label) for label in wanted]
                meets &= combine(patches.labels[:, columns] != 0)
        return meets

    def _lies_there(self, patches: embedding.Embedded) -> np.ndarray | bool:
        meets: np.ndarray | bool = True
        if self.countries:
            _check_known("countries", patches.countries, patch_facts.UNKNOWN)
            meets &= _is_one_of(
                patches.countries, self.countries, bigearthnet.COUNTRIES
            )
        if self.bbox is not None:
            west, south, east, north = self.bbox
            longitudes, latitudes = patches.centres.T
            inside = (west <= longitudes, longitudes <= east)
            meets &= (
                inside[0] & inside[1]
                if west <= east
                else (inside[0] | inside[1])
            )
            meets &= (south <= latitudes) & (latitudes <= north)
        return meets

    def _was_taken_then(self, patches: embedding.Embedded) -> np.ndarray | bool:
        meets: np.ndarray | bool = True
        if self.seasons:
            _check_known("seasons", patches.seasons, patch_facts.UNKNOWN)
            meets &= _is_one_of(
                patches.seasons, self.seasons, bigearthnet.SEASONS
            )
        first, last = self.dates
        if first or last:
            _check_known("dates", patches.days, patch_facts.UNKNOWN_DAY)
            meets &= patches.days != patch_facts.UNKNOWN_DAY
        if first:
            meets &= patches.days >= patch_facts.day_number(first)
        if last:
            meets &= patches.days <= patch_facts.day_number(last)
        return meets

    def _is_named(self, patches: embedding.Embedded) -> np.ndarray | bool:
        meets: np.ndarray | bool = True
        if self.splits:
            splits = patches.provenance.splits
            _check_known("splits", patches.split_numbers, patch_facts.UNKNOWN)
            whole = [split.partition("[")[0] for split in splits]
            _check("splits", self.splits, [*splits, *whole])
            numbers = [
                number
                for number, names in enumerate(zip(splits, whole, strict=True))
                if not set(names).isdisjoint(self.splits)
            ]
            meets &= np.isin(patches.split_numbers, numbers)
        if self.names is not None:
            found = np.isin(np.asarray(self.names, str), patches.names)
            if not found.all():
                missing = self.names[int(np.argmin(found))]
                raise errors.UserError(
                    f"Patch {missing!r} is not in the index. Expected `names` "
                    "of its patches."
                )
            meets &= np.isin(patches.names, self.names)
        return meets


def parse_dates(
    text: str,
) -> tuple[datetime.date | None, datetime.date | None]:
    """Reads "2017-06-01/2017-08-31", "2017-06-01/..", or one day.

    Raises:
      ValueError: It is none of these.
    """
    ends = text.split("/")
    if len(ends) > 2 or ends == [_OPEN]:
        raise ValueError(f"expected first/last, received {text!r}")
    first, last = (
        None if end == _OPEN else datetime.date.fromisoformat(end)
        for end in (ends[0], ends[-1])
    )
    return first, last


def parse_bbox(text: str) -> tuple[float, float, float, float]:
    """Reads "west,south,east,north", degrees.

    Raises:
      ValueError: It is something else.
    """
    west, south, east, north = map(float, text.split(","))
    return west, south, east, north


def _is_one_of(
    numbers: np.ndarray, wanted: Sequence[str], choices: Sequence[str]
) -> np.ndarray:
    """(N,) numbers of choices -> (N,) whether they are wanted."""
    return np.isin(numbers, [choices.index(name) for name in wanted])


def _check_known(name: str, numbers: np.ndarray, unknown: int) -> None:
    """Refuses a condition on what an index of before does not hold.

    Raises:
      UserError: Nobody knows it of any patch.
    """
    if (numbers == unknown).all():
        raise errors.UserError(
            f"The index does not know the {name} of its patches. Build it "
            "again with python -m ben_tf.retrieval build to search by them."
        )


def _check(name: str, values: Sequence[str], choices: Iterable[str]) -> None:
    """Raises UserError for a value that is not among the choices."""
    choices = list(dict.fromkeys(choices))
    for value in values:
        if value not in choices:
            raise errors.UserError(
                f"Unknown value in `{name}`. Expected any of "
                f"{', '.join(map(repr, choices))}. Received: {value!r}."
            )


EVERYWHERE = Where()
