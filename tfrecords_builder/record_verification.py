"""Checks all records of a built dataset, one by one and against the lists."""

import csv
import os
import pathlib
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import tensorflow_datasets as tfds
from pyarrow import parquet
from tqdm import auto as tqdm

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf.archive import inventory
from ben_tf.archive import known_pairs
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.data import built_dataset
from tfrecords_builder import conversion
from tfrecords_builder import fault_list
from tfrecords_builder import patch_table
from tfrecords_builder import record_check
from tfrecords_builder import shards
from tfrecords_builder import verification
from tfrecords_builder import workers

_MAY_BE_UNSAID = ("labels_19", "labels_43", "s1_time", "s2_time")


def verify(
    data_dir: str | os.PathLike[str],
    *,
    csv_path: str | os.PathLike[str] | None = None,
    partial: bool = False,
    num_workers: int | None = None,
) -> verification.Report:
    """Checks all records of the newest dataset and lists every fault.

    A sample, or a dataset built of a part of the archive with `partial`, is
    held to the pairs that it says it holds; any other to the official list
    without what was skipped when it was built.

    Args:
      data_dir: Folder of TFDS datasets.
      csv_path: Where to list the faults; None for nowhere.
      partial: Expect only the pairs that the dataset says it holds.
      num_workers: Number of worker processes; default: one a core.

    Raises:
      errors.UserError: There is no dataset, or its description is damaged.
    """
    builder = built_dataset.open_dataset(data_dir)
    folder = pathlib.Path(builder.data_path)
    lies = layout.LAYOUTS.get(builder.info.config_name)
    if lies is None:
        raise errors.UserError(
            f"{folder} is no version of BigEarthNet that is known here. "
            f"Expected {' or '.join(layout.LAYOUTS)}. Received: "
            f"{builder.info.config_name!r}"
        )
    official = known_pairs.read(lies.version, folder)
    # Datasets of before do not say so.
    part = built_dataset.part(builder)
    dataset = record_check.Dataset(
        lies.version,
        bool(builder.info.metadata.get("has_maps")),
        built_dataset.nomenclatures(builder),
        built_dataset.sensors(builder),
    )
    is_sample = built_dataset.is_synthetic(builder)
    with fault_list.collect(csv_path) as faults:
        tasks, of_files = _plan(builder)
        promised, of_table = _read_table(folder)
        skipped, of_skipped = _read_skipped(folder, official)
        for fault in (
            *_schema_faults(builder, lies),
            *of_files,
            *of_table,
            *of_skipped,
        ):
            faults.note(fault)
        known = official.keys() if promised is None else promised
        whole: list[official_lists.OfficialPatch] = []
        there: set[str] = set()
        num_read = 0
        for findings in _check(tasks, dataset, num_workers):
            num_read += findings.num_read
            for fault in findings.faults:
                faults.note(fault)
            for found in findings.records:
                if not found.is_intact:
                    # The flipped bit may be in the name.
                    if found.name in known:
                        there.add(found.name)
                    continue
                unexpected = _unexpected(
                    found, lies.title, official, promised, there
                )
                there.add(found.name)
                if unexpected:
                    faults.note(unexpected)
                elif found.patch:
                    # Not the record's own words, for which memory would grow.
                    whole.append(official[found.name])
        expected = there & official.keys() if promised is None else promised
        for name in sorted(expected - there):
            faults.note(inventory.Fault("missing", name, "has no record."))
        never_built = official.keys() - expected - skipped - there
        if not (partial or is_sample or part):
            expected = expected | never_built
            reason = "is neither in the dataset nor on its list of skipped."
            faults.note_missing(never_built, official, reason)
    return verification.Report(
        num_pairs=num_read,
        faults=faults,
        counts=verification.count(whole),
        expected=verification.count(
            [official[name] for name in expected if name in official]
        ),
        csv_path=csv_path,
        notes=_notes(
            builder,
            is_sample,
            part,
            (len(never_built), len(official)),
            len(skipped),
        ),
    )


def _schema_faults(
    builder: tfds.core.DatasetBuilder, lies: layout.Layout
) -> Iterator[inventory.Fault]:
    """Compares what features.json promises with the facts."""
    features = dict(builder.info.features.items())
    arrays: dict[str, tuple[tuple[int, ...], bigearthnet.Grid]] = {
        name: (grid.shape, grid) for name, grid in bigearthnet.GRIDS.items()
    }
    if lies.maps:
        grid = bigearthnet.REFERENCE_MAP
        arrays["reference_map"] = (grid.shape[:2], grid)
    for name, (expected, grid) in arrays.items():
        found = features.get(name)
        shape = getattr(found, "shape", None)
        dtype = getattr(found, "np_dtype", None)
        if shape != expected or dtype != np.dtype(grid.dtype):
            yield inventory.Fault(
                "broken",
                "features.json",
                f"has another {name}. Expected {expected} {grid.dtype}. "
                f"Received: {shape} {dtype}",
            )
    for name, names in (
        ("labels_43", bigearthnet.CLASSES_43),
        ("labels_19", bigearthnet.CLASSES_19),
        ("country", bigearthnet.COUNTRIES),
        ("season", bigearthnet.SEASONS),
    ):
        found = features.get(name)
        found = getattr(found, "feature", found)
        if tuple(getattr(found, "names", None) or ()) != names:
            yield inventory.Fault(
                "broken",
                f"{name}.labels.txt",
                f"names other classes. Expected {', '.join(names)}.",
            )


