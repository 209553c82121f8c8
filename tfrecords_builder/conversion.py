"""Converts an open archive to the files of a dataset."""

import csv
import pathlib
import sys
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow_datasets as tfds
from etils import epath
from tqdm import auto as tqdm

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf.archive import inventory
from ben_tf.archive import known_pairs
from ben_tf.archive import official_lists
from ben_tf.archive import open_archive
from ben_tf.archive import parts as parts_lib
from ben_tf.archive import patch_metadata
from ben_tf.archive import patch_pair
from ben_tf.archive import patch_sources
from ben_tf.archive import scratch_files
from tfrecords_builder import kept_shards
from tfrecords_builder import record
from tfrecords_builder import shards
from tfrecords_builder import tfds_internals

SKIPPED_FILE = "skipped.csv"
_ALL = parts_lib.Part()

# Runs `kept_shards.write_shard` on the tasks; yields the results in their
# order.
Runner = Callable[
    [Sequence[shards.ShardTask], patch_sources.Archive],
    Iterator[shards.ShardResult],
]
# Split -> what names its files.
Templates = Callable[[str], tfds.core.ShardedFileTemplate]


class _WrittenShard(NamedTuple):
    path: str
    num_records: int
    num_bytes: int


def convert(
    archive: patch_sources.Archive,
    official: known_pairs.Pairs,
    *,
    folder: epath.Path,
    templates: Templates,
    num_shards: Callable[[int, int], int],
    runner: Runner,
    frees_scratch: bool,
    skip_damaged: bool,
    part: parts_lib.Part = _ALL,
    max_pairs_per_split: int | None = None,
    kept_dir: pathlib.Path | None = None,
    file_format: str = shards.TFRECORD,
) -> list[tfds.core.SplitInfo]:
    """Writes the shards, the table of patches and the list of skipped pairs.

    Args:
      archive: The sources of both sensors.
      official: The pairs of its version.
      folder: Where everything goes; exists.
      templates: Name the files of each split.
      num_shards: (bytes, records) of a split -> its number of shards.
      runner: Runs the tasks, on this machine or others.
      frees_scratch: Whether the runner yields each result when it is there, so
        that what was read can go; otherwise at the end.
      skip_damaged: Leave damaged pairs out and list them, instead of raising.
      part: Which pairs to convert.
      max_pairs_per_split: Convert only so many pairs of each split.
      kept_dir: Where finished shards of an interrupted build may be; what
        cannot be used of them is removed.
      file_format: A value of `tfds.core.FileFormat`.

    Returns:
      The splits that have records.

    Raises:
      errors.ArchiveError: Something is damaged and `skip_damaged` is false.
      errors.UserError: The archive holds no pair, none is whole, or the disk
        is full.
    """
    # Here, because pyarrow and rasterio take a while to import.
    from tfrecords_builder import patch_table

    pairs_of_split, skipped = plan_splits(
        archive, official, skip_damaged=skip_damaged, part=part
    )
    if max_pairs_per_split is not None:
        pairs_of_split = {
            split: pairs[:max_pairs_per_split]
            for split, pairs in pairs_of_split.items()
        }
    num_pairs = sum(map(len, pairs_of_split.values()))
    record_bytes = record.approximate_bytes(archive.version)
    tasks = _plan_shards(
        pairs_of_split,
        templates,
        num_shards,
        record_bytes,
        skip_damaged=skip_damaged,
        file_format=file_format,
    )
    num_bytes = num_pairs * record_bytes
    if kept_dir:
        tasks, kept_bytes = kept_shards.assign(tasks, kept_dir)
        num_bytes -= kept_bytes
    if "://" not in str(folder):
        open_archive.check_disk(
            pathlib.Path(folder),
            _disk_bytes(
                num_bytes, archive.scratch_bytes if frees_scratch else 0
            ),
            f"the records of {num_pairs:,} pairs",
        )
    num_kept = 0
    written: dict[str, list[_WrittenShard]] = {
        split: [] for split in pairs_of_split
    }

    def finished_parts() -> Iterator[list[patch_pair.PatchPair]]:
        nonlocal num_kept
        with tqdm.tqdm(
            desc="converting", total=num_pairs, unit=" pairs"
        ) as progress:
            results = runner(tasks, archive)
            for task, result in zip(tasks, results, strict=True):
                for first in task.pairs[:1]:
                    _drop_before(archive, first)
                progress.update(len(result.metadata) + len(result.skipped))
                skipped.extend(result.skipped)
                num_kept += result.was_kept
                if result.metadata:
                    # Without the pairs, so that memory stays flat.
                    written[task.split].append(
                        _WrittenShard(
                            task.path, len(result.metadata), result.num_bytes
                        )
                    )
                    yield result.metadata

    patch_table.write(folder / patch_table.FILE_NAME, finished_parts())
    if not any(written.values()):
        raise errors.UserError(
            f"None of the {num_pairs:,} pairs is whole, so that nothing is "
            f"left to build. The first: {skipped[0].place} "
            f"{skipped[0].reason} python -m tfrecords_builder.verify lists all."
        )
    if skip_damaged:
        _write_skipped(folder / SKIPPED_FILE, skipped)
    if num_kept:
        print(
            f"{num_kept:,} of {len(tasks):,} shards were finished by an "
            "interrupted build, and are unchanged.",
            file=sys.stderr,
        )
    kept_shards.forget(task.path for task in tasks)
    return [
        _finish_split(split, parts, templates(split))
        for split, parts in written.items()
        if parts
    ]


