"""Reads the patches to predict from their folders, or a whole archive."""

import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
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
    """

    name: str
    grids: dict[str, np.ndarray]
    footprint: footprints.Footprint


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
    return _read(archive, names, grids, _no_partner)


def from_archive(
    archive_dir: str | os.PathLike,
    grids: Sequence[str],
    *,
    scratch_dir: str | os.PathLike,
) -> tuple[int, Iterator[Item]]:
    """Reads all patches of an archive, extracted or in tarballs.

    Where both sensors are read, the JSON of an S1 patch names its S2 partner;
    in v2.0 the tables beside the archive do.

    Args:
      archive_dir: The archive; for grids of one sensor, that sensor suffices.
      grids: Which arrays to read, keys of `bigearthnet.GRIDS`.
      scratch_dir: Where tarballs are indexed, see `open_archive`.

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
    names = sorted(archive[sensors[0]].patch_names())
    partner: _Partner = _no_partner
    if len(sensors) > 1:
        partner = _PARTNERS[archive.version](archive, archive_dir)
    return len(names), (
        _read(archive, {sensors[0]: name}, grids, partner) for name in names
    )


# S1 name -> S2 name.
_Partner = Callable[[str], str]


def _no_partner(s1_name: str) -> str:
    raise errors.ArchiveError(s1_name, "has no known S2 patch.")


def _by_json(
    archive: patch_sources.Archive, archive_dir: str | os.PathLike
) -> _Partner:
    del archive_dir
    return lambda s1_name: (
        patch_metadata.read_json(archive["S1"], "S1", s1_name).s2_name
    )


def _by_list(
    archive: patch_sources.Archive, archive_dir: str | os.PathLike
) -> _Partner:
    official = known_pairs.read(archive.version, archive_dir)
    s2_names = {pair.s1_name: pair.s2_name for pair in official.values()}
    return lambda s1_name: s2_names.get(s1_name) or _no_partner(s1_name)


_PARTNERS = {layout.V1.version: _by_json, layout.V2.version: _by_list}


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
    partner: _Partner,
) -> Item:
    """Reads the bands of a patch; returns an error instead of raising it."""
    arrays = {}
    places: set[footprints.Footprint] = set()
    try:
        for grid_name in grids:
            grid = bigearthnet.GRIDS[grid_name]
            if grid.sensor not in names:
                names["S2"] = partner(names["S1"])
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
    except errors.UserError as error:
        return error
    return Patch(names.get("S2") or names["S1"], arrays, places.pop())