def _plan(
    builder: tfds.core.DatasetBuilder,
) -> tuple[list[record_check.ShardTask], list[inventory.Fault]]:
    """Compares the files that are there with those of dataset_info.json."""
    folder = pathlib.Path(builder.data_path)
    tasks, faults, expected = [], [], set()
    for split, info in builder.info.splits.items():
        for path, num_records in zip(
            info.filepaths, info.shard_lengths, strict=True
        ):
            expected.add(path.name)
            if (folder / path.name).is_file():
                tasks.append(
                    record_check.ShardTask(str(path), split, num_records)
                )
            else:
                reason = f"is missing. Expected {num_records:,} records."
                faults.append(inventory.Fault("missing", path.name, reason))
    faults += [
        inventory.Fault(
            "surplus", path.name, "is not a file of dataset_info.json."
        )
        for path in files.listed(folder, "*.tfrecord*")
        if path.name not in expected
    ]
    return tasks, faults


def _read_table(
    folder: pathlib.Path,
) -> tuple[set[str] | None, list[inventory.Fault]]:
    """Returns the names in the table of patches; None where there is none."""
    name = patch_table.FILE_NAME
    if not (folder / name).exists():
        # TFDS writes none where it builds by itself.
        return None, []
    try:
        table = parquet.read_table(folder / name, columns=["patch_name"])
        names = set(table.column("patch_name").to_pylist())
        if not all(isinstance(patch_name, str) for patch_name in names):
            raise ValueError("it has rows without a name")
        return names, []
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        reason = f"cannot be read: {errors.first_line(error)}."
        return None, [inventory.Fault("broken", name, reason)]


def _read_skipped(
    folder: pathlib.Path, official: known_pairs.Pairs
) -> tuple[set[str], list[inventory.Fault]]:
    """Returns the S2 names of the pairs that were left out on purpose."""
    path = folder / conversion.SKIPPED_FILE
    if not path.exists():
        return set(), []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file, strict=True)
        if header != list(shards.SkippedPair._fields):
            raise ValueError("it has other columns")
        names = {row[0] for row in rows if row}
    except (csv.Error, OSError, ValueError) as error:
        reason = f"cannot be read: {errors.first_line(error)}."
        return set(), [inventory.Fault("broken", path.name, reason)]
    # Half a pair is listed by the half that was there.
    return {
        pair.s2_name
        for pair in official.values()
        if pair.s2_name in names or pair.s1_name in names
    }, []


def _check(
    tasks: Sequence[record_check.ShardTask],
    dataset: record_check.Dataset,
    num_workers: int | None,
) -> Iterator[record_check.ShardFindings]:
    """Yields what each file holds, with a progress bar."""
    results = workers.run(
        record_check.check_shard,
        tasks,
        shared=dataset,
        num_workers=num_workers,
    )
    total = sum(task.num_records for task in tasks)
    with tqdm.tqdm(desc="checking", total=total, unit=" pairs") as progress:
        for findings in results:
            yield findings
            progress.update(findings.num_read)


def _unexpected(
    found: record_check.FoundRecord,
    title: str,
    official: known_pairs.Pairs,
    promised: Collection[str] | None,
    there: Collection[str],
) -> inventory.Fault | None:
    """Compares a record with the lists; None where it agrees."""
    if found.name not in official:
        return inventory.Fault(
            "surplus",
            found.place,
            f"is not a patch of {title}. Expected only names on the official "
            "list.",
        )
    if found.name in there:
        return inventory.Fault(
            "surplus", found.place, "is there twice. Expected one record."
        )
    if promised is not None and found.name not in promised:
        return inventory.Fault(
            "surplus",
            found.place,
            f"is not in {patch_table.FILE_NAME}, the table of this dataset.",
        )
    differences = [
        f"{field} {expected!r} (received: {received!r})"
        for field, expected, received in zip(
            official_lists.OfficialPatch._fields,
            official[found.name],
            found.patch or official[found.name],
            strict=True,
        )
        # Lists may not say: the one of v1.0 has no labels, none of
        # BigEarthNet has times.
        if received != expected
        and not (field in _MAY_BE_UNSAID and expected in ("", ()))
    ]
    if not differences:
        return None
    return inventory.Fault(
        "broken",
        found.place,
        f"contradicts the official list. Expected {', '.join(differences)}.",
    )


def _notes(
    builder: tfds.core.DatasetBuilder,
    is_sample: bool,
    part: str,
    never_built: tuple[int, int],
    num_skipped: int,
) -> list[str]:
    """What is so on purpose.

    Args:
      builder: The dataset.
      is_sample: Whether it is a sample.
      part: What part it says it is; "" for the whole.
      never_built: How many pairs were not built, of how many.
      num_skipped: How many were left out.
    """
    notes = [f"Records in {builder.data_path}"]
    if is_sample:
        notes.append(
            "This dataset was built of a sample; expected is what it says it "
            "holds."
        )
    elif part:
        notes.append(
            f"This dataset was built of a part of BigEarthNet: {part}. "
            "Expected is what it says it holds."
        )
    elif fault_list.is_part(*never_built):
        notes.append(
            f"This dataset holds a part of BigEarthNet: {never_built[0]:,} "
            f"of its {never_built[1]:,} pairs were not built. "
            "`partial` checks only what it says it holds."
        )
    if num_skipped:
        notes.append(
            f"{num_skipped:,} pairs were left out on purpose when it was "
            f"built, listed in {conversion.SKIPPED_FILE} next to the records."
        )
    return notes
