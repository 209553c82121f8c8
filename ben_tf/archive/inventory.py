"""Which pairs an archive holds, compared with the official list."""

from collections.abc import Mapping
from typing import NamedTuple

from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import patch_sources


class Fault(NamedTuple):
    """One thing that is wrong with an archive.

    Attributes:
      kind: "missing", "surplus" or "broken".
      place: The patch or file at fault.
      reason: A sentence without its subject: "is missing.".
    """

    kind: str
    place: str
    reason: str


class Inventory(NamedTuple):
    """The whole pairs of an archive, and what is wrong with the rest.

    Attributes:
      pairs: Pairs with both patches present, by S2 name.
      faults: A "missing" one for each pair of which one patch is there, a
        "surplus" one for each entry that is not a patch of BigEarthNet.
    """

    pairs: list[official_lists.OfficialPatch]
    faults: list[Fault]


def take(
    archive: patch_sources.Archive,
    official: Mapping[str, official_lists.OfficialPatch],
) -> Inventory:
    """Compares the names that are there with the official ones."""
    title = layout.LAYOUTS[archive.version].title
    s1_left = set(archive["S1"].patch_names())
    pairs, faults = [], []
    for name in sorted(archive["S2"].patch_names()):
        pair = official.get(name)
        if pair is None:
            faults.append(_unknown(name, title))
        elif pair.s1_name in s1_left:
            pairs.append(pair)
            s1_left.remove(pair.s1_name)
        else:
            faults.append(_half(name, "S1", pair.s1_name))
    s2_of_s1 = {
        pair.s1_name: pair.s2_name
        for pair in official.values()
        if pair.s1_name in s1_left
    }
    for name in sorted(s1_left):
        if name in s2_of_s1:
            faults.append(_half(name, "S2", s2_of_s1[name]))
        else:
            faults.append(_unknown(name, title))
    return Inventory(pairs, faults)


def _half(name: str, sensor: str, partner: str) -> Fault:
    return Fault(
        "missing",
        name,
        f"has no {sensor} patch. Expected {partner} among those of {sensor}; "
        "extract it from the tarball.",
    )


def _unknown(name: str, title: str) -> Fault:
    return Fault(
        "surplus",
        name,
        f"is not a patch of {title}. Expected only names on the official "
        "list; keep it in another folder. Patches of your own are built of a "
        "table: python -m tfrecords_builder.build --table=...",
    )
