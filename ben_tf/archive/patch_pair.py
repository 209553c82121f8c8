"""Reads a pair of patches: 16 files, checked against each other, stacked."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import footprints
from ben_tf.archive import geotiff
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import patch_metadata
from ben_tf.archive import patch_sources
from ben_tf.archive import plausibility


class PatchPair(NamedTuple):
    """A Sentinel-1 and a Sentinel-2 patch of the same place.

    Attributes:
      official: What the official lists say.
      grids: An array for each of `bigearthnet.GRIDS`, its shape and dtype;
        values as in the files, 0 of a sensor that own data lack.
      metadata: Labels and times.
      footprint: Where both lie.
      reference_map: (120, 120) uint16 codes of CORINE Land Cover, level 3; all
        0 where the archive has none; None in a version without maps.
    """

    official: official_lists.OfficialPatch
    grids: dict[str, np.ndarray]
    metadata: patch_metadata.PatchMetadata
    footprint: footprints.Footprint
    reference_map: np.ndarray | None


def read(
    archive: patch_sources.Archive, official: official_lists.OfficialPatch
) -> PatchPair:
    """Reads a pair and checks that its files belong together.

    Args:
      archive: The sources of both sensors.
      official: The pair on the official list.

    Raises:
      errors.ArchiveError: A file is missing, damaged, implausible or of another
        size or type, or the files contradict each other or the official
        pairing.
    """
    metadata = patch_metadata.read(archive, official)
    names = {"S1": official.s1_name, "S2": official.s2_name}
    grids = {}
    places: set[footprints.Footprint] = set()
    for name, grid in bigearthnet.GRIDS.items():
        if grid.sensor not in archive.sensors:
            grids[name] = np.zeros(grid.shape, grid.dtype)
            continue
        grids[name], found = read_grid(
            archive[grid.sensor],
            names[grid.sensor],
            grid,
            footprint=metadata.footprint,
        )
        places |= found
    footprint = metadata.footprint or _only_place(places, official.s2_name)
    reference_map = None
    if layout.LAYOUTS[archive.version].maps:
        reference_map = read_map(archive, official.s2_name, footprint=footprint)
    return PatchPair(official, grids, metadata, footprint, reference_map)


def read_map(
    archive: patch_sources.Archive,
    patch_name: str,
    *,
    footprint: footprints.Footprint | None,
) -> np.ndarray:
    """Reads and checks the reference map of a patch.

    Args:
      archive: With or without maps.
      patch_name: Name of the Sentinel-2 patch.
      footprint: Where the patch lies; None to leave the place unchecked.

    Returns:
      (120, 120) uint16 codes; all 0 if the archive has no maps or none of this
      patch.

    Raises:
      errors.ArchiveError: The file is damaged, of another size or type, lies
        elsewhere or holds what is no code.
    """
    grid = bigearthnet.REFERENCE_MAP
    maps = archive.sources.get(layout.MAPS)
    file_name = layout.band_name(patch_name, *grid.bands)
    if maps is None or file_name not in maps.file_names(patch_name):
        return np.zeros(grid.shape[:2], grid.dtype)
    place = f"{patch_name}/{file_name}"
    raster = geotiff.decode(
        maps.read_file(patch_name, file_name), place=place, grid=grid
    )
    _check_place(raster, footprint, place)
    plausibility.check_map(raster.pixels, place)
    return raster.pixels


def _only_place(
    places: Collection[footprints.Footprint], patch_name: str
) -> footprints.Footprint:
    """The place of all bands of a pair.

    Raises:
      errors.ArchiveError: They lie in more than one.
    """
    if len(places) > 1:
        raise errors.ArchiveError(
            patch_name,
            "lies elsewhere than its S1 patch, or some of their bands do. "
            "Expected the same EPSG code and upper left corner. Received: "
            f"{' and '.join(str(tuple(place)) for place in sorted(places))}",
        )
    (place,) = places
    return place


def read_grid(
    source: patch_sources.Source,
    patch_name: str,
    grid: bigearthnet.Grid,
    *,
    footprint: footprints.Footprint | None = None,
) -> tuple[np.ndarray, set[footprints.Footprint]]:
    """Reads, checks and stacks the bands of a grid; see `read_band`.

    Returns:
      An array of the grid's shape and dtype, values as in the files; where the
      bands lie: one place, unless `footprint` is None and they disagree.
    """
    rasters = [
        read_band(source, patch_name, band, footprint=footprint)
        for band in grid.bands
    ]
    bands = [raster.pixels for raster in rasters]
    plausibility.check_grid(bands, grid.sensor, patch_name)
    array = np.empty(grid.shape, grid.dtype)
    for index, pixels in enumerate(bands):
        array[..., index] = pixels
    return array, {raster.footprint for raster in rasters}


def read_band(
    source: patch_sources.Source,
    patch_name: str,
    band: str,
    *,
    footprint: footprints.Footprint | None = None,
) -> geotiff.Raster:
    """Reads and checks a band of a patch.

    Args:
      source: The patches of the band's sensor.
      patch_name: Name of the patch.
      band: Name of the band.
      footprint: Where the patch lies by its JSON or by other bands; None to
        leave the place unchecked.

    Raises:
      errors.ArchiveError: The file is missing, damaged, of another size or
        type, holds NaN or what cannot be its unit, or lies elsewhere than
        `footprint`.
    """
    file_name = layout.band_name(patch_name, band)
    place = f"{patch_name}/{file_name}"
    grid = bigearthnet.grid_of_band(band)
    raster = geotiff.decode(
        source.read_file(patch_name, file_name), place=place, grid=grid
    )
    plausibility.check_band(raster.pixels, grid.sensor, place)
    _check_place(raster, footprint, place)
    return raster


def _check_place(
    raster: geotiff.Raster,
    footprint: footprints.Footprint | None,
    place: str,
) -> None:
    if footprint is not None and raster.footprint != footprint:
        raise errors.ArchiveError(
            place,
            "lies elsewhere than its JSON, or the pair's first band, says. "
            f"Expected EPSG code and upper left corner {tuple(footprint)}. "
            f"Received: {tuple(raster.footprint)}",
        )
