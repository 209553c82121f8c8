"""Collects what `verify` finds: counts, the first faults, and a file of all."""

import collections
import contextlib
import csv
import os
import pathlib
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from ben_tf import files
from ben_tf.archive import inventory
from ben_tf.archive import official_lists

# Enough to see what is wrong.
_NUM_SHOWN = 10


class FaultList:
    """Faults, counted by kind.

    Attributes:
      counts: Faults by kind: "missing", "surplus", "broken".
      first: The first faults.
    """

    def __init__(self, writer: Any | None):
        """Takes a `csv.writer` for all of them, if they are to be kept."""
        self.counts: collections.Counter[str] = collections.Counter(
            missing=0, surplus=0, broken=0
        )
        self.first: list[inventory.Fault] = []
        self._writer = writer

    def note(self, fault: inventory.Fault, number: int = 1) -> None:
        """Adds a fault, which may stand for several pairs."""
        self.counts[fault.kind] += number
        if len(self.first) < _NUM_SHOWN:
            self.first.append(fault)
        if self._writer:
            self._writer.writerow(map(files.csv_cell, fault))

    def note_missing(
        self,
        names: Iterable[str],
        official: Mapping[str, official_lists.OfficialPatch],
        reason: str,
    ) -> None:
        """Adds a fault for each pair, or of a mere part one for each split.

        Args:
          names: S2 names of the pairs.
          official: The official list.
          reason: Of a pair, a sentence without its subject.
        """
        names = sorted(names)
        if not is_part(len(names), len(official)):
            for name in names:
                self.note(inventory.Fault("missing", name, reason))
            return
        splits = collections.Counter(official[name].split for name in names)
        for split, number in sorted(splits.items()):
            text = f"lacks {number:,} pairs of the official list."
            self.note(inventory.Fault("missing", split, text), number)


def is_part(num_missing: int, num_official: int) -> bool:
    """Whether so many missing pairs mean that only a part is there."""
    return num_missing > num_official // 2


@contextlib.contextmanager
def collect(csv_path: str | os.PathLike[str] | None) -> Iterator[FaultList]:
    """Gives a list; at the end its file is complete, after an error not there.

    Args:
      csv_path: Where to list all faults; None for nowhere.
    """
    if csv_path is None:
        yield FaultList(None)
        return
    with (
        files.replacing(csv_path) as part,
        part.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(inventory.Fault._fields)
        yield FaultList(writer)


def summary(
    found: FaultList, csv_path: str | os.PathLike[str] | None
) -> list[str]:
    """The counts, the first faults, and where to find all: lines of text."""
    lines = [f"{kind}: {number:,}" for kind, number in found.counts.items()]
    if not found.counts.total():
        return [*lines, "All is well."]
    lines += [f"  {fault.place} {fault.reason}" for fault in found.first]
    if csv_path is not None:
        return [*lines, f"All are listed in {pathlib.Path(csv_path)}"]
    if found.counts.total() > len(found.first):
        lines.append("  ... `csv=faults.csv` lists all.")
    return lines
