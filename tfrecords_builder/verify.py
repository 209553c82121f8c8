"""Checks an archive: complete, undamaged, consistent?

python -m tfrecords_builder.verify --archive_dir=...

Reads every file. Lists what is missing, surplus or broken in a CSV, prints a
summary, and exits with 0 only if all is well.
"""

import collections
import contextlib
import csv
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import NamedTuple

from absl import flags

from ben_tf import bigearthnet
from ben_tf import command_line

if TYPE_CHECKING:
    from ben_tf.archive import official_lists
    from ben_tf.archive import pair_check
    from ben_tf.archive import patch_sources

flags.adopt_module_key_flags(command_line)

_PAIRS_PER_TASK = 100
_FIELDS = ("split", "country", "season")


class Report(NamedTuple):
    """What `verify` found.

    Attributes:
      num_pairs: Pairs that are there and were checked.
      num_faults: Faults by kind: "missing", "surplus", "broken".
      counts: Number of whole pairs by value of split, country and season.
      expected: The same, of the official lists.
      csv_path: The list of faults; there even if it is empty.
    """

    num_pairs: int
    num_faults: dict[str, int]
    counts: dict[str, collections.Counter]
    expected: dict[str, collections.Counter]
    csv_path: pathlib.Path

    @property
    def is_well(self) -> bool:
        """Whether there is no fault."""
        return not any(self.num_faults.values())


def verify(
    archive_dir: str | os.PathLike[str],
    *,
    csv_path: str | os.PathLike[str],
    partial: bool = False,
    num_workers: int | None = None,
    scratch_dir: str | os.PathLike[str] | None = None,
) -> Report:
    """Checks all pairs of an archive.

    Args:
      archive_dir: Folder that holds both sensors, as folders or tarballs.
      csv_path: Where to list the faults.
      partial: Expect no more pairs than are there, for a part of the archive.
      num_workers: Processes that check; default: one a core.
      scratch_dir: Where .tar.gz files are inflated for the time of the check.

    Raises:
      errors.UserError: There is no archive, or a tarball is damaged.
    """
    from tqdm import auto as tqdm

    from ben_tf.archive import official_lists
    from ben_tf.archive import open_archive
    from ben_tf.archive import pair_check
    from ben_tf.archive import patch_sources
    from tfrecords_builder import workers

    counts: dict[str, collections.Counter] = {
        field: collections.Counter() for field in _FIELDS
    }
    num_faults = {"missing": 0, "surplus": 0, "broken": 0}
    with (
        tempfile.TemporaryDirectory(dir=scratch_dir) as scratch,
        _new_csv(pathlib.Path(csv_path)) as write_row,
    ):
        archive = open_archive.open_archive(archive_dir, scratch_dir=scratch)
        official = official_lists.official_patches()
        inventory = patch_sources.take_inventory(archive, official)

        def record(faults: Iterable[pair_check.Fault]) -> None:
            for fault in faults:
                num_faults[fault.kind] += 1
                write_row(fault)

        record(_inventory_faults(inventory, official, partial))
        pairs = inventory.pairs
        tasks = [
            pairs[i : i + _PAIRS_PER_TASK]
            for i in range(0, len(pairs), _PAIRS_PER_TASK)
        ]
        results = workers.run(
            pair_check.check_pairs,
            tasks,
            shared=archive,
            num_workers=num_workers or workers.default_num_workers(),
        )
        with tqdm.tqdm(
            desc="checking", total=len(pairs), unit=" pairs"
        ) as progress:
            for task, result in zip(tasks, results, strict=True):
                for pair, faults in zip(task, result, strict=True):
                    record(faults)
                    if not faults:
                        _count(counts, pair)
                progress.update(len(task))
    expected: dict[str, collections.Counter] = {
        field: collections.Counter() for field in _FIELDS
    }
    for pair in pairs if partial else official.values():
        _count(expected, pair)
    return Report(
        len(pairs), num_faults, counts, expected, pathlib.Path(csv_path)
    )


@contextlib.contextmanager
def _new_csv(path: pathlib.Path) -> Iterator[Callable[[Iterable], None]]:
    """Yields a function that writes a row; the file appears when complete."""
    from ben_tf.archive import pair_check

    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(pair_check.Fault._fields)
        yield writer.writerow
    os.replace(unfinished, path)


def _inventory_faults(
    inventory: "patch_sources.Inventory",
    official: Mapping[str, "official_lists.OfficialPatch"],
    partial: bool,
) -> Iterator["pair_check.Fault"]:
    from ben_tf.archive import pair_check

    for kind, problems in (
        ("missing", inventory.halves),
        ("surplus", inventory.unknown),
    ):
        for problem in problems:
            yield pair_check.Fault(kind, problem.place, problem.reason)
    if not partial:
        present = {pair.s2_name for pair in inventory.pairs}
        halves = {problem.place for problem in inventory.halves}
        for pair in official.values():
            if pair.s2_name not in present and not halves & {
                pair.s2_name,
                pair.s1_name,
            }:
                yield pair_check.Fault(
                    "missing", pair.s2_name, "is missing with its S1 patch."
                )


def _count(
    counts: dict[str, collections.Counter], pair: "official_lists.OfficialPatch"
) -> None:
    for field in _FIELDS:
        counts[field][getattr(pair, field)] += 1


def summary(report: Report) -> str:
    """Returns the report as text: counts found and expected, then faults."""
    lines = [f"{'':16}{'whole':>10}{'expected':>10}"]
    names = {
        "split": bigearthnet.SPLIT_SIZES,
        "country": bigearthnet.COUNTRIES,
        "season": bigearthnet.SEASONS,
    }
    for field in _FIELDS:
        lines += [
            f"{name:16}{report.counts[field][name]:10,}"
            f"{report.expected[field][name]:10,}"
            for name in names[field]
        ]
    lines.append(f"{report.num_pairs:,} pairs checked")
    lines += [
        f"{kind}: {number:,}" for kind, number in report.num_faults.items()
    ]
    return "\n".join(lines)


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    archive_dir = flags.DEFINE_string(
        "archive_dir",
        None,
        "Folder of the archive: the two folders, or the two tarballs.",
        required=True,
    )
    csv_path = flags.DEFINE_string(
        "csv",
        "archive_faults.csv",
        "Where to list what is missing, surplus or broken.",
    )
    partial = flags.DEFINE_bool(
        "partial",
        False,
        "Expect no more pairs than are there. For a part of the archive.",
    )
    num_workers = flags.DEFINE_integer(
        "num_workers",
        None,
        "Processes that check. Default: one a core.",
        lower_bound=1,
    )
    scratch_dir = flags.DEFINE_string(
        "scratch_dir",
        None,
        "Where .tar.gz files are inflated for the time of the check; 177 GB "
        "for the whole archive. Default: the system's temporary folder.",
    )

    def main() -> None:
        report = verify(
            archive_dir.value,
            csv_path=csv_path.value,
            partial=partial.value,
            num_workers=num_workers.value,
            scratch_dir=scratch_dir.value,
        )
        print(summary(report))
        if report.is_well:
            print("All is well.")
        else:
            print(f"The faults are listed in {report.csv_path}")
            sys.exit(1)

    return main


if __name__ == "__main__":
    command_line.run(command)
