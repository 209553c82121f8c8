"""Finds the dataset that the builder wrote, and its splits."""

import hashlib
import itertools
import os
import pathlib
from collections.abc import Iterable
from typing import Literal

import msgspec
import tensorflow_datasets as tfds

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf import origin
from ben_tf.data import subsets
from ben_tf.data import tfrecord_files

# Name, inode, size and time of each file.
State = frozenset[tuple[str, int, int, int]]

_DATASET_FILE = "dataset_info.json"
_METADATA_FILE = "metadata.json"
_FEATURES_FILE = "features.json"
_CLASS_KEY = "pythonClassName"
_CLASSES = "tensorflow_datasets.core.features."


# Values of metadata.json. `tfds.show_examples` fails on what is not iterable.
YES = "yes"
NO = ""


class _Metadata(msgspec.Struct):
    """What the builder notes of a dataset next to TFDS's own description.

    Builders of before wrote true and false.
    """

    synthetic: bool | Literal["yes", ""]


def open_dataset(data_dir: str | os.PathLike) -> tfds.core.DatasetBuilder:
    """Finds the newest build of the dataset below `data_dir`.

    Args:
      data_dir: Folder of TFDS datasets; or, where it holds more than one
        version of BigEarthNet, that of one of them, DATA/bigearthnet_mm/v2.

    Raises:
      UserError: No dataset there, more than one version of BigEarthNet, a
        damaged one, or one whose records are in another file format.
    """
    versions = built_versions(data_dir)
    configs = sorted({path.parent for path in versions})
    if len(configs) > 1:
        raise errors.UserError(
            f"{data_dir} holds {' and '.join(x.name for x in configs)} of "
            f"BigEarthNet. Name the one: `data_dir={configs[0]}`."
        )
    if not versions:
        raise errors.UserError(
            f"No dataset found. Expected {data_dir}/{bigearthnet.DATASET_NAME}/"
            f"<config>/<version>/{_DATASET_FILE}. Build it with python -m "
            "tfrecords_builder.build --archive_dir=... "
            f"--data_dir={data_dir}, or correct `data_dir`."
        )
    for path in versions[-1].iterdir():
        # TFDS and TensorFlow open them by name, and would wait for a pipe.
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise errors.UserError(
                f"{path} is no regular file. Expected the dataset as python -m "
                "tfrecords_builder.build wrote it."
            )
    _refuse_foreign_classes(versions[-1] / _FEATURES_FILE)
    try:
        builder = tfds.builder_from_directory(versions[-1])
        _check_file_names(builder)
    except Exception as error:  # TFDS raises many unrelated types here.
        raise errors.UserError(
            f"The description of the dataset in {versions[-1]} is damaged: "
            f"{errors.first_line(error)}. Build it again with python -m "
            "tfrecords_builder.build --overwrite."
        ) from error
    if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
        raise errors.UserError(
            f"The dataset in {versions[-1]} is stored as "
            f"{builder.info.file_format.value}. Expected tfrecord. Build it "
            "again with python -m tfrecords_builder.build."
        )
    return builder


