"""How the archive lies on disk: names of its folders, tarballs and files."""

import dataclasses
import itertools
import os
import pathlib
import re
import types
from collections.abc import Mapping
from collections.abc import Sequence

from ben_tf import bigearthnet
from ben_tf import errors


@dataclasses.dataclass(frozen=True)
class SensorLayout:
    """How the patches of a sensor lie, in folders or in a tarball.

    Attributes:
      folders: Names of the top folder: of the official tarball, of older ones
        and of the examples.
      tarball_stems: Names of its tarball without suffix, the official one
        first.
      entries: What the names in the top folder look like, of patches or of
        scenes.
      endings: What the files of a patch have after its name.
      scene_parts: How many parts the name of a patch has more than that of its
        scene, in whose folder it lies; 0 where there are no such folders.
      largest_tar_bytes: More than the official tarball holds, inflated.
    """

    folders: tuple[str, ...]
    tarball_stems: tuple[str, ...]
    entries: re.Pattern[str]
    endings: tuple[str, ...]
    scene_parts: int
    largest_tar_bytes: int

    def scene_of(self, patch_name: str) -> str:
        """Name of the folder that a patch lies in; "" for the top folder."""
        if not self.scene_parts:
            return ""
        return patch_name.rsplit("_", self.scene_parts)[0]

    def place_of(self, patch_name: str) -> str:
        """Path of a patch below the top folder."""
        scene = self.scene_of(patch_name)
        return f"{scene}/{patch_name}" if scene else patch_name

    def file_names(self, patch_name: str) -> list[str]:
        """Names of the files of a whole patch."""
        return [patch_name + ending for ending in self.endings]


@dataclasses.dataclass(frozen=True)
class Layout:
    """A version of the archive on disk.

    Attributes:
      version: Its name here.
      title: Its name in sentences.
      sensors: By name, as in `bigearthnet.BANDS`.
      maps: Of the reference maps, which an archive may lack; None: there are
        none.
      tar_suffixes: Of tarballs, plain and as downloaded.
      tables: Names of the files beside the folders that list the pairs.
    """

    version: str
    title: str
    sensors: Mapping[str, SensorLayout]
    maps: SensorLayout | None
    tar_suffixes: tuple[str, ...]
    tables: tuple[str, ...]

    @property
    def all_layouts(self) -> dict[str, SensorLayout]:
        """Those of the sensors and, as `MAPS`, of the maps."""
        return {**self.sensors, **({MAPS: self.maps} if self.maps else {})}


# Stands where the name of a sensor does.
MAPS = "maps"
_S1_SCENE = r"S1[AB]_IW_GRDH_1SDV_\d{8}T\d{6}"
_S2_DATE = r"S2[AB]_MSIL2A_\d{8}"
_S2_SCENE = rf"{_S2_DATE}T\d{{6}}_N9999_R\d{{3}}_T\d\d[A-Z]{{3}}"
_JSON_ENDING = "_labels_metadata.json"


def _endings(sensor: str) -> tuple[str, ...]:
    return tuple(f"_{band}.tif" for band in bigearthnet.BANDS[sensor])


