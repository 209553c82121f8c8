"""Checks all pairs of an archive, one by one and against the official list."""

import collections
import csv
import os
import pathlib
import tempfile
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
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import open_archive
from ben_tf.archive import pair_check
from ben_tf.archive import patch_sources
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
      num_faults: Faults by kind: "missing", "surplus", "broken".
      counts: Number of whole pairs by value of split, country and season.
      expected: The same, of the official list.
      csv_path: The list of faults; there even if it is empty.
      is_sample: Whether the archive says that it is a sample.
    """

    num_pairs: int
    num_faults: collections.Counter[str]
    counts: Counts
    expected: Counts
    csv_path: pathlib.Path
    is_sample: bool

    @property
    def is_well(self) -> bool:
        """Whether there is no fault."""
        return not self.num_faults.total()


def verify(
    archive_dir: str | os.PathLike[str],
    *,
    csv_path: str | os.PathLike[str],
    partial: bool = False,
    num_workers: int | None = None,
    scratch_dir: str | os.PathLike[str] | None = None,
) -> Report:
    """Checks all pairs of an archive and lists every fault.

    Args:
      archive_dir: Folder that holds both sensors, as folders or tarballs.
      csv_path: Where to list the faults.
      partial: Expect only the pairs that are there, for a part of the archive.
      num_workers: Number of worker processes; default: one a core.
      scratch_dir: Where .tar.gz files are inflated during the check.

    Raises:
      errors.UserError: There is no archive, or a tarball is damaged.
    """
    with (
        tempfile.TemporaryDirectory(dir=scratch_dir) as scratch,
        files.replacing(csv_path) as part,
        part.open("w", newline="") as file,
    ):
        archive = open_archive.open_archive(archive_dir, scratch_dir=scratch)
        official = official_lists.official_patches()
        found = inventory.take(archive, official)
        num_faults = collections.Counter(missing=0, surplus=0, broken=0)
        whole = []
        writer = csv.writer(file)
        writer.writerow(inventory.Fault._fields)

        def record(faults: Iterable[inventory.Fault]) -> None:
            for fault in faults:
                num_faults[fault.kind] += 1
                writer.writerow(fault)

        record(_inventory_faults(found, official, partial))
        for pair, faults in _check(found.pairs, archive, num_workers):
            record(faults)
            if not faults:
                whole.append(pair)
    return Report(
        num_pairs=len(found.pairs),
        num_faults=num_faults,
        counts=count(whole),
        expected=count(found.pairs if partial else official.values()),
        csv_path=pathlib.Path(csv_path),
        is_sample=layout.is_synthetic(archive_dir),
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


def _inventory_faults(
    found: inventory.Inventory,
    official: Mapping[str, official_lists.OfficialPatch],
    partial: bool,
) -> Iterator[inventory.Fault]:
    yield from found.faults
    if not partial:
        there = {pair.s2_name for pair in found.pairs}
        there |= {fault.place for fault in found.faults}
        for pair in official.values():
            if not there & {pair.s2_name, pair.s1_name}:
                yield inventory.Fault(
                    "missing", pair.s2_name, "is missing with its S1 patch."
                )


def count(pairs: Collection[official_lists.OfficialPatch]) -> Counts:
    """Returns the number of pairs by value of each field of the report."""
    return {
        field: collections.Counter(getattr(pair, field) for pair in pairs)
        for field in _FIELDS
    }


def summary(report: Report) -> str:
    """Returns the report as text: counts found and expected, then faults."""
    lines = [f"{'':16}{'whole':>10}{'expected':>10}"]
    for field, values in _FIELDS.items():
        lines += [
            f"{value:16}{report.counts[field][value]:10,}"
            f"{report.expected[field][value]:10,}"
            for value in values
        ]
    lines.append(f"{report.num_pairs:,} pairs checked")
    lines += [
        f"{kind}: {number:,}" for kind, number in report.num_faults.items()
    ]
    if report.is_sample and report.num_faults["missing"]:
        lines.append(
            "This is a sample of the archive, so most pairs are missing by "
            "design; `partial` checks only those that are there."
        )
    lines.append(
        "All is well."
        if report.is_well
        else f"The faults are listed in {report.csv_path}"
    )
    return "\n".join(lines)
