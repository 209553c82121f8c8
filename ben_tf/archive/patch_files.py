"""Reads the patches to predict from their folders, or a whole archive."""

import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import footprints
from ben_tf.archive import known_pairs
from ben_tf.archive import layout
from ben_tf.archive import open_archive
from ben_tf.archive import patch_metadata
from ben_tf.archive import patch_pair
from ben_tf.archive import patch_sources


class Patch(NamedTuple):
    """One patch.

    Attributes:
      name: Name of the Sentinel-2 patch, or of the Sentinel-1 patch where that
        is all there is.
      grids: Arrays (size, size, bands), keys of `bigearthnet.GRIDS`.
      footprint: Where it lies.
      labels: Number of classes -> names of its labels, for the nomenclatures
        that something beside the pixels gives them in; empty for new images.
    """

    name: str
    grids: dict[str, np.ndarray]
    footprint: footprints.Footprint
    labels: Mapping[int, Sequence[str]]


# A patch, or what is wrong with it.
Item = Patch | errors.UserError


def from_folders(paths: Sequence[str], grids: Sequence[str]) -> Item:
    """Reads one patch from its folder, or a pair from its two folders.

    A folder belongs to the sensor that its name begins with (S1A_..., S2B_...).

    Args:
      paths: One or two folders of patches.
      grids: Which arrays to read, keys of `bigearthnet.GRIDS`.

    Returns:
      The patch, or the error that keeps it from being read.

    Raises:
      errors.UserError: A folder is missing, or not one of a patch.
    """
    names: dict[str, str] = {}
    sources: dict[str, patch_sources.Source] = {}
    for path in map(pathlib.Path, paths):
        folder = path.resolve()
        if not folder.is_dir():
            raise errors.UserError(
                f"There is no folder {path}. Expected the folder of a patch, "
                "or of an archive. Check `input`."
            )
        sensor = folder.name[:2]
        if sensor not in ("S1", "S2") or sensor in names:
            raise errors.UserError(
                "Expected the folder of a Sentinel-2 patch (S2A_..., S2B_...) "
                "and, or, of a Sentinel-1 patch (S1A_..., S1B_...). Received: "
                f"{', '.join(paths)}"
            )
        names[sensor] = folder.name
        sources[sensor] = patch_sources.FolderSource(folder.parent)
    for sensor in _sensors(grids):
        if sensor not in names:
            raise errors.UserError(
                f"The model looks at {sensor}. Expected the folder of the "
                f"{sensor} patch as well: `input=S2_FOLDER,S1_FOLDER`."
            )
    archive = patch_sources.Archive(layout.V1.version, sources)
    beside = _by_json(archive, "", _sensors(grids))
    return _read(archive, names, grids, beside)


def from_archive(
    archive_dir: str | os.PathLike,
    grids: Sequence[str],
    *,
    scratch_dir: str | os.PathLike,
    names: Sequence[str] | None = None,
) -> tuple[int, Iterator[Item]]:
    """Reads the patches of an archive, extracted or in tarballs.

    Where both sensors are read, the JSON of an S1 patch names its S2 partner;
    in v2.0 the tables beside the archive do.

    Args:
      archive_dir: The archive; for grids of one sensor, that sensor suffices.
      grids: Which arrays to read, keys of `bigearthnet.GRIDS`.
      scratch_dir: Where tarballs are indexed, see `open_archive`.
      names: Which patches, as of `names_in_folders`; None: all.

    Returns:
      The number of patches, and for each the patch or the error that keeps it
      from being read.

    Raises:
      errors.UserError: See `open_archive.open_archive`.
    """
    sensors = _sensors(grids)
    archive = open_archive.open_archive(
        archive_dir, sensors=sensors, scratch_dir=scratch_dir
    )
    if names is None:
        names = sorted(archive[sensors[0]].patch_names())
    beside = _BESIDE[archive.version](archive, archive_dir, sensors)
    return len(names), (
        _read(archive, {sensors[0]: name}, grids, beside) for name in names
    )


