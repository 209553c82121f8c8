"""Where the files of own patches are: the columns of a table that say so."""

import os
import pathlib
import types
from collections.abc import Sequence

from ben_tf import bigearthnet
from ben_tf import errors

# Sensor -> columns of files: a folder with a GeoTIFF for each band, a GeoTIFF
# with all bands of a grid, a GeoTIFF of one band.
COLUMNS = types.MappingProxyType(
    {
        sensor: (
            f"{sensor.lower()}_folder",
            *(
                name
                for name, grid in bigearthnet.GRIDS.items()
                if grid.sensor == sensor
            ),
            *bands,
        )
        for sensor, bands in bigearthnet.BANDS.items()
    }
)


def columns_of_sensors(
    path: pathlib.Path, columns: Sequence[str]
) -> dict[str, list[str]]:
    """Sensors that there are files of -> their columns.

    Raises:
      errors.UserError: A band of such a sensor is in no column, or in several.
    """
    found = {
        sensor: [name for name in names if name in columns]
        for sensor, names in COLUMNS.items()
    }
    found = {sensor: names for sensor, names in found.items() if names}
    for sensor, names in found.items():
        for band in bigearthnet.BANDS[sensor]:
            holders = [x for x in names if x in columns_of_band(band)]
            if len(holders) != 1:
                raise errors.UserError(
                    f"{path} has {' and '.join(holders) or 'no column'} for "
                    f"band {band} of {sensor}. Expected one of "
                    f"{', '.join(columns_of_band(band))}."
                )
    return found


def columns_of_band(band: str) -> tuple[str, str, str]:
    """The columns that the file of a band may stand in: folder, grid, band."""
    (name,) = (n for n, g in bigearthnet.GRIDS.items() if band in g.bands)
    sensor = bigearthnet.GRIDS[name].sensor
    return (f"{sensor.lower()}_folder", name, band)


def inside(root: str, cell: str, place: str) -> str:
    """An absolute path below `root`; "" for an empty cell.

    Raises:
      errors.UserError: It leads elsewhere.
    """
    if not cell:
        return ""
    path = os.path.normpath(os.path.join(root, cell))
    if "\0" in cell or os.path.commonpath([root, path]) != root:
        raise errors.UserError(
            f"{place}: {cell[:100]!r} leads out of the folder {root}. Expected "
            "paths below it. To take files from another folder, pass that as "
            "`files_dir`."
        )
    return path
