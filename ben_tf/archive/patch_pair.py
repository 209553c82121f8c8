"""Reads a pair of patches: 16 files, checked against each other, stacked."""

from typing import NamedTuple

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import geotiff
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import patch_json
from ben_tf.archive import patch_sources


class PatchPair(NamedTuple):
    """A Sentinel-1 and a Sentinel-2 patch of the same place.

    Attributes:
      official: What the official lists say.
      grids: An array for each of `bigearthnet.GRIDS`, its shape and dtype;
        values as in the files.
      labels: Names of the 43-class nomenclature, in the order of CLASSES_43.
      epsg: EPSG code of the projection (UTM on WGS 84).
      upper_left: (easting, northing) of the outer corner, in metres.
      s1_time: Acquisition of the S1 patch, ISO 8601.
      s2_time: Acquisition of the S2 patch, ISO 8601.
    """

    official: official_lists.OfficialPatch
    grids: dict[str, np.ndarray]
    labels: tuple[str, ...]
    epsg: int
    upper_left: tuple[float, float]
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
      errors.ArchiveError: A file is missing, damaged or of another size or
        type, or the files contradict each other or the official pairing.
    """
    names = {"S1": official.s1_name, "S2": official.s2_name}
    metadata = {
        sensor: read_json(archive[sensor], sensor, name)
        for sensor, name in names.items()
    }
    s1, s2 = metadata["S1"], metadata["S2"]
    check_agreement(s1, s2, official)
    grids = {}
    for name, grid in bigearthnet.GRIDS.items():
        grids[name] = np.empty(grid.shape, grid.dtype)
        for index, band in enumerate(grid.bands):
            raster = read_band(
                archive[grid.sensor],
                names[grid.sensor],
                grid,
                band,
                metadata=metadata[grid.sensor],
            )
            grids[name][..., index] = raster.pixels
    return PatchPair(
        official=official,
        grids=grids,
        labels=s2.labels,
        epsg=s2.epsg,
        upper_left=s2.upper_left,
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
        (
            "another footprint",
            (s1.epsg, s1.upper_left),
            (s2.epsg, s2.upper_left),
        ),
    ):
        if in_s1 != in_s2:
            raise errors.ArchiveError(
                s1_file,
                f"gives {what} than the JSON of its S2 patch "
                f"{official.s2_name}. Expected {in_s2}. Received: {in_s1}",
            )


def read_band(
    source: patch_sources.Source,
    patch_name: str,
    grid: bigearthnet.Grid,
    band: str,
    *,
    metadata: patch_json.PatchJson | None = None,
) -> geotiff.Raster:
    """Reads and checks a band of a patch.

    Args:
      source: The patches of the grid's sensor.
      patch_name: Name of the patch.
      grid: The grid of the band.
      band: Name of the band.
      metadata: The JSON of the patch, which must give the same place; None to
        leave the place unchecked.

    Raises:
      errors.ArchiveError: The file is missing, damaged, of another size or
        type, or lies elsewhere than `metadata` says.
    """
    file_name = layout.band_name(patch_name, band)
    place = f"{patch_name}/{file_name}"
    raster = geotiff.decode(
        source.read_file(patch_name, file_name), place=place, grid=grid
    )
    found = (raster.epsg, raster.upper_left)
    expected = metadata and (metadata.epsg, metadata.upper_left)
    if expected and found != expected:
        raise errors.ArchiveError(
            place,
            "lies elsewhere than its JSON says. Expected EPSG code and upper "
            f"left corner {expected}. Received: {found}",
        )
    return raster
