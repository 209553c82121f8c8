"""Reads a pair of patches: 16 files, checked against each other, stacked."""

from typing import NamedTuple

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import footprints
from ben_tf.archive import geotiff
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import patch_json
from ben_tf.archive import patch_sources
from ben_tf.archive import plausibility


class PatchPair(NamedTuple):
    """A Sentinel-1 and a Sentinel-2 patch of the same place.

    Attributes:
      official: What the official lists say.
      grids: An array for each of `bigearthnet.GRIDS`, its shape and dtype;
        values as in the files.
      labels: Names of the 43-class nomenclature, in the order of CLASSES_43.
      footprint: Where both lie.
      s1_time: Acquisition of the S1 patch, ISO 8601.
      s2_time: Acquisition of the S2 patch, ISO 8601.
    """

    official: official_lists.OfficialPatch
    grids: dict[str, np.ndarray]
    labels: tuple[str, ...]
    footprint: footprints.Footprint
    s1_time: str
    s2_time: str


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
    s1 = read_json(archive["S1"], "S1", official.s1_name)
    s2 = read_json(archive["S2"], "S2", official.s2_name)
    check_agreement(s1, s2, official)
    names = {"S1": official.s1_name, "S2": official.s2_name}
    grids = {}
    for name, grid in bigearthnet.GRIDS.items():
        grids[name], _ = read_grid(
            archive[grid.sensor],
            names[grid.sensor],
            grid,
            footprint=s2.footprint,
        )
    return PatchPair(
        official=official,
        grids=grids,
        labels=s2.labels,
        footprint=s2.footprint,
        s1_time=s1.time,
        s2_time=s2.time,
    )


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
      footprint: Where the JSON of the patch says that it lies; None to leave
        the place unchecked.

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
    if footprint is not None and raster.footprint != footprint:
        raise errors.ArchiveError(
            place,
            "lies elsewhere than its JSON says. Expected EPSG code and upper "
            f"left corner {tuple(footprint)}. "
            f"Received: {tuple(raster.footprint)}",
        )
    return raster
