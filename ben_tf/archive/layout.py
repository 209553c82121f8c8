"""How the archive lies on disk: names of its folders, tarballs and files."""

import itertools
import os
import pathlib
from collections.abc import Sequence

from ben_tf import bigearthnet
from ben_tf import errors

# Top folders of the official tarballs, of older ones, and of the examples.
SENSOR_FOLDERS = {
    "S1": ("BigEarthNet-S1-v1.0", "BigEarthNet-S1-Example"),
    "S2": ("BigEarthNet-v1.0", "BigEarthNet-S2-v1.0", "BigEarthNet-S2-Example"),
}
# Names of the official tarballs; an older one had no sensor in its name.
TARBALL_STEMS = {
    "S1": ("BigEarthNet-S1-v1.0",),
    "S2": ("BigEarthNet-S2-v1.0", "BigEarthNet-v1.0"),
}
TAR_SUFFIXES = (".tar", ".tar.gz")
# What systems put next to folders.
_HIDDEN = (".", "__MACOSX")
# An archive that holds this file holds generated pixels.
SYNTHETIC_MARKER = "SYNTHETIC.txt"


def band_name(patch_name: str, band: str) -> str:
    """Returns the name of the GeoTIFF of a band."""
    return f"{patch_name}_{band}.tif"


def json_name(patch_name: str) -> str:
    """Returns the name of the JSON file of a patch."""
    return f"{patch_name}_labels_metadata.json"


def file_names(sensor: str, patch_name: str) -> list[str]:
    """Returns the names of the files of a whole patch: 3 (S1) or 13 (S2)."""
    bands = bigearthnet.BANDS[sensor]
    names = [band_name(patch_name, band) for band in bands]
    return [*names, json_name(patch_name)]


def find_sensors(
    archive_dir: str | os.PathLike[str], sensors: Sequence[str] = ("S1", "S2")
) -> dict[str, pathlib.Path]:
    """Finds the folder or the tarball of each sensor; a folder wins.

    Args:
      archive_dir: Folder of the archive.
      sensors: Which of "S1" and "S2" are needed.

    Raises:
      errors.UserError: There is no such folder, or a sensor is missing.
    """
    root = pathlib.Path(archive_dir)
    if not root.is_dir():
        raise errors.UserError(
            f"There is no archive folder {str(root)!r}. Expected a folder that "
            f"holds {SENSOR_FOLDERS['S2'][0]} and {SENSOR_FOLDERS['S1'][0]}, "
            "extracted or as tarballs. Check `archive_dir`."
        )
    return {sensor: _find_sensor(root, sensor) for sensor in sensors}


def _find_sensor(root: pathlib.Path, sensor: str) -> pathlib.Path:
    names = SENSOR_FOLDERS[sensor]
    for name in names:
        if (root / name).is_dir():
            return _innermost(root / name)
    for stem, suffix in itertools.product(TARBALL_STEMS[sensor], TAR_SUFFIXES):
        path = root / (stem + suffix)
        if path.is_file():
            return path
    raise errors.UserError(
        f"The archive folder {str(root)!r} holds no {sensor} patches. Expected "
        f"a folder named {' or '.join(names)} in it, or a tarball named "
        f"{TARBALL_STEMS[sensor][0]}.tar.gz."
    )


def _innermost(folder: pathlib.Path) -> pathlib.Path:
    """The folder with the patches, where one was extracted into itself.

    Raises:
      errors.UserError: Patches lie in both.
    """
    inner = folder / folder.name
    if not inner.is_dir():
        return folder
    with os.scandir(folder) as entries:
        others = (
            entry.name
            for entry in entries
            if entry.is_dir()
            and entry.name != folder.name
            and not entry.name.startswith(_HIDDEN)
        )
        if other := next(others, None):
            raise errors.UserError(
                f"Patches lie in {folder}, such as {other}, and in the folder "
                f"of the same name in it. Expected all in one: move those of "
                f"{inner} to {folder}."
            )
    return _innermost(inner)


def is_synthetic(archive_dir: str | os.PathLike[str]) -> bool:
    """Whether the archive says that its pixels are generated."""
    return (pathlib.Path(archive_dir) / SYNTHETIC_MARKER).is_file()
