"""Describes predictions as a STAC item, which catalogues of images take.

    X.tif, X_class.tif, ...  ->  X.stac.json

The item is of STAC 1.1 with the extensions Projection, Raster, Classification,
Table and Machine Learning Model; their classes are pystac's. What no extension
has a place for is under names that begin with ben_tf.
"""

import dataclasses
import datetime
import importlib
import os
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from rasterio import warp

from ben_tf import errors
from ben_tf import files
from ben_tf import saved_model as saved_models
from ben_tf.archive import patch_metadata
from ben_tf.data import geography
from ben_tf.data import geoparquet
from ben_tf.predict import output_files
from ben_tf.predict import scene_map
from ben_tf.predict import stac_item

Times = tuple[datetime.datetime, datetime.datetime]


@dataclasses.dataclass(frozen=True)
class Request:
    """A wish for an item, and what only a user knows.

    Attributes:
      saved_model: Folder of the model.
      time: When the images were taken, where they do not say so; UTC where it
        has no zone.
    """

    saved_model: str | os.PathLike
    time: datetime.datetime | None = None

    def origin(
        self, sources: Sequence[str | os.PathLike], times: Times | None
    ) -> stac_item.Origin:
        """What a prediction was made of.

        Args:
          sources: Files and folders of the images.
          times: The first and the last time that they say, if any.

        Raises:
          errors.UserError: Nobody knows a time.
        """
        if self.time is not None:
            time = self.time
            if time.tzinfo is None:
                time = time.replace(tzinfo=datetime.UTC)
            times = (time, time)
        if times is None:
            raise errors.UserError(
                f"Nothing says when {' and '.join(map(str, sources))} was "
                "taken, which a STAC item needs. Set "
                "`datetime=2017-06-13T10:10:31Z`."
            )
        return stac_item.Origin(self.saved_model, sources, times)


def check(output: str | os.PathLike) -> None:
    """Finds out whether an item can be written, before hours of prediction.

    Args:
      output: What is to be described.

    Raises:
      errors.UserError: pystac is not installed, or too old.
      OSError: The item cannot be written.
    """
    try:
        for name in ("pystac", "pystac.extensions.mlm"):
            importlib.import_module(name)
    except ImportError as error:
        raise errors.UserError(
            "pystac 1.13 or newer is not installed. Install it with pip "
            "install '.[stac]', or leave out `stac`."
        ) from error
    files.check_writable(item_path(output))


def parse_time(text: str) -> datetime.datetime:
    """A time of ISO 8601.

    Raises:
      errors.UserError: It is none.
    """
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise errors.UserError(
            "Expected a time such as 2017-06-13T10:10:31Z. Received: "
            f"`datetime={text}`"
        ) from error


def item_path(output: str | os.PathLike) -> pathlib.Path:
    """Where the item of an output lies."""
    return pathlib.Path(output).with_suffix(".stac.json")


# --- The two kinds of items ------------------------------------------------


def write_map_item(
    output: pathlib.Path,
    paths: Sequence[pathlib.Path],
    grid: scene_map.Grid,
    *,
    model: saved_models.ServedModel,
    tags: Mapping[str, str],
    origin: stac_item.Origin,
) -> pathlib.Path:
    """Describes a map and the files beside it.

    Args:
      output: The map: .tif or .geojson.
      paths: The map and all files beside it.
      grid: Its cells.
      model: What predicted.
      tags: From `origin.of`.
      origin: What it was predicted from.

    Returns:
      The path of the item.
    """
    from pystac.extensions.projection import ProjectionExtension

    right = grid.left + grid.width * grid.cell_m
    bottom = grid.top - grid.height * grid.cell_m
    corners = np.stack(
        warp.transform(
            grid.crs,
            "EPSG:4326",
            [grid.left, right, right, grid.left],
            [bottom, bottom, grid.top, grid.top],
        ),
        axis=1,
    )
    item = stac_item.new_item(
        output, corners, model=model, tags=tags, origin=origin
    )
    projection = ProjectionExtension.ext(item, add_if_missing=True)
    epsg = grid.crs.to_epsg()
    projection.apply(
        code=f"EPSG:{epsg}" if epsg else None,
        wkt2=None if epsg else grid.crs.to_wkt(version="WKT2_2019"),
        shape=[grid.height, grid.width],
        bbox=[grid.left, bottom, right, grid.top],
        transform=[grid.cell_m, 0, grid.left, 0, -grid.cell_m, grid.top],
    )
    for path in paths:
        is_style = path.suffix in (".qml", ".xml")
        asset = stac_item.add_asset(
            item, path, output, role="metadata" if is_style else "data"
        )
        if path.suffix in (".tif", ".tiff"):
            stac_item.describe_bands(asset, path, model.class_names)
    path = item_path(output)
    stac_item.write(item, path)
    return path


class Extent:
    """Where and when the patches of a table were taken, as they come."""

    def __init__(self) -> None:
        self._box: np.ndarray | None = None
        self._times: Times | None = None
        self.num_patches = 0

    def add(self, patches: output_files.Patches) -> None:
        """Looks at the patches of a batch."""
        self.num_patches += len(patches.names)
        corners = geography.patch_corners(patches.epsg, patches.upper_left)
        corners = corners[np.isfinite(corners).all(axis=(1, 2))]
        if corners.size:
            box = np.stack([corners.min(axis=(0, 1)), corners.max(axis=(0, 1))])
            if self._box is not None:
                box[0] = np.minimum(box[0], self._box[0])
                box[1] = np.maximum(box[1], self._box[1])
            self._box = box
        times = [time for time in map(_time_in, patches.names) if time]
        times += self._times or ()
        if times:
            self._times = (min(times), max(times))

    @property
    def times(self) -> Times | None:
        """The first and the last time in their names, if any holds one."""
        return self._times

    @property
    def corners(self) -> np.ndarray | None:
        """The box around them, (4, 2) degrees; None where all lie nowhere."""
        if self._box is None:
            return None
        (left, bottom), (right, top) = self._box
        return np.array(
            [(left, bottom), (right, bottom), (right, top), (left, top)]
        )


def _time_in(name: str) -> datetime.datetime | None:
    try:
        return patch_metadata.time_in(name).replace(tzinfo=datetime.UTC)
    except ValueError:  # Some names have seconds of 60, or a time cut short.
        return None


def write_table_item(
    output: pathlib.Path,
    extent: Extent,
    *,
    model: saved_models.ServedModel,
    tags: Mapping[str, str],
    origin: stac_item.Origin,
) -> pathlib.Path:
    """Describes a table of patches.

    Args:
      output: The table.
      extent: Of the patches.
      model: What predicted.
      tags: From `origin.of`.
      origin: What it was predicted from.

    Returns:
      The path of the item.
    """
    from pystac.extensions import table

    item = stac_item.new_item(
        output, extent.corners, model=model, tags=tags, origin=origin
    )
    columns = output_files.columns(output, model.class_names)
    asset = stac_item.add_asset(item, output, output, role="data")
    extension = table.TableExtension.ext(asset, add_if_missing=True)
    extension.columns = [
        table.Column({"name": name, "type": kind})
        for name, kind in columns.items()
    ]
    extension.row_count = extent.num_patches
    if geoparquet.COLUMN in columns:
        extension.primary_geometry = geoparquet.COLUMN
    path = item_path(output)
    stac_item.write(item, path)
    return path
