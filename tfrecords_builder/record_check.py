"""Finds every fault of the records of a file, on its own and by the facts."""

import os
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import footprints
from ben_tf.archive import inventory
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import plausibility
from ben_tf.data import tfrecord_files
from tfrecords_builder import record_features

# Version of BigEarthNet -> how much of the times in names is true. In v1.0 the
# date: some are seconds off, or have a 61st second. In v2.0 all, since the
# records have their times from there.
_TRUE_CHARACTERS = {
    layout.V1.version: len("20170613"),
    layout.V2.version: len("20170613T101031"),
}
# Places computed from names are exact for all patches that were compared, but
# not all were.
_FARTHEST_M = bigearthnet.PATCH_SIZE_M


# The feature that v2.0 alone has pixels in.
_MAP = "reference_map"


class ShardTask(NamedTuple):
    """One file to check.

    Attributes:
      path: The file.
      split: Its split.
      num_records: How many records it should hold.
    """

    path: str
    split: str
    num_records: int


class Dataset(NamedTuple):
    """What all records of a dataset have in common.

    Attributes:
      version: Of BigEarthNet, a key of `layout.LAYOUTS`.
      has_maps: Whether its archive had reference maps.
      nomenclatures: Numbers of classes that there are labels of.
      sensors: Those that there are pixels of.
    """

    version: str
    has_maps: bool
    nomenclatures: Sequence[int]
    sensors: Sequence[str]


class FoundRecord(NamedTuple):
    """A record that says which pair it is.

    Attributes:
      place: The file and the name, for messages.
      name: S2 name of the pair.
      is_intact: Whether the record's checksum is right, so that its name is
        the one that was written.
      patch: The pair as the record describes it; None if the record is broken.
    """

    place: str
    name: str
    is_intact: bool
    patch: official_lists.OfficialPatch | None


class ShardFindings(NamedTuple):
    """What `check_shard` found.

    Attributes:
      num_read: Number of records that could be read.
      records: Those that say which pair they are.
      faults: What is wrong with the file and its records.
    """

    num_read: int
    records: list[FoundRecord]
    faults: list[inventory.Fault]


def check_shard(task: ShardTask, dataset: Dataset) -> ShardFindings:
    """Reads a file and checks each record; what a worker process runs."""
    file_name = os.path.basename(task.path)
    records = []
    faults = []
    num_read = 0
    try:
        for frame in tfrecord_files.frames(task.path):
            found, of_record = _check_frame(
                frame, f"{file_name}/record {num_read}", task, dataset
            )
            num_read += 1
            faults += of_record
            if found:
                records.append(found)
        tfrecord_files.check_number(task.path, num_read, task.num_records)
    except errors.ArchiveError as error:
        faults.append(inventory.Fault("broken", file_name, error.reason))
    return ShardFindings(num_read, records, faults)


def _check_frame(
    frame: tfrecord_files.Frame,
    place: str,
    task: ShardTask,
    dataset: Dataset,
) -> tuple[FoundRecord | None, list[inventory.Fault]]:
    reasons = []
    values: Mapping[str, Sequence] = {}
    name = None
    data, is_intact = frame.read()
    if not is_intact:
        reasons.append(
            "is damaged: its checksum is another than when it was written."
        )
    try:
        values = record_features.parse(data, dataset.version)
        name = values["patch_name"][0].decode()
        place = f"{os.path.basename(task.path)}/{name[:100]}"
    except UnicodeDecodeError:
        received = values["patch_name"][0][:100]
        reasons.append(
            "has a patch_name that is not UTF-8. Expected a name of the "
            f"official list. Received: {received!r}"
        )
    except ValueError as error:
        # What else is wrong with a damaged record does not matter.
        reasons += [str(error)] if is_intact else []
    faults = [inventory.Fault("broken", place, reason) for reason in reasons]
    if name is None:
        return None, faults
    patch = None
    if is_intact:
        faults += _faults_of(values, place, dataset)
        patch = None if faults else _describe(values, task.split)
    return FoundRecord(place, name, is_intact, patch), faults


