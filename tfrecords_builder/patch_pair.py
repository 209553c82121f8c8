"""One pair of patches: 16 files read, checked against each other, stacked."""

from typing import NamedTuple

import numpy as np

from ben_tf import bigearthnet
from tfrecords_builder import archive as archive_lib
from tfrecords_builder import errors
from tfrecords_builder import geotiff
from tfrecords_builder import patch_json
from tfrecords_builder import splits


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

    official: splits.OfficialPatch
    grids: dict[str, np.ndarray]
    labels: tuple[str, ...]
    epsg: int
    upper_left: tuple[float, float]
    s1_time: str
    s2_time: str


def read(
    archive: archive_lib.Archive, official: splits.OfficialPatch
) -> PatchPair:
    """Reads a pair and checks all that the archive promises about it.

    Raises:
      errors.ArchiveError: A file is missing, damaged or of another size or
        type, or the files contradict each other or the official pairing.
    """
    patch_names = {"S1": official.s1_name, "S2": official.s2_name}
    metadata = {
        sensor: _read_json(archive, sensor, patch_name)
        for sensor, patch_name in patch_names.items()
    }
    _check_agreement(metadata["S1"], metadata["S2"], official)
    place = (metadata["S2"].epsg, metadata["S2"].upper_left)
    grids = {
        name: _read_grid(archive, patch_names[grid.sensor], grid, place)
        for name, grid in bigearthnet.GRIDS.items()
    }
    return PatchPair(
        official=official,
        grids=grids,
        labels=metadata["S2"].labels,
        epsg=metadata["S2"].epsg,
        upper_left=metadata["S2"].upper_left,
        s1_time=metadata["S1"].time,
        s2_time=metadata["S2"].time,
    )


def _read_json(
    archive: archive_lib.Archive, sensor: str, patch_name: str
) -> patch_json.PatchJson:
    file_name = archive_lib.json_name(patch_name)
    return patch_json.parse(
        archive.read_file(sensor, patch_name, file_name),
        place=f"{patch_name}/{file_name}",
        sensor=sensor,
    )


def _check_agreement(
    s1: patch_json.PatchJson,
    s2: patch_json.PatchJson,
    official: splits.OfficialPatch,
) -> None:
    s1_file = f"{official.s1_name}/{archive_lib.json_name(official.s1_name)}"
    if s1.s2_name != official.s2_name:
        raise errors.ArchiveError(
            s1_file,
            f"names the S2 patch {s1.s2_name[:100]!r}. Expected "
            f"{official.s2_name}, as on the official list.",
        )
    for what, in_s1, in_s2 in (
        ("other labels", s1.labels, s2.labels),
        ("another footprint", (s1.epsg, s1.upper_left), (s2.epsg, s2.upper_left)),
    ):
        if in_s1 != in_s2:
            raise errors.ArchiveError(
                s1_file,
                f"gives {what} than the JSON of its S2 patch "
                f"{official.s2_name}. Expected {in_s2}. Received: {in_s1}",
            )


def _read_grid(
    archive: archive_lib.Archive,
    patch_name: str,
    grid: bigearthnet.Grid,
    place: tuple[int, tuple[float, float]],
) -> np.ndarray:
    stack = np.empty(grid.shape, grid.dtype)
    for index, band in enumerate(grid.bands):
        file_name = archive_lib.band_name(patch_name, band)
        raster = geotiff.decode(
            archive.read_file(grid.sensor, patch_name, file_name),
            place=f"{patch_name}/{file_name}",
            grid=grid,
        )
        if (raster.epsg, raster.upper_left) != place:
            raise errors.ArchiveError(
                f"{patch_name}/{file_name}",
                "lies elsewhere than its JSON says. Expected EPSG code and "
                f"upper left corner {place}. Received: "
                f"{(raster.epsg, raster.upper_left)}",
            )
        stack[..., index] = raster.pixels
    return stack
