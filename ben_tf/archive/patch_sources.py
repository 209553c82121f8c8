"""Where patches come from: what an archive holds, and the files of a patch."""

import os
import pathlib
from collections.abc import Iterable
from collections.abc import Mapping
from typing import NamedTuple
from typing import Protocol

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import official_lists

# Top folders of the official tarballs, of older ones, and of the examples.
SENSOR_FOLDERS = {
    "S2": ("BigEarthNet-v1.0", "BigEarthNet-S2-v1.0", "BigEarthNet-S2-Example"),
    "S1": ("BigEarthNet-S1-v1.0", "BigEarthNet-S1-Example"),
}
# Names of the official tarballs; an older one had no sensor in its name.
TARBALL_STEMS = {
    "S2": ("BigEarthNet-S2-v1.0", "BigEarthNet-v1.0"),
    "S1": ("BigEarthNet-S1-v1.0",),
}
TAR_SUFFIXES = (".tar", ".tar.gz")
# A folder that holds this file holds invented pixels.
SYNTHETIC_MARKER = "SYNTHETIC.txt"

# No file of the archive comes near; guards memory against a hostile one.
MAX_FILE_BYTES = 1 << 20


def band_name(patch_name: str, band: str) -> str:
    """Returns the name of the GeoTIFF of a band."""
    return f"{patch_name}_{band}.tif"


def json_name(patch_name: str) -> str:
    """Returns the name of the JSON file of a patch."""
    return f"{patch_name}_labels_metadata.json"


def expected_file_names(sensor: str, patch_name: str) -> set[str]:
    """Returns the names of the files of a whole patch: 3 (S1) or 13 (S2)."""
    bands = bigearthnet.S1_BANDS if sensor == "S1" else bigearthnet.S2_BANDS
    names = {band_name(patch_name, band) for band in bands}
    return names | {json_name(patch_name)}


class Source(Protocol):
    """The patches of one sensor; picklable, so that all processes can read."""

    def patch_names(self) -> Iterable[str]:
        """Returns the names of the patches, in any order."""

    def file_names(self, patch_name: str) -> Iterable[str]:
        """Returns the names of the files of a patch, in any order."""

    def read_file(self, patch_name: str, file_name: str) -> bytes:
        """Returns a whole file.

        Raises:
          errors.ArchiveError: It is missing, unreadable or too large.
        """


# The sources of "S1" and "S2".
Archive = Mapping[str, Source]


class FolderSource:
    """An extracted archive: one folder a patch."""

    def __init__(self, folder: str | os.PathLike[str]):
        self._folder = os.fspath(folder)

    def patch_names(self) -> list[str]:
        """Returns the names of all entries that are not hidden."""
        return _visible_names(self._folder)

    def file_names(self, patch_name: str) -> list[str]:
        """Returns the names of all entries that are not hidden."""
        try:
            return _visible_names(f"{self._folder}/{patch_name}")
        except NotADirectoryError:
            return []  # A file with the name of a patch.

    def read_file(self, patch_name: str, file_name: str) -> bytes:
        """Returns a whole file; see `Source.read_file`."""
        place = f"{patch_name}/{file_name}"
        try:
            with open(f"{self._folder}/{place}", "rb", buffering=0) as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError as error:
            raise missing_file(place, self._folder) from error
        except OSError as error:
            raise errors.ArchiveError(
                place, f"cannot be read: {error.strerror}. Check the file."
            ) from error
        if len(data) > MAX_FILE_BYTES:
            raise too_large_file(place)
        return data