def _faults_of(
    values: Mapping[str, Sequence], place: str, dataset: Dataset
) -> Iterator[inventory.Fault]:
    """Yields what is wrong with a record.

    Args:
      values: From `record_features.parse`; the name is UTF-8.
      place: The file and the name.
      dataset: Of all records.
    """
    arrays = {
        **bigearthnet.GRIDS,
        **{name: bigearthnet.REFERENCE_MAP for name in values.keys() & {_MAP}},
    }
    for name, grid in arrays.items():
        try:
            pixels = _pixels(values[name][0], grid, f"{place}/{name}")
            if name == _MAP:
                _check_map(pixels, dataset.has_maps, f"{place}/{name}")
            elif grid.sensor not in dataset.sensors:
                _check_empty(pixels, f"{place}/{name}")
            else:
                _check_grid(pixels, grid, f"{place}/{name}")
        except errors.ArchiveError as error:
            yield inventory.Fault("broken", error.place, error.reason)
    for reason in (
        *_label_reasons(values, dataset),
        *_range_reasons(values, dataset.version),
        *_name_reasons(values, dataset.version),
    ):
        yield inventory.Fault("broken", place, reason)


def _pixels(data: bytes, grid: bigearthnet.Grid, place: str) -> np.ndarray:
    expected = int(np.prod(grid.shape)) * np.dtype(grid.dtype).itemsize
    if len(data) != expected:
        raise errors.ArchiveError(
            place,
            f"has another size than its grid. Expected {expected:,} bytes, for "
            f"{grid.shape} {grid.dtype}. Received: {len(data):,}",
        )
    return np.frombuffer(data, grid.dtype).reshape(grid.shape)


def _check_map(codes: np.ndarray, has_maps: bool, place: str) -> None:
    plausibility.check_map(codes, place)
    if has_maps and not codes.any():
        raise errors.ArchiveError(
            place,
            "holds nothing but 0, which is no data. Expected a map, as the "
            "archive that it was built of had them.",
        )


def _check_empty(pixels: np.ndarray, place: str) -> None:
    if pixels.any():
        raise errors.ArchiveError(
            place,
            "holds pixels of a sensor that the dataset says it lacks. Expected "
            "nothing but 0.",
        )


def _check_grid(pixels: np.ndarray, grid: bigearthnet.Grid, place: str) -> None:
    bands = [pixels[..., index] for index in range(len(grid.bands))]
    for band, name in zip(bands, grid.bands, strict=True):
        plausibility.check_band(band, grid.sensor, f"{place}/{name}")
    plausibility.check_grid(bands, grid.sensor, place)


def _label_reasons(
    values: Mapping[str, Sequence], dataset: Dataset
) -> Iterator[str]:
    labels_43, labels_19 = values["labels_43"], values["labels_19"]
    version, nomenclatures = dataset.version, dataset.nomenclatures
    for num_classes, labels in ((43, labels_43), (19, labels_19)):
        if labels and num_classes not in nomenclatures:
            yield (
                f"has labels_{num_classes}. Expected none in {version} of "
                f"BigEarthNet. Received: {list(labels)[:50]}"
            )
            return
        if not all(label in range(num_classes) for label in labels):
            yield (
                f"has a label out of range. Expected labels_{num_classes} from "
                f"0 to {num_classes - 1}. Received: {list(labels)[:50]}"
            )
            return
        if len(set(labels)) != len(labels):
            yield f"has a label twice. Received: {list(labels)[:50]}"
            return
    finest = max(nomenclatures)
    if not values[f"labels_{finest}"]:
        yield f"has no label. Expected at least one of the {finest} classes."
    if 43 not in nomenclatures:
        return
    mapped = bigearthnet.labels_43_to_19(
        bigearthnet.CLASSES_43[label] for label in labels_43
    )
    expected = {bigearthnet.CLASSES_19.index(name) for name in mapped}
    if set(labels_19) != expected:
        yield (
            "has labels of the two nomenclatures that contradict each other. "
            f"Expected labels_19 {sorted(expected)}, which follow from "
            f"labels_43 {sorted(labels_43)}. Received: {sorted(labels_19)}"
        )


