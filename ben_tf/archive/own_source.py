"""Reads the files of patches that a table lists: a `patch_sources.Source`.

Towards the rest they look like those of the archive: a GeoTIFF for each band,
with its usual name.
"""

import os
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import geotiff
from ben_tf.archive import layout
from ben_tf.archive import own_paths
from ben_tf.archive import own_table
from ben_tf.archive import patch_sources


def open_table(table: own_table.OwnTable) -> patch_sources.Archive:
    """Returns the sources of the sensors that there are files of.

    The other sensor has patches of the same names without files.
    """
    return patch_sources.Archive(
        layout.OWN.version,
        {
            sensor: TableSource(
                sensor, tuple(table.pairs), table.paths.get(sensor, {})
            )
            for sensor in bigearthnet.BANDS
        },
        sensors=tuple(table.paths),
    )


class TableSource:
    """The patches of one sensor; see `patch_sources.Source`."""

    def __init__(
        self,
        sensor: str,
        names: Sequence[str],
        paths: Mapping[str, Sequence[str]],
    ):
        """Nothing is read yet.

        Args:
          sensor: "S1" or "S2".
          names: Of the patches.
          paths: Column of the table -> a path for each patch.
        """
        self._rows = {name: row for row, name in enumerate(names)}
        self._paths = paths
        # Usual ending of a file -> its band, if there are files.
        self._band_of = {
            layout.band_name("", band): band
            for band in bigearthnet.BANDS[sensor]
            if paths
        }
        # The bands of the file read last: the next ones are asked for next.
        self._last: tuple[str, list[bytes]] = ("", [])

    def patch_names(self) -> list[str]:
        """Returns the names in the table."""
        return list(self._rows)

    def file_names(self, patch_name: str) -> list[str]:
        """Returns the usual name of the file of each band."""
        return [patch_name + ending for ending in self._band_of]

    def read_file(self, patch_name: str, file_name: str) -> bytes:
        """Returns a GeoTIFF of one band; see `Source.read_file`."""
        band = self._band_of[file_name.removeprefix(patch_name)]
        place = f"{patch_name}/{file_name}"
        folder, grid, _ = columns = own_paths.columns_of_band(band)
        column = next(name for name in columns if name in self._paths)
        path = self._paths[column][self._rows[patch_name]]
        if not path:
            raise errors.ArchiveError(
                place,
                f"is missing: the table has an empty cell in column {column}.",
            )
        if column == folder:
            path = _file_in(path, band, place)
        if column != grid:
            return _read(path, place)
        if self._last[0] != path:
            data = _read(path, place)
            self._last = (path, _split(data, bigearthnet.GRIDS[grid], place))
        return self._last[1][bigearthnet.GRIDS[grid].bands.index(band)]

    def drop_before(self, patch_name: str) -> None:
        """Does nothing: no disk is held for files."""


def _read(path: str, place: str) -> bytes:
    try:
        return patch_sources.read_whole(path, place)
    except FileNotFoundError as error:
        raise errors.ArchiveError(
            place, f"is missing: there is no file {path}."
        ) from error


def _file_in(folder: str, band: str, place: str) -> str:
    """The GeoTIFF of a band in the folder of a patch.

    Raises:
      errors.ArchiveError: There is none, or more than one.
    """
    ending = layout.band_name("", band)
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise errors.ArchiveError(
            place, f"is missing: there is no folder {folder}."
        ) from error
    except OSError as error:
        raise patch_sources.unreadable_file(place, error) from error
    found = sorted(
        name
        for name in names
        if not name.startswith(".")
        and f"_{layout.usual_name(name)}".endswith(ending)
    )
    if len(found) != 1:
        raise errors.ArchiveError(
            place,
            f"is missing: no file in {folder} ends in {ending}."
            if not found
            else f"is ambiguous: {folder} holds {' and '.join(found[:5])}. "
            "Keep the right one.",
        )
    return os.path.join(folder, found[0])


def _split(data: bytes, grid: bigearthnet.Grid, place: str) -> list[bytes]:
    """Makes a GeoTIFF of each band of one, with the same values and place.

    Args:
      data: The file.
      grid: Whose bands it must hold, in their order.
      place: For messages.

    Raises:
      errors.ArchiveError: It is no GeoTIFF, or not of these bands and size.
    """
    # Here, because the archive needs it seldom.
    import rasterio
    import rasterio.io

    expected = (
        f"Expected a GeoTIFF with {len(grid.bands)} bands, "
        f"{', '.join(grid.bands)} in this order, of {grid.size_px} x "
        f"{grid.size_px} {grid.dtype} pixels."
    )
    if not data:  # rasterio would open a new file.
        raise errors.ArchiveError(place, f"is empty. {expected}")
    try:
        with geotiff.opened(data) as dataset:
            shape = (dataset.count, dataset.height, dataset.width)
            if shape != (len(grid.bands), grid.size_px, grid.size_px):
                found = "{} band(s) of {} x {}".format(*shape)
                raise errors.ArchiveError(
                    place, f"lies in a file of {found} pixels. {expected}"
                )
            if _are_other_bands(dataset.descriptions, grid.bands):
                raise errors.ArchiveError(
                    place,
                    "lies in a file whose bands are named "
                    f"{', '.join(map(str, dataset.descriptions))}. {expected}",
                )
            return [
                _one_band(dataset, number + 1)
                for number in range(dataset.count)
            ]
    except errors.ArchiveError:
        raise
    except (rasterio.errors.RasterioError, ValueError, OverflowError) as error:
        raise errors.ArchiveError(
            place, f"lies in a file that is no GeoTIFF. {expected}"
        ) from error


def _are_other_bands(
    descriptions: Sequence[str | None], bands: Sequence[str]
) -> bool:
    """Whether a file names its bands, and in another order; or others."""
    every_band = {
        band for bands in bigearthnet.BANDS.values() for band in bands
    }
    return any(
        found in every_band and found != band
        for found, band in zip(descriptions, bands, strict=True)
    )


def _one_band(dataset: Any, number: int) -> bytes:
    """A band of an open dataset of rasterio as a file of its own."""
    import rasterio.io

    with rasterio.io.MemoryFile() as file:
        with file.open(
            driver="GTiff",
            count=1,
            width=dataset.width,
            height=dataset.height,
            dtype=dataset.dtypes[number - 1],
            crs=dataset.crs,
            transform=dataset.transform,
        ) as single:
            single.write(dataset.read(number), 1)
            # What is not the value itself is refused where it is decoded.
            single.scales = (dataset.scales[number - 1],)
            single.offsets = (dataset.offsets[number - 1],)
        return bytes(file.getbuffer())