def names_in_folders(
    archive_dir: str | os.PathLike, grids: Sequence[str]
) -> list[str]:
    """Names of the patches that `from_archive` reads, in its order.

    Args:
      archive_dir: The archive.
      grids: Which arrays are to be read, keys of `bigearthnet.GRIDS`.

    Raises:
      errors.UserError: As of `from_archive`; or it lies in tarballs, which each
        process that reads a part would have to look through.
    """
    sensors = _sensors(grids)
    lies = layout.find_version(archive_dir, sensors)
    for path in layout.find_sensors(archive_dir, sensors, layout=lies).values():
        if path.is_file():
            raise errors.UserError(
                f"{path} is a tarball, which each worker would have to look "
                "through. Extract it, or leave out `beam_runner`."
            )
    archive = open_archive.open_archive(archive_dir, sensors=sensors)
    return sorted(archive[sensors[0]].patch_names())


class _Beside(NamedTuple):
    """What is known of patches beside their pixels.

    Attributes:
      partner: S1 name -> S2 name.
      labels: Names of a patch by sensor -> its labels, as `Patch.labels`.
    """

    partner: Callable[[str], str]
    labels: Callable[[Mapping[str, str]], Mapping[int, Sequence[str]]]


def _no_partner(s1_name: str) -> str:
    raise errors.ArchiveError(s1_name, "has no known S2 patch.")


def _by_json(
    archive: patch_sources.Archive,
    archive_dir: str | os.PathLike,
    sensors: Sequence[str],
) -> _Beside:
    del archive_dir, sensors

    def labels(names: Mapping[str, str]) -> Mapping[int, Sequence[str]]:
        sensor = max(names)
        try:
            found = patch_metadata.read_json(
                archive[sensor], sensor, names[sensor]
            ).labels
        except patch_sources.UnreadableError:
            raise
        except errors.ArchiveError:
            # New images have none, and are predicted all the same.
            return {}
        return {43: found, 19: bigearthnet.labels_43_to_19(found)}

    return _Beside(
        lambda s1_name: (
            patch_metadata.read_json(archive["S1"], "S1", s1_name).s2_name
        ),
        labels,
    )


def _by_list(
    archive: patch_sources.Archive,
    archive_dir: str | os.PathLike,
    sensors: Sequence[str],
) -> _Beside:
    tables = layout.LAYOUTS[archive.version].tables
    if len(sensors) == 1 and not all(
        pathlib.Path(archive_dir, table).exists() for table in tables
    ):
        # Patches of one sensor are found without them.
        return _NOTHING_BESIDE
    official = known_pairs.read(archive.version, archive_dir)
    s2_names = {pair.s1_name: pair.s2_name for pair in official.values()}

    def labels(names: Mapping[str, str]) -> Mapping[int, Sequence[str]]:
        pair = official.get(names.get("S2") or s2_names.get(names["S1"], ""))
        return {19: pair.labels_19} if pair else {}

    return _Beside(
        lambda s1_name: s2_names.get(s1_name) or _no_partner(s1_name), labels
    )


_NOTHING_BESIDE = _Beside(_no_partner, lambda names: {})
_BESIDE = {layout.V1.version: _by_json, layout.V2.version: _by_list}


def is_archive(path: str | os.PathLike) -> bool:
    """Whether a folder holds patches rather than being one."""
    return not pathlib.Path(path).resolve().name.startswith(("S1", "S2"))


def _sensors(grids: Sequence[str]) -> list[str]:
    """Sensors of the grids, S1 first."""
    return sorted({bigearthnet.GRIDS[name].sensor for name in grids})


def _read(
    archive: patch_sources.Archive,
    names: dict[str, str],
    grids: Sequence[str],
    beside: _Beside,
) -> Item:
    """Reads the bands of a patch; returns an error instead of raising it."""
    arrays = {}
    places: set[footprints.Footprint] = set()
    try:
        for grid_name in grids:
            grid = bigearthnet.GRIDS[grid_name]
            if grid.sensor not in names:
                names["S2"] = beside.partner(names["S1"])
            name = names[grid.sensor]
            array, found = patch_pair.read_grid(
                archive[grid.sensor], name, grid
            )
            arrays[grid_name] = array
            places |= found
        if len(places) > 1:
            raise errors.UserError(
                f"The bands of {' and '.join(sorted(names.values()))} do not "
                "cover the same ground. Expected one pair of patches."
            )
        labels = beside.labels(names)
    except errors.UserError as error:
        return error
    name = names.get("S2") or names["S1"]
    return Patch(name, arrays, places.pop(), labels)