def _range_reasons(
    values: Mapping[str, Sequence], version: str
) -> Iterator[str]:
    may_be_unknown = version == layout.OWN.version
    for name, number in (
        ("country", len(bigearthnet.COUNTRIES)),
        ("season", len(bigearthnet.SEASONS)),
        ("seasonal_snow", 2),
        ("cloud_or_shadow", 2),
    ):
        value = values[name][0]
        if (
            may_be_unknown
            and name in ("country", "season")
            and value == bigearthnet.UNKNOWN
        ):
            continue
        if value not in range(number):
            yield (
                f"has a {name} out of range. Expected 0 to {number - 1}. "
                f"Received: {value}"
            )


def _name_reasons(
    values: Mapping[str, Sequence], version: str
) -> Iterator[str]:
    """Compares place and times with those that the two names hold.

    Names of own patches hold nothing.

    Args:
      values: From `record_features.parse`.
      version: Key of `layout.LAYOUTS`.
    """
    if version not in _TRUE_CHARACTERS:
        return
    num_characters = _TRUE_CHARACTERS[version]
    try:
        s1_name = values["s1_name"][0].decode()
        epsg, (left, top) = footprints.footprint_of(s1_name)
        footprint = footprints.Footprint(epsg, (float(left), float(top)))
    except (OverflowError, ValueError):
        yield (
            "has an unusable s1_name. Expected one that ends in an MGRS tile "
            f"and two indices. Received: {values['s1_name'][0][:100]!r}"
        )
    else:
        yield from _place_reasons(values, footprint)
        yield from _time_reasons(values, "s1_time", s1_name, num_characters)
    s2_name = values["patch_name"][0].decode()
    yield from _time_reasons(values, "s2_time", s2_name, num_characters)
    for name in values.get("v1_name", ()):
        # Which it must be, the list says.
        if not name.isascii():
            yield (
                "has an unusable v1_name. Expected the name of a patch. "
                f"Received: {name[:100]!r}"
            )


def _place_reasons(
    values: Mapping[str, Sequence], expected: footprints.Footprint
) -> Iterator[str]:
    epsg = values["epsg"][0]
    if epsg != expected.epsg:
        yield (
            f"has another projection than its name says. Expected EPSG "
            f"{expected.epsg}. Received: {epsg}"
        )
    corner = np.array(values["upper_left"])
    if not (np.abs(corner - expected.upper_left) < _FARTHEST_M).all():
        yield (
            "lies elsewhere than its name says. Expected the upper left corner "
            f"{expected.upper_left}. Received: {tuple(values['upper_left'])}"
        )


def _time_reasons(
    values: Mapping[str, Sequence], what: str, name: str, num_characters: int
) -> Iterator[str]:
    """Compares a time with the one that a patch name holds around its "T"."""
    before, _, after = name.partition("T")
    expected = f"{before[-8:]}T{after}"[:num_characters]
    received = values[what][0]
    digits = received.replace(b"-", b"").replace(b":", b"")
    if digits[:num_characters] != expected.encode():
        yield (
            f"has another {what} than its name says. Expected one that begins "
            f"with {expected}. Received: {received[:40]!r}"
        )


def _describe(
    values: Mapping[str, Sequence], split: str
) -> official_lists.OfficialPatch:
    return official_lists.OfficialPatch(
        s2_name=values["patch_name"][0].decode(),
        s1_name=values["s1_name"][0].decode(),
        country=_name_of(values["country"][0], bigearthnet.COUNTRIES),
        season=_name_of(values["season"][0], bigearthnet.SEASONS),
        split=split,
        seasonal_snow=bool(values["seasonal_snow"][0]),
        cloud_or_shadow=bool(values["cloud_or_shadow"][0]),
        labels_19=tuple(
            bigearthnet.CLASSES_19[label]
            for label in sorted(values["labels_19"])
        ),
        v1_name=values.get("v1_name", [b""])[0].decode(),
        labels_43=tuple(
            bigearthnet.CLASSES_43[label]
            for label in sorted(values["labels_43"])
        ),
        s1_time=values["s1_time"][0].decode(errors="replace"),
        s2_time=values["s2_time"][0].decode(errors="replace"),
    )


def _name_of(number: int, names: Sequence[str]) -> str:
    return "" if number == bigearthnet.UNKNOWN else names[number]
