"""A part of the archive: some countries, seasons, labels, splits or patches."""

import dataclasses
import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf.archive import known_pairs
from ben_tf.archive import official_lists

# Names of all pairs of v1.0 in both sensors have 60 MB.
_MOST_BYTES = 200_000_000


@dataclasses.dataclass(frozen=True)
class Part:
    """Which pairs to take; nothing given: all of them.

    Attributes:
      countries: Of `bigearthnet.COUNTRIES`; empty: all.
      seasons: Of `bigearthnet.SEASONS`; empty: all.
      splits: Of `bigearthnet.SPLIT_SIZES`; empty: all.
      labels: Names of either nomenclature, of which a pair has one at least;
        empty: any.
      patches: S2 names; None: all.
      max_pairs: At most so many, each split with its share; None: all.
    """

    countries: Sequence[str] = ()
    seasons: Sequence[str] = ()
    splits: Sequence[str] = ()
    labels: Sequence[str] = ()
    patches: frozenset[str] | None = None
    max_pairs: int | None = None

    def __post_init__(self) -> None:
        """Refuses names that do not exist."""
        labels = (*bigearthnet.CLASSES_19, *bigearthnet.CLASSES_43)
        for name, choices in (
            ("countries", bigearthnet.COUNTRIES),
            ("seasons", bigearthnet.SEASONS),
            ("splits", bigearthnet.SPLIT_SIZES),
            ("labels", dict.fromkeys(labels)),
        ):
            for value in getattr(self, name):
                if value not in choices:
                    raise errors.UserError(
                        f"Unknown `{name}`. Expected any of "
                        f"{', '.join(map(repr, choices))}. Received: {value!r}"
                    )
        if self.max_pairs is not None and self.max_pairs < 1:
            raise errors.UserError(
                f"Expected `max_pairs` of 1 or more. Received: {self.max_pairs}"
            )

    @property
    def description(self) -> str:
        """What it is, in one line; "" for the whole archive."""
        words = [
            f"{name} {', '.join(getattr(self, name))}"
            for name in ("countries", "seasons", "splits", "labels")
            if getattr(self, name)
        ]
        if self.patches is not None:
            words.append(f"patches by name, {len(self.patches):,}")
        if self.max_pairs is not None:
            words.append(f"at most {self.max_pairs:,} pairs")
        return "; ".join(words)

    def keeps(self, pair: official_lists.OfficialPatch) -> bool:
        """Whether a pair may belong to it, by what the list says of it.

        Labels count where the list has them, `max_pairs` does not.
        """
        return (
            (not self.countries or pair.country in self.countries)
            and (not self.seasons or pair.season in self.seasons)
            and (not self.splits or pair.split in self.splits)
            and (self.patches is None or pair.s2_name in self.patches)
            and (
                not (self.labels and pair.labels_19)
                or any(
                    label in self.labels
                    for label in (*pair.labels_19, *pair.labels_43)
                )
            )
        )

    def select(
        self,
        pairs_of_split: Mapping[str, Sequence[official_lists.OfficialPatch]],
        labels_of: Callable[[official_lists.OfficialPatch], Iterable[str]],
    ) -> dict[str, list[official_lists.OfficialPatch]]:
        """Takes the pairs that belong to it, in the same order.

        Args:
          pairs_of_split: Split -> its pairs in the order of their records.
          labels_of: Names of both nomenclatures of a pair, for `labels`.

        Returns:
          The splits that have any.
        """
        wanted = set(self.labels)
        kept = {
            split: [
                pair
                for pair in pairs
                if self.keeps(pair)
                and (not wanted or not wanted.isdisjoint(labels_of(pair)))
            ]
            for split, pairs in pairs_of_split.items()
        }
        shares = _shares(
            {split: len(pairs) for split, pairs in kept.items()}, self.max_pairs
        )
        return {
            split: pairs[: shares[split]]
            for split, pairs in kept.items()
            if shares[split]
        }


def read_names(
    path: str | os.PathLike[str], official: known_pairs.Pairs
) -> frozenset[str]:
    """Reads which patches to take from a text file.

    Args:
      path: A line a patch: its S2 name, also that of v1.0 for a patch of v2.0,
        or its S1 name. Of a line with commas the first part counts, as in the
        official lists of splits; empty lines do not count, nor what follows #.
      official: The pairs of the version.

    Returns:
      S2 names.

    Raises:
      errors.UserError: The file is missing, no text, empty, too large, or names
        no patch of the version.
    """
    path = pathlib.Path(path)
    try:
        with open(path, "rb", opener=files.regular) as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ValueError(f"it is larger than {_MOST_BYTES:,} bytes")
        lines = data.decode().splitlines()
    except (FileNotFoundError, ValueError) as error:
        raise errors.UserError(
            f"{path} cannot be read: {errors.first_line(error)}. Expected a "
            "text file with the name of a patch in each line. Check `patches`."
        ) from error
    named = [
        (number, word)
        for number, line in enumerate(lines, 1)
        if (word := line.partition("#")[0].partition(",")[0].strip())
    ]
    s2_name_of = {
        other: pair.s2_name
        for pair in official.values()
        for other in (pair.s1_name, pair.v1_name)
        if other
    }
    names = set()
    for number, word in named:
        name = word if word in official else s2_name_of.get(word)
        if name is None:
            raise errors.UserError(
                f"Line {number} of {path} names no patch of this version of "
                f"BigEarthNet. Received: {word[:100]!r}"
            )
        names.add(name)
    if not names:
        raise errors.UserError(f"{path} names no patch. Expected one a line.")
    return frozenset(names)


def _shares(sizes: Mapping[str, int], most: int | None) -> dict[str, int]:
    """How many of each split, in proportion, at most so many together."""
    total = sum(sizes.values())
    if most is None or total <= most:
        return dict(sizes)
    exact = {split: most * size / total for split, size in sizes.items()}
    shares = {split: int(share) for split, share in exact.items()}
    # The largest remainders get what rounding has left.
    for split in sorted(exact, key=lambda x: shares[x] - exact[x]):
        if sum(shares.values()) < most:
            shares[split] += 1
    return shares
