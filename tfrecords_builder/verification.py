"""Checks all pairs of an archive, one by one and against the official list."""

import collections
import os
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from tqdm import auto as tqdm

from ben_tf import bigearthnet
from ben_tf import files
from ben_tf.archive import inventory
from ben_tf.archive import known_pairs
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import open_archive
from ben_tf.archive import pair_check
from ben_tf.archive import patch_sources
from tfrecords_builder import fault_list
from tfrecords_builder import workers

_PAIRS_PER_TASK = 100
# What whole pairs are counted by: field -> values in the order of the report.
_FIELDS: dict[str, Iterable[str]] = {
    "split": bigearthnet.SPLIT_SIZES,
    "country": bigearthnet.COUNTRIES,
    "season": bigearthnet.SEASONS,
}
# Field -> value -> number of pairs.
Counts = dict[str, collections.Counter[str]]


class Report(NamedTuple):
    """What `verify` found.

    Attributes:
      num_pairs: Pairs that are there and were checked.
      faults: What is wrong.
      counts: Number of whole pairs by value of split, country and season.
      expected: The same, of what should be there.
      csv_path: The list of all faults, there even if it is empty; None if none
        was asked for.
      notes: What is so on purpose: a sample, a part, skipped pairs.
    """

    num_pairs: int
    faults: fault_list.FaultList
    counts: Counts
    expected: Counts
    csv_path: str | os.PathLike[str] | None
    notes: Sequence[str]

    @property
    def is_well(self) -> bool:
        """Whether there is no fault."""
        return not self.faults.counts.total()


def verify(
    archive_dir: str | os.PathLike[str],
    *,
    csv_path: str | os.PathLike[str] | None = None,
    partial: bool = False,
    num_workers: int | None = None,
    scratch_dir: str | os.PathLike[str] | None = None,
) -> Report:
    """Checks all pairs of an archive and lists every fault.

    Args:
      archive_dir: Folder that holds both sensors, as folders or tarballs.
      csv_path: Where to list the faults; None for nowhere.
      partial: Expect only the pairs that are there, for a part of the archive.
        Of a sample archive nothing else is expected.
      num_workers: Number of worker processes; default: one a core.
      scratch_dir: Where compressed tarballs are inflated during the check.

    Raises:
      errors.UserError: There is no archive, or a tarball is damaged.
    """
    with (
        files.scratch_folder(scratch_dir) as scratch,
        fault_list.collect(csv_path) as faults,
    ):
        archive = open_archive.open_archive(
            archive_dir, with_maps=True, scratch_dir=scratch
        )
        official = known_pairs.read(archive.version, archive_dir)
        found = inventory.take(archive, official)
        is_sample = layout.is_synthetic(archive_dir)
        whole = []
        for fault in found.faults:
            faults.note(fault)
        notes = []
        if is_sample:
            notes.append(
                "This is a synthetic sample of BigEarthNet; expected are the "
                "pairs that are there."
            )
        missing = _missing(found, official)
        if not (partial or is_sample):
            reason = "is missing with its S1 patch."
            faults.note_missing(missing, official, reason)
            if fault_list.is_part(len(missing), len(official)):
                notes.append(
                    f"This is a part of BigEarthNet: {len(missing):,} of its "
                    f"{len(official):,} pairs are not there. `partial` expects "
                    "only those that are."
                )
        for pair, of_pair in _check(found.pairs, archive, num_workers):
            for fault in of_pair:
                faults.note(fault)
            if not of_pair:
                whole.append(pair)
    expects_all = not (partial or is_sample)
    return Report(
        num_pairs=len(found.pairs),
        faults=faults,
        counts=count(whole),
        expected=count(official.values() if expects_all else found.pairs),
        csv_path=csv_path,
        notes=notes,
    )


def _check(
    pairs: Sequence[official_lists.OfficialPatch],
    archive: patch_sources.Archive,
    num_workers: int | None,
) -> Iterator[tuple[official_lists.OfficialPatch, list[inventory.Fault]]]:
    """Yields each pair with its faults, with a progress bar."""
    tasks = [
        pairs[i : i + _PAIRS_PER_TASK]
        for i in range(0, len(pairs), _PAIRS_PER_TASK)
    ]
    results = workers.run(
        pair_check.check_pairs, tasks, shared=archive, num_workers=num_workers
    )
    with tqdm.tqdm(
        desc="checking", total=len(pairs), unit=" pairs"
    ) as progress:
        for task, result in zip(tasks, results, strict=True):
            yield from zip(task, result, strict=True)
            progress.update(len(task))


def _missing(
    found: inventory.Inventory,
    official: Mapping[str, official_lists.OfficialPatch],
) -> list[str]:
    """S2 names of the pairs of which neither half is there."""
    there = {pair.s2_name for pair in found.pairs}
    there |= {fault.place for fault in found.faults}
    return [
        pair.s2_name
        for pair in official.values()
        if not there & {pair.s2_name, pair.s1_name}
    ]


def count(pairs: Collection[official_lists.OfficialPatch]) -> Counts:
    """Returns the number of pairs by value of each field of the report."""
    return {
        field: collections.Counter(getattr(pair, field) for pair in pairs)
        for field in _FIELDS
    }


def summary(report: Report) -> str:
    """Returns the report as text: counts found and expected, then faults."""
    lines = [*report.notes, f"{'':16}{'whole':>10}{'expected':>10}"]
    for field, values in _FIELDS.items():
        lines += [
            f"{value:16}{report.counts[field][value]:10,}"
            f"{report.expected[field][value]:10,}"
            for value in values
        ]
    lines.append(f"{report.num_pairs:,} pairs checked")
    lines += fault_list.summary(report.faults, report.csv_path)
    return "\n".join(lines)
