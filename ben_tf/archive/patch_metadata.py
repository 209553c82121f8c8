"""What is known of a pair beside its pixels, from where its version has it.

In v1.0 each patch has a JSON file. In v2.0 there is none: labels stand in the
tables that come with it, times in the names, and the place in the GeoTIFFs.
"""

import datetime
import re
import types
from typing import NamedTuple

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import footprints
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import patch_json
from ben_tf.archive import patch_sources

_TIME = re.compile(r"_(\d{8}T\d{6})_")


class PatchMetadata(NamedTuple):
    """What is known of a pair.

    Attributes:
      labels_43: Names of the 43-class nomenclature, in the order of CLASSES_43;
        empty in v2.0, which has none.
      labels_19: Names of the 19-class nomenclature, in the order of CLASSES_19.
      footprint: Where both patches lie; None if only their GeoTIFFs say so.
      s1_time: Acquisition of the S1 patch in UTC, ISO 8601; "" if own data do
        not say.
      s2_time: Acquisition of the S2 patch in UTC, likewise.
    """

    labels_43: tuple[str, ...]
    labels_19: tuple[str, ...]
    footprint: footprints.Footprint | None
    s1_time: str
    s2_time: str


def read(
    archive: patch_sources.Archive, official: official_lists.OfficialPatch
) -> PatchMetadata:
    """Reads and checks what is known of a pair.

    Raises:
      errors.ArchiveError: It is missing or unusable, or the patches contradict
        each other or the official pairing.
    """
    return _READERS[archive.version](archive, official)


def labels(
    archive: patch_sources.Archive, official: official_lists.OfficialPatch
) -> tuple[str, ...]:
    """Names of a pair's labels, of all nomenclatures that it has labels of.

    Raises:
      errors.ArchiveError: The file that holds them is missing or unusable.
    """
    return _LABELS[archive.version](archive, official)


def _labels_of_json(
    archive: patch_sources.Archive, official: official_lists.OfficialPatch
) -> tuple[str, ...]:
    found = read_json(archive["S2"], "S2", official.s2_name).labels
    return (*found, *bigearthnet.labels_43_to_19(found))


def _labels_of_list(
    archive: patch_sources.Archive, official: official_lists.OfficialPatch
) -> tuple[str, ...]:
    del archive
    return (*official.labels_43, *official.labels_19)


def _of_json(
    archive: patch_sources.Archive, official: official_lists.OfficialPatch
) -> PatchMetadata:
    s1 = read_json(archive["S1"], "S1", official.s1_name)
    s2 = read_json(archive["S2"], "S2", official.s2_name)
    check_agreement(s1, s2, official)
    return PatchMetadata(
        labels_43=s2.labels,
        labels_19=bigearthnet.labels_43_to_19(s2.labels),
        footprint=s2.footprint,
        s1_time=s1.time,
        s2_time=s2.time,
    )


def _of_list(
    archive: patch_sources.Archive, official: official_lists.OfficialPatch
) -> PatchMetadata:
    del archive
    return PatchMetadata(
        labels_43=(),
        labels_19=official.labels_19,
        footprint=None,
        s1_time=time_in(official.s1_name).isoformat(),
        s2_time=time_in(official.s2_name).isoformat(),
    )


def _of_table(
    archive: patch_sources.Archive, official: official_lists.OfficialPatch
) -> PatchMetadata:
    del archive
    return PatchMetadata(
        labels_43=official.labels_43,
        labels_19=official.labels_19,
        footprint=None,
        s1_time=official.s1_time,
        s2_time=official.s2_time,
    )


_READERS = types.MappingProxyType(
    {
        layout.V1.version: _of_json,
        layout.V2.version: _of_list,
        layout.OWN.version: _of_table,
    }
)
_LABELS = types.MappingProxyType(
    {
        layout.V1.version: _labels_of_json,
        layout.V2.version: _labels_of_list,
        layout.OWN.version: _labels_of_list,
    }
)


def time_in(name: str) -> datetime.datetime:
    """The time in UTC in the name of a patch of either sensor.

    Raises:
      ValueError: There is none in it.
    """
    (text,) = _TIME.findall(name)
    return datetime.datetime.strptime(text, "%Y%m%dT%H%M%S")


def read_json(
    source: patch_sources.Source, sensor: str, patch_name: str
) -> patch_json.PatchJson:
    """Reads and checks the JSON of a patch.

    Args:
      source: The patches of the sensor.
      sensor: "S1" or "S2".
      patch_name: Name of the patch.

    Raises:
      errors.ArchiveError: It is missing or unusable.
    """
    file_name = layout.json_name(patch_name)
    return patch_json.parse(
        source.read_file(patch_name, file_name),
        place=f"{patch_name}/{file_name}",
        sensor=sensor,
    )


def check_agreement(
    s1: patch_json.PatchJson,
    s2: patch_json.PatchJson,
    official: official_lists.OfficialPatch,
) -> None:
    """Compares the JSON files of a pair with each other and the official list.

    Raises:
      errors.ArchiveError: They differ.
    """
    s1_file = f"{official.s1_name}/{layout.json_name(official.s1_name)}"
    if s1.s2_name != official.s2_name:
        raise errors.ArchiveError(
            s1_file,
            f"names the S2 patch {s1.s2_name[:100]!r}. Expected "
            f"{official.s2_name}, as on the official list.",
        )
    for what, in_s1, in_s2 in (
        ("other labels", s1.labels, s2.labels),
        ("another footprint", tuple(s1.footprint), tuple(s2.footprint)),
    ):
        if in_s1 != in_s2:
            raise errors.ArchiveError(
                s1_file,
                f"gives {what} than the JSON of its S2 patch "
                f"{official.s2_name}. Expected {in_s2}. Received: {in_s1}",
            )