def _refuse_foreign_classes(path: pathlib.Path) -> None:
    """TFDS imports the module of any class that the file names: a program.

    Raises:
      UserError: It names one that is not of TFDS, or it is damaged.
    """
    remedy = "Expected the JSON that python -m tfrecords_builder.build wrote."
    waiting: list[object] = [files.read_json(path, object, remedy=remedy)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            name = value.get(_CLASS_KEY, _CLASSES)
            if not str(name).startswith(_CLASSES):
                raise errors.UserError(
                    f"{path} names {name!r}, a program that reading it would "
                    f"run. Expected classes of {_CLASSES}*, as python -m "
                    "tfrecords_builder.build writes them."
                )


def _check_file_names(builder: tfds.core.DatasetBuilder) -> None:
    """TFDS makes the names of the records' files of a template, when asked.

    Raises:
      Exception: The template is none, or leads out of the dataset's folder.
    """
    for split in builder.info.splits.values():
        for path in split.filepaths:
            if os.path.dirname(path) != os.fspath(builder.data_path):
                raise ValueError(f"it names the file {path}")


def built_versions(data_dir: str | os.PathLike) -> list[pathlib.Path]:
    """Folders of what was built to the end, oldest first."""
    folder = pathlib.Path(data_dir).expanduser()
    root = folder / bigearthnet.DATASET_NAME
    configs = []
    if root.is_dir():
        configs = files.listed(root)
    elif folder.absolute().parent.name == bigearthnet.DATASET_NAME:
        configs = [folder]
    return sorted(
        (
            version
            for config in configs
            if config.is_dir()
            # An unfinished build has a folder "incomplete...".
            for version in files.listed(config, "[0-9]*")
            if (version / _DATASET_FILE).exists()
        ),
        key=lambda path: tfds.core.Version(path.name),
    )


def state(builder: tfds.core.DatasetBuilder) -> State:
    """What changes when a file of the dataset is replaced or written to.

    Args:
      builder: From `open_dataset`; one `stat` for each file of its folder.
    """
    folder = os.fspath(builder.data_path)
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.stat()) for entry in entries]
    except FileNotFoundError:
        # Between the two renames with which a build replaces it.
        found = []
    return frozenset(
        (name, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        for name, stat in found
    )


def check_unchanged(builder: tfds.core.DatasetBuilder, before: State) -> None:
    """Refuses what was made of a dataset that was replaced meanwhile.

    Args:
      builder: From `open_dataset`.
      before: Its `state` before its records were read.

    Raises:
      UserError: It has another one now.
    """
    if state(builder) != before:
        raise errors.UserError(
            f"The dataset in {builder.data_path} was changed while it was "
            "read, as by a build with `overwrite`. What was made of it is of "
            "both, so it is not kept. Run the same command again once the "
            "dataset is whole."
        )


def fingerprint(builder: tfds.core.DatasetBuilder) -> str:
    """SHA-256 that tells datasets apart without reading all, hexadecimal.

    Of the names and sizes of the records' files, and of the length and the
    checksum of the first record in each.

    Raises:
      errors.ArchiveError: A file of the records is missing or damaged.
    """
    digest = hashlib.sha256()
    splits = builder.info.splits.values()
    for path in sorted(path for split in splits for path in split.filepaths):
        for frame in itertools.islice(tfrecord_files.frames(path), 1):
            size = os.fstat(frame.file.fileno()).st_size
            facts = (os.path.basename(path), size, frame.length)
            digest.update(repr(facts).encode() + frame.stored_checksum())
    for split in splits:
        _check_size(builder, split)
    return digest.hexdigest()


def check_records(builder: tfds.core.DatasetBuilder, expected: str) -> None:
    """Refuses another dataset than the one that something was made of.

    Args:
      builder: From `open_dataset`.
      expected: Fingerprint of that dataset.

    Raises:
      UserError: It holds other records.
    """
    found = fingerprint(builder)
    if found != expected:
        raise errors.UserError(
            f"The dataset in {builder.data_path} holds other records than "
            "those that the scores or the index were made of: expected "
            f"fingerprint {origin.short(expected)}, received "
            f"{origin.short(found)}. Correct `data_dir`, or make the "
            "scores or the index again of this dataset."
        )


def _check_size(
    builder: tfds.core.DatasetBuilder, split: tfds.core.SplitInfo
) -> None:
    """Refuses a split of which a part has gone.

    Raises:
      errors.ArchiveError: Its files are not as large as its records were.
    """
    size = sum(os.path.getsize(path) for path in split.filepaths)
    expected = tfrecord_files.size(split.num_bytes, split.num_examples)
    if size != expected:
        raise errors.ArchiveError(
            os.fspath(builder.data_path),
            f"is damaged: the files of split {split.name!r} have {size:,} "
            f"bytes. Expected {expected:,}. python -m tfrecords_builder.verify "
            "--data_dir=... lists what is missing.",
        )


def part(builder: tfds.core.DatasetBuilder) -> str:
    """Which part of BigEarthNet a dataset holds; "" for all of it."""
    return (builder.info.metadata or {}).get("part", "")


def is_synthetic(builder: tfds.core.DatasetBuilder) -> bool:
    """Whether the records come from the synthetic sample archive.

    Raises:
      UserError: The dataset does not say so, since its metadata.json is missing
        or damaged. TFDS would take it for a real one.
    """
    metadata = files.read_json(
        pathlib.Path(builder.data_path) / _METADATA_FILE,
        _Metadata,
        remedy="It says whether the dataset is synthetic: bring it back from a "
        'copy, or write {"synthetic": true} or {"synthetic": false}, whichever '
        "it is.",
    )
    return bool(metadata.synthetic)


def nomenclatures(builder: tfds.core.DatasetBuilder) -> tuple[int, ...]:
    """Numbers of classes that the patches have labels of."""
    version = builder.info.config_name
    known = bigearthnet.NOMENCLATURES.get(version, tuple(bigearthnet.CLASSES))
    said = _words(builder, "nomenclatures")
    return tuple(x for x in known if str(x) in said) or known


def sensors(builder: tfds.core.DatasetBuilder) -> tuple[str, ...]:
    """Sensors that the patches have pixels of; own data may lack one."""
    known = tuple(bigearthnet.BANDS)
    said = _words(builder, "sensors")
    return tuple(x for x in known if x in said) or known


def _words(builder: tfds.core.DatasetBuilder, key: str) -> list[str]:
    """What metadata.json says; nothing of BigEarthNet, which has all."""
    return str((builder.info.metadata or {}).get(key, "")).split()


def check_grids(
    builder: tfds.core.DatasetBuilder, grids: Iterable[str]
) -> None:
    """Refuses grids of a sensor that the patches have no pixels of.

    Args:
      builder: From `open_dataset`.
      grids: Keys of `bigearthnet.GRIDS`.

    Raises:
      UserError: There are some among them.
    """
    found = sensors(builder)
    wanted = {bigearthnet.GRIDS[name].sensor for name in grids}
    if missing := wanted.difference(found):
        raise errors.UserError(
            f"The patches of the dataset in {builder.data_path} have no pixels "
            f"of {' and '.join(sorted(missing))}. Expected what looks at "
            f"{' or '.join(found)} alone: `modality={found[0]}`, and a model "
            "that was trained with it."
        )


def check_num_classes(
    builder: tfds.core.DatasetBuilder, num_classes: int
) -> None:
    """Refuses a nomenclature that the patches have no labels of.

    Raises:
      UserError: They have none.
    """
    expected = nomenclatures(builder)
    if num_classes not in expected:
        raise errors.UserError(
            f"The patches of the dataset in {builder.data_path} have no labels "
            f"of the {num_classes}-class nomenclature. Expected "
            f"`num_classes={' or '.join(map(str, expected))}`."
        )


def num_examples(builder: tfds.core.DatasetBuilder, split: str) -> int:
    """Number of patches of a split, or of a part such as "test[:100]".

    Raises:
      UserError: As of `subsets.select`.
    """
    return subsets.select(builder, split).num_examples
