"""Which pairs an archive holds, compared with the official list."""

from collections.abc import Mapping
from typing import NamedTuple

from ben_tf import errors
from ben_tf.archive import official_lists
from ben_tf.archive import patch_sources


class Inventory(NamedTuple):
    """The whole pairs of an archive, and what is wrong with the rest.

    Attributes:
      pairs: Pairs with both patches present, by S2 name.
      halves: One error for each pair of which one patch is missing.
      unknown: One error for each entry that is not a patch of BigEarthNet.
    """

    pairs: list[official_lists.OfficialPatch]
    halves: list[errors.ArchiveError]
    unknown: list[errors.ArchiveError]

    @property
    def problems(self) -> list[errors.ArchiveError]:
        """All errors."""
        return self.halves + self.unknown


def take(
    archive: patch_sources.Archive,
    official: Mapping[str, official_lists.OfficialPatch],
) -> Inventory:
    """Compares the names that are there with the official ones."""
    s1_left = set(archive["S1"].patch_names())
    pairs, halves, unknown = [], [], []
    for name in sorted(archive["S2"].patch_names()):
        pair = official.get(name)
        if pair is None:
            unknown.append(_unknown(name))
        elif pair.s1_name in s1_left:
            pairs.append(pair)
            s1_left.remove(pair.s1_name)
        else:
            halves.append(_half(name, "S1", pair.s1_name))
    s2_of_s1 = {
        pair.s1_name: pair.s2_name
        for pair in official.values()
        if pair.s1_name in s1_left
    }
    for name in sorted(s1_left):
        if name in s2_of_s1:
            halves.append(_half(name, "S2", s2_of_s1[name]))
        else:
            unknown.append(_unknown(name))
    return Inventory(pairs, halves, unknown)


def _half(name: str, sensor: str, partner: str) -> errors.ArchiveError:
    return errors.ArchiveError(
        name,
        f"has no {sensor} patch. Expected {partner} next to it; extract the "
        f"{sensor} archive again.",
    )


def _unknown(name: str) -> errors.ArchiveError:
    return errors.ArchiveError(
        name,
        "is not a patch of BigEarthNet v1.0. Expected only names on the "
        "official list; remove it.",
    )