V1 = Layout(
    version="v1",
    title="BigEarthNet v1.0",
    sensors={
        "S1": SensorLayout(
            folders=("BigEarthNet-S1-v1.0", "BigEarthNet-S1-Example"),
            tarball_stems=("BigEarthNet-S1-v1.0",),
            entries=re.compile(rf"{_S1_SCENE}_\d\d[A-Z]{{3}}_\d+_\d+"),
            endings=(*_endings("S1"), _JSON_ENDING),
            scene_parts=0,
            largest_tar_bytes=76_000_000_000,  # It has 73 GB.
        ),
        "S2": SensorLayout(
            folders=(
                "BigEarthNet-v1.0",
                "BigEarthNet-S2-v1.0",
                "BigEarthNet-S2-Example",
            ),
            # An older one had no sensor in its name.
            tarball_stems=("BigEarthNet-S2-v1.0", "BigEarthNet-v1.0"),
            entries=re.compile(rf"{_S2_DATE}T\d{{5,6}}_\d+_\d+"),
            endings=(*_endings("S2"), _JSON_ENDING),
            scene_parts=0,
            largest_tar_bytes=108_000_000_000,  # It has 104 GB.
        ),
    },
    maps=None,
    tar_suffixes=(".tar", ".tar.gz"),
    tables=(),
)
V2 = Layout(
    version="v2",
    title="BigEarthNet v2.0",
    sensors={
        "S1": SensorLayout(
            folders=("BigEarthNet-S1",),
            tarball_stems=("BigEarthNet-S1",),
            entries=re.compile(_S1_SCENE),
            endings=_endings("S1"),
            scene_parts=3,
            largest_tar_bytes=80_000_000_000,
        ),
        "S2": SensorLayout(
            folders=("BigEarthNet-S2",),
            tarball_stems=("BigEarthNet-S2",),
            entries=re.compile(_S2_SCENE),
            endings=_endings("S2"),
            scene_parts=2,
            largest_tar_bytes=115_000_000_000,
        ),
    },
    maps=SensorLayout(
        folders=("Reference_Maps",),
        tarball_stems=("Reference_Maps",),
        entries=re.compile(_S2_SCENE),
        endings=("_reference_map.tif",),
        scene_parts=2,
        # Uncompressed maps would have 16 GB.
        largest_tar_bytes=20_000_000_000,
    ),
    tar_suffixes=(".tar", ".tar.zst"),
    tables=(
        "metadata.parquet",
        "metadata_for_patches_with_snow_cloud_or_shadow.parquet",
    ),
)
_NOWHERE = SensorLayout(
    folders=(),
    tarball_stems=(),
    entries=re.compile("(?!)"),
    endings=(),
    scene_parts=0,
    largest_tar_bytes=0,
)
# Patches that somebody lists in a table, `own_table`; it says where files are.
OWN = Layout(
    version=bigearthnet.OWN,
    title="own data",
    sensors={
        sensor: dataclasses.replace(_NOWHERE, endings=_endings(sensor))
        for sensor in bigearthnet.BANDS
    },
    maps=None,
    tar_suffixes=(),
    tables=("own_patches.csv",),
)
LAYOUTS = types.MappingProxyType({x.version: x for x in (V1, V2, OWN)})
# Those of BigEarthNet.
OFFICIAL = (V1.version, V2.version)

# A hint is not worth reading half a million names.
_MOST_LOOKED_AT = 200
# How other programs end the names of GeoTIFFs, in lower case.
_TIFF = ("tif", "tiff")
# What the names of files end in that say what a patch shows; v2.0 has none.
METADATA_ENDINGS = frozenset({_JSON_ENDING})
# What systems put next to folders.
_HIDDEN = (".", "__MACOSX")
# An archive that holds this file holds generated pixels.
SYNTHETIC_MARKER = "SYNTHETIC.txt"


def band_name(patch_name: str, band: str) -> str:
    """Returns the name of the GeoTIFF of a band."""
    return f"{patch_name}_{band}.tif"


def usual_name(file_name: str) -> str:
    """Returns the name with .tif where it ends in .tiff, .TIF or .TIFF."""
    stem, dot, suffix = file_name.rpartition(".")
    return f"{stem}.tif" if dot and suffix.lower() in _TIFF else file_name


def json_name(patch_name: str) -> str:
    """Returns the name of the JSON file of a patch."""
    return patch_name + _JSON_ENDING


def find_version(
    archive_dir: str | os.PathLike[str], sensors: Sequence[str] = ("S1", "S2")
) -> Layout:
    """Finds out which version of the archive a folder holds.

    Args:
      archive_dir: Folder of the archive.
      sensors: Which of "S1" and "S2" are needed.

    Raises:
      errors.UserError: There is no such folder, it holds no version or both, or
        a sensor is missing.
    """
    root = _existing(archive_dir)
    found = [
        layout
        for layout in LAYOUTS.values()
        if any(_find(root, layout, layout.sensors[x]) for x in sensors)
    ]
    if len(found) > 1:
        raise errors.UserError(
            f"The archive folder {str(root)!r} holds more than one version: "
            f"{' and '.join(x.title for x in found)}. Put each into a folder "
            "of its own."
        )
    return found[0] if found else V1