def _visible_names(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return [e.name for e in entries if not e.name.startswith(".")]


def missing_file(place: str, source: str) -> errors.ArchiveError:
    """Returns the error for a file that is not there."""
    return errors.ArchiveError(
        place,
        f"is missing in {os.path.basename(source)}. Expected a whole patch; "
        "get or extract it again.",
    )


def too_large_file(place: str) -> errors.ArchiveError:
    """Returns the error for a file that no patch has."""
    return errors.ArchiveError(
        place, f"is too large. Expected at most {MAX_FILE_BYTES} bytes."
    )


def find_sensors(
    archive_dir: str | os.PathLike[str],
) -> dict[str, pathlib.Path]:
    """Finds the folder or the tarball of both sensors; a folder goes first.

    Raises:
      errors.UserError: There is no such folder, or a sensor is missing.
    """
    root = pathlib.Path(archive_dir)
    if not root.is_dir():
        raise errors.UserError(
            f"There is no archive folder {str(root)!r}. Expected a folder that "
            f"holds {SENSOR_FOLDERS['S2'][0]} and {SENSOR_FOLDERS['S1'][0]}, "
            "extracted or as tarballs. Check --archive_dir."
        )
    return {sensor: _find_sensor(root, sensor) for sensor in ("S1", "S2")}


def _find_sensor(root: pathlib.Path, sensor: str) -> pathlib.Path:
    names = SENSOR_FOLDERS[sensor]
    for name in names:
        if (root / name).is_dir():
            return root / name
    for name in (
        n + suffix for n in TARBALL_STEMS[sensor] for suffix in TAR_SUFFIXES
    ):
        if (root / name).is_file():
            return root / name
    raise errors.UserError(
        f"The archive folder {str(root)!r} holds no {sensor} patches. Expected "
        f"a folder named {' or '.join(names)} in it, or a tarball named "
        f"{TARBALL_STEMS[sensor][0]}.tar.gz."
    )


def is_synthetic(archive_dir: str | os.PathLike[str]) -> bool:
    """Whether the archive marks itself as synthetic."""
    return (pathlib.Path(archive_dir) / SYNTHETIC_MARKER).is_file()


class Inventory(NamedTuple):
    """Which pairs an archive holds.

    Attributes:
      pairs: Pairs with both patches present, by S2 name.
      halves: One error for each pair of which one patch is missing.
      unknown: One error for each entry that is no patch of BigEarthNet.
    """

    pairs: list[official_lists.OfficialPatch]
    halves: list[errors.ArchiveError]
    unknown: list[errors.ArchiveError]

    @property
    def problems(self) -> list[errors.ArchiveError]:
        """All errors."""
        return self.halves + self.unknown


def take_inventory(
    archive: Archive, official: Mapping[str, official_lists.OfficialPatch]
) -> Inventory:
    """Compares what is there with the official pairs; opens no file."""
    s2_names = set(archive["S2"].patch_names())
    s1_names = set(archive["S1"].patch_names())
    pairs = []
    halves = []
    unknown = []
    for s2_name in sorted(s2_names):
        patch = official.get(s2_name)
        if patch is None:
            unknown.append(_unknown_patch(s2_name))
        elif patch.s1_name in s1_names:
            pairs.append(patch)
            s1_names.remove(patch.s1_name)
        else:
            halves.append(
                errors.ArchiveError(
                    s2_name,
                    f"has no S1 patch. Expected {patch.s1_name} beside it; "
                    "extract the S1 archive again.",
                )
            )
    if s1_names:
        s2_of_s1 = {
            patch.s1_name: patch.s2_name
            for patch in official.values()
            if patch.s1_name in s1_names
        }
        for s1_name in sorted(s1_names):
            if s1_name not in s2_of_s1:
                unknown.append(_unknown_patch(s1_name))
                continue
            halves.append(
                errors.ArchiveError(
                    s1_name,
                    f"has no S2 patch. Expected {s2_of_s1[s1_name]} beside it; "
                    "extract the S2 archive again.",
                )
            )
    return Inventory(pairs, halves, unknown)


def _unknown_patch(name: str) -> errors.ArchiveError:
    return errors.ArchiveError(
        name,
        "is no patch of BigEarthNet v1.0. Expected only names on the official "
        "list; remove it.",
    )
