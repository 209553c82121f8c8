"""Where patches come from: what an archive holds, and the files of a patch."""

import os
import pathlib
from collections.abc import Iterable
from collections.abc import Mapping
from typing import NamedTuple
from typing import Protocol

from ben_tf import command_line
from tfrecords_builder import errors
from tfrecords_builder import splits

# Top folders of the official tarballs, of older ones, and of the examples.
SENSOR_FOLDERS = {
    "S2": ("BigEarthNet-v1.0", "BigEarthNet-S2-v1.0", "BigEarthNet-S2-Example"),
    "S1": ("BigEarthNet-S1-v1.0", "BigEarthNet-S1-Example"),
}
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


class Archive(Protocol):
    """What the conversion needs of an archive; must be picklable."""

    def patch_names(self, sensor: str) -> Iterable[str]:
        """Returns the names of the patches of a sensor, in any order."""

    def read_file(self, sensor: str, patch_name: str, file_name: str) -> bytes:
        """Returns a whole file.

        Raises:
          errors.ArchiveError: It is missing, unreadable or too large.
        """


class FolderArchive:
    """The two extracted folders, one folder a patch."""

    def __init__(self, archive_dir: str | os.PathLike[str]):
        """Finds the folders of both sensors.

        Raises:
          command_line.UserError: There is no such folder, or it does not hold
            both sensors.
        """
        root = pathlib.Path(archive_dir)
        if not root.is_dir():
            raise command_line.UserError(
                f"There is no archive folder {str(root)!r}. Expected a folder "
                f"that holds {SENSOR_FOLDERS['S2'][0]} and "
                f"{SENSOR_FOLDERS['S1'][0]}. Check --archive_dir."
            )
        self._folders = {
            sensor: str(_find_sensor_folder(root, sensor))
            for sensor in SENSOR_FOLDERS
        }

    def patch_names(self, sensor: str) -> list[str]:
        """Returns the names of all entries that are not hidden."""
        with os.scandir(self._folders[sensor]) as entries:
            return [e.name for e in entries if not e.name.startswith(".")]

    def read_file(self, sensor: str, patch_name: str, file_name: str) -> bytes:
        """Returns a whole file; see `Archive.read_file`."""
        folder = self._folders[sensor]
        try:
            with open(
                f"{folder}/{patch_name}/{file_name}", "rb", buffering=0
            ) as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError as error:
            raise errors.ArchiveError(
                f"{patch_name}/{file_name}",
                f"is missing in {os.path.basename(folder)}. Expected a whole "
                "patch; extract it again.",
            ) from error
        except OSError as error:
            raise errors.ArchiveError(
                f"{patch_name}/{file_name}",
                f"cannot be read: {error.strerror}. Check the file.",
            ) from error
        if len(data) > MAX_FILE_BYTES:
            raise errors.ArchiveError(
                f"{patch_name}/{file_name}",
                f"is too large. Expected at most {MAX_FILE_BYTES} bytes.",
            )
        return data


def _find_sensor_folder(root: pathlib.Path, sensor: str) -> pathlib.Path:
    for name in SENSOR_FOLDERS[sensor]:
        if (root / name).is_dir():
            return root / name
    raise command_line.UserError(
        f"The archive folder {str(root)!r} holds no {sensor} patches. Expected "
        f"a folder named {' or '.join(SENSOR_FOLDERS[sensor])} in it."
    )


def is_synthetic(archive_dir: str | os.PathLike[str]) -> bool:
    """Whether the archive marks itself as synthetic."""
    return (pathlib.Path(archive_dir) / SYNTHETIC_MARKER).is_file()


class Inventory(NamedTuple):
    """Which pairs an archive holds.

    Attributes:
      pairs: Pairs with both patches present, by S2 name.
      problems: One error for each pair of which one patch is missing and for
        each entry that is no patch of BigEarthNet.
    """

    pairs: list[splits.OfficialPatch]
    problems: list[errors.ArchiveError]


def take_inventory(
    archive: Archive, official: Mapping[str, splits.OfficialPatch]
) -> Inventory:
    """Compares what is there with the official pairs; opens no file."""
    s2_names = set(archive.patch_names("S2"))
    s1_names = set(archive.patch_names("S1"))
    pairs = []
    problems = []
    for s2_name in sorted(s2_names):
        patch = official.get(s2_name)
        if patch is None:
            problems.append(_unknown_patch(s2_name))
        elif patch.s1_name in s1_names:
            pairs.append(patch)
            s1_names.remove(patch.s1_name)
        else:
            problems.append(
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
            s2_name = s2_of_s1.get(s1_name)
            problems.append(
                errors.ArchiveError(
                    s1_name,
                    f"has no S2 patch. Expected {s2_name} beside it; extract "
                    "the S2 archive again.",
                )
                if s2_name
                else _unknown_patch(s1_name)
            )
    return Inventory(pairs, problems)


def _unknown_patch(name: str) -> errors.ArchiveError:
    return errors.ArchiveError(
        name,
        "is no patch of BigEarthNet v1.0. Expected only names on the official "
        "list; remove it.",
    )