def _disk_bytes(record_bytes: int, scratch_bytes: int) -> int:
    """How much more disk a conversion takes at most.

    Scratch files go as records come, but for a few that are being read.
    """
    being_read = 4 * scratch_bytes // scratch_files.NUM_FILES
    return max(record_bytes - scratch_bytes + being_read, being_read)


def _drop_before(
    archive: patch_sources.Archive, pair: official_lists.OfficialPatch
) -> None:
    """Frees the scratch space of all pairs that come before one."""
    archive["S1"].drop_before(pair.s1_name)
    for sensor in archive.sources.keys() - {"S1"}:
        archive[sensor].drop_before(pair.s2_name)


def _plan_shards(
    pairs_of_split: Mapping[str, Sequence[official_lists.OfficialPatch]],
    templates: Templates,
    num_shards: Callable[[int, int], int],
    record_bytes: int,
    *,
    skip_damaged: bool,
    file_format: str,
) -> list[shards.ShardTask]:
    tasks = []
    for split, pairs in pairs_of_split.items():
        total = num_shards(len(pairs) * record_bytes, len(pairs))
        template = templates(split)
        ranges = tfds_internals.shard_boundaries(len(pairs), total)
        tasks += [
            shards.ShardTask(
                split=split,
                path=str(
                    template.sharded_filepath(
                        shard_index=index, num_shards=total
                    )
                ),
                pairs=pairs[first:end],
                skip_damaged=skip_damaged,
                file_format=file_format,
            )
            for index, (first, end) in enumerate(ranges)
        ]
    return tasks


def plan_splits(
    archive: patch_sources.Archive,
    official: known_pairs.Pairs,
    *,
    skip_damaged: bool,
    part: parts_lib.Part = _ALL,
) -> tuple[
    dict[str, list[official_lists.OfficialPatch]], list[shards.SkippedPair]
]:
    """Returns the pairs of each split in the order of their records.

    Raises:
      errors.ArchiveError: A pair is not whole and `skip_damaged` is false.
      errors.UserError: The archive holds no pair, or none of the part.
    """
    found = _of_part(inventory.take(archive, official), official, part)
    if found.faults and not skip_damaged:
        raise errors.ArchiveError(found.faults[0].place, found.faults[0].reason)
    ordered = {
        split: shards.in_record_order(
            split, (pair for pair in found.pairs if pair.split == split)
        )
        for split in bigearthnet.SPLIT_SIZES
    }
    selected = part.select(
        ordered, lambda pair: _labels_if_readable(archive, pair)
    )
    if not selected:
        raise errors.UserError(
            f"No pair of the archive belongs to the part: {part.description}."
            if part.description
            else "The archive holds no pair of patches. Expected at least one "
            "S2 patch with its S1 patch."
        )
    # The key of a pair is its S2 patch, also where that is what is missing.
    s2_names = {pair.s1_name: pair.s2_name for pair in official.values()}
    return (
        selected,
        [
            shards.SkippedPair(
                s2_names.get(fault.place, fault.place),
                fault.place,
                fault.reason,
            )
            for fault in found.faults
        ],
    )


def _of_part(
    found: inventory.Inventory,
    official: known_pairs.Pairs,
    part: parts_lib.Part,
) -> inventory.Inventory:
    """Leaves out halves of pairs that do not belong to a part.

    What is no patch of the archive stays a fault.
    """
    places = {fault.place for fault in found.faults}
    not_wanted = {
        name
        for pair in official.values()
        if not (places.isdisjoint(pair[:2]) or part.keeps(pair))
        for name in (pair.s1_name, pair.s2_name)
    }
    return found._replace(
        pairs=[pair for pair in found.pairs if part.keeps(pair)],
        faults=[x for x in found.faults if x.place not in not_wanted],
    )


def _labels_if_readable(
    archive: patch_sources.Archive, pair: official_lists.OfficialPatch
) -> tuple[str, ...]:
    """A damaged pair has all labels, so that the conversion comes upon it."""
    try:
        return patch_metadata.labels(archive, pair)
    except errors.ArchiveError:
        return bigearthnet.CLASSES_43


def _finish_split(
    split: str,
    parts: list[_WrittenShard],
    template: tfds.core.ShardedFileTemplate,
) -> tfds.core.SplitInfo:
    """Renames the files by how many there are; skipping may empty some."""
    for index, part in enumerate(parts):
        final_path = template.sharded_filepath(
            shard_index=index, num_shards=len(parts)
        )
        if str(final_path) != part.path:
            epath.Path(part.path).rename(final_path)
    return tfds.core.SplitInfo(
        name=split,
        shard_lengths=[part.num_records for part in parts],
        num_bytes=sum(part.num_bytes for part in parts),
        filename_template=template,
    )


def _write_skipped(path: epath.Path, skipped: list[shards.SkippedPair]) -> None:
    with path.open("w") as file:
        writer = csv.writer(file)
        writer.writerow(shards.SkippedPair._fields)
        writer.writerows(map(files.csv_cell, pair) for pair in sorted(skipped))


def count_skipped(folder: epath.Path) -> int | None:
    """Returns how long the list of skipped pairs is; None without a list."""
    path = folder / SKIPPED_FILE
    if not path.exists():
        return None
    with path.open("r") as file:
        return sum(1 for _ in csv.reader(file)) - 1