def find_sensors(
    archive_dir: str | os.PathLike[str],
    sensors: Sequence[str] = ("S1", "S2"),
    *,
    layout: Layout = V1,
) -> dict[str, pathlib.Path]:
    """Finds the folder or the tarball of each sensor; a folder wins.

    Args:
      archive_dir: Folder of the archive.
      sensors: Which of "S1" and "S2" are needed.
      layout: Which version it holds.

    Raises:
      errors.UserError: There is no such folder, a sensor is missing, or it
        holds another version.
    """
    root = _existing(archive_dir)
    found = {}
    for sensor in sensors:
        path = _find(root, layout, layout.sensors[sensor])
        if path is None:
            raise _missing(root, layout, sensor)
        found[sensor] = path
    return found


def _existing(archive_dir: str | os.PathLike[str]) -> pathlib.Path:
    root = pathlib.Path(archive_dir)
    if not root.is_dir():
        raise errors.UserError(
            f"There is no archive folder {str(root)!r}. Expected a folder that "
            "holds the folders or tarballs of BigEarthNet, such as "
            f"{V1.sensors['S2'].folders[0]} and {V1.sensors['S1'].folders[0]}. "
            "Check `archive_dir`."
        )
    return root


def find_maps(
    archive_dir: str | os.PathLike[str], layout: Layout
) -> pathlib.Path | None:
    """Finds the folder or the tarball of the reference maps, if there is one.

    Args:
      archive_dir: Folder of the archive.
      layout: Which version it holds.

    Raises:
      errors.UserError: Maps lie in a folder and in one of its name in it.
    """
    if layout.maps is None:
        return None
    return _find(pathlib.Path(archive_dir), layout, layout.maps)


def _find(
    root: pathlib.Path, layout: Layout, names: SensorLayout
) -> pathlib.Path | None:
    for name in names.folders:
        if (root / name).is_dir():
            return _innermost(root / name)
    for stem, suffix in itertools.product(
        names.tarball_stems, layout.tar_suffixes
    ):
        path = root / (stem + suffix)
        if path.is_file():
            return path
    return None


def _missing(
    root: pathlib.Path, layout: Layout, sensor: str
) -> errors.UserError:
    """Says what a folder lacks, and where that seems to be instead."""
    names = layout.sensors[sensor]
    return errors.UserError(
        f"The archive folder {str(root)!r} holds no {sensor} patches of "
        f"{layout.title}. Expected a folder named "
        f"{' or '.join(names.folders)} in it, or a tarball named "
        f"{names.tarball_stems[0]}{layout.tar_suffixes[-1]}."
        f"{_hint(root, layout, sensor)}"
    )


def _hint(root: pathlib.Path, layout: Layout, sensor: str) -> str:
    """Where the patches lie instead; "" if nowhere near."""
    for other in LAYOUTS.values():
        if other != layout and _find(root, other, other.sensors[sensor]):
            return (
                f" It holds those of {other.title}: pass "
                f"`version={other.version}` to build these."
            )
    for found in (layout, *LAYOUTS.values()):
        for name, of_sensor in found.sensors.items():
            if _holds_entries(root, of_sensor):
                return (
                    f" It is itself the folder of {name} patches of "
                    f"{found.title}. Pass the folder above it, {root.parent}, "
                    "with this one in it under the name "
                    f"{of_sensor.folders[0]}."
                )
        names = found.sensors[sensor]
        for folder in _folders_in(root):
            if _holds_entries(folder, names):
                return (
                    f" {folder} holds {sensor} patches of {found.title}: "
                    f"rename it to {names.folders[0]}."
                )
            if _find(folder, found, names):
                return f" {folder} holds {found.title}: pass that folder."
    return ""


def _folders_in(folder: pathlib.Path) -> list[pathlib.Path]:
    with os.scandir(folder) as entries:
        found = [
            pathlib.Path(entry)
            for entry in itertools.islice(entries, _MOST_LOOKED_AT)
            if entry.is_dir() and not entry.name.startswith(_HIDDEN)
        ]
    return sorted(found)


def _holds_entries(folder: pathlib.Path, names: SensorLayout) -> bool:
    return any(names.entries.fullmatch(x.name) for x in _folders_in(folder))


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
