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
    """Compares what is there with the official pairs; opens no file."""
    s2_names = set(archive["S2"].patch_names())
    s1_names = set(archive["S1"].patch_names())
    pairs = []
    halves = []
    unknown = []
    for s2_name in sorted(s2_names):
        patch = official.get(s2_name)
        if patch is None:
            unknown.append(_unknown_patch(s2_name))
        elif patch.s1_name in s1_names:
            pairs.append(patch)
            s1_names.remove(patch.s1_name)
        else:
            halves.append(
                errors.ArchiveError(
                    s2_name,
                    f"has no S1 patch. Expected {patch.s1_name} next to it; "
                    "extract the S1 archive again.",
                )
            )
    if s1_names:
        s2_of_s1 = {
            patch.s1_name: patch.s2_name
            for patch in official.values()
            if patch.s1_name in s1_names
        }
        for s1_name in sorted(s1_names):
            if s1_name not in s2_of_s1:
                unknown.append(_unknown_patch(s1_name))
                continue
            halves.append(
                errors.ArchiveError(
                    s1_name,
                    f"has no S2 patch. Expected {s2_of_s1[s1_name]} next to "
                    "it; extract the S2 archive again.",
                )
            )
    return Inventory(pairs, halves, unknown)


def _unknown_patch(name: str) -> errors.ArchiveError:
    return errors.ArchiveError(
        name,
        "is not a patch of BigEarthNet v1.0. Expected only names on the "
        "official list; remove it.",
    )
