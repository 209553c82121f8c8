"""Whole scenes: read by window, predicted patch by patch, written as a map.

A map has one band for each class and one pixel for each window of 1.2 km; with
a stride below 1.2 km windows overlap, and a pixel is the mean of the windows
that cover it. One strip of windows is in memory at a time.
"""

import contextlib
import dataclasses
import math
import os
import pathlib
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
import rasterio
import tqdm

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf import saved_model
from ben_tf.archive import plausibility
from ben_tf.predict import blending
from ben_tf.predict import images
from ben_tf.predict import origin
from ben_tf.predict import s1_layer
from ben_tf.predict import s2_layer
from ben_tf.predict import scene_features
from ben_tf.predict import scene_map

# The coarsest pixels are 60 m: a window must begin at a pixel of every grid.
_STRIDE_UNIT_M = 60
_FINEST_M = 10
_CACHE_MB = 512
# Units are those of thousands of pixels; some of them tell.
_LOOK_EVERY_PX = 3


@dataclasses.dataclass(frozen=True)
class Hints:
    """What the files of a scene may not say themselves.

    Attributes:
      s2_offset: What to add to digital numbers to get reflectance x 10,000.
      s1_bands: Name of each band of the Sentinel-1 file, in order.
    """

    s2_offset: float | None = None
    s1_bands: Sequence[str] | None = None


NO_HINTS = Hints()
_Layers = Mapping[str, s1_layer.S1Layer | s2_layer.S2Layer]
_WRITERS = {
    ".tif": scene_map.open_map,
    ".tiff": scene_map.open_map,
    ".geojson": scene_features.open_features,
}


@dataclasses.dataclass(frozen=True)
class Predicted:
    """A map that was written.

    Attributes:
      path: The file.
      nodata_share: The part of its cells without a prediction, from 0 to 1.
      tags: From `origin.of`.
    """

    path: pathlib.Path
    nodata_share: float
    tags: Mapping[str, str]


def predict_scene(
    model: saved_model.ServedModel,
    *,
    s2_scene: str | os.PathLike | None,
    s1_scene: str | os.PathLike | None,
    output: str | os.PathLike,
    stride_m: int = bigearthnet.PATCH_SIZE_M,
    batch_size: int = 128,
    hints: Hints = NO_HINTS,
) -> Predicted:
    """Predicts a scene and writes a map.

    The cells of the map are as large as the greatest length that divides the
    window of 1200 m and the stride. Where windows overlap, a cell is the mean
    of those that cover it.

    Args:
      model: From `saved_model.load`.
      s2_scene: A Sentinel-2 Level-2A product, SAFE folder or zip, or a folder
        with a GeoTIFF or JPEG 2000 file for each band; needed if the model
        looks at S2. See `s2_product.find`.
      s1_scene: A terrain-corrected GeoTIFF with VV and VH in dB; needed if the
        model looks at S1. Where S2 is there too, it is reprojected to its
        grid (bilinear).
      output: The file to write. X.tif: Cloud-Optimised, float32 probabilities,
        nodata NaN, band descriptions are class names; with X_class.tif and
        X_confidence.tif beside it, see `scene_map`. X.geojson: a polygon for
        each cell with data, see `scene_features`.
      stride_m: Distance between windows, a multiple of 60.
      batch_size: Windows predicted at once.
      hints: What the files do not say themselves.

    Returns:
      The path, and how much of the map holds no data.

    Raises:
      UserError: A scene or band is missing, there are several, or their files
        are damaged, of another resolution, type or unit; scenes do not overlap,
        hold no data or are smaller than a patch; `output` has another suffix.
    """
    output = pathlib.Path(output)
    open_writer = _WRITERS.get(output.suffix)
    if open_writer is None:
        raise errors.UserError(
            "A scene becomes a map. Expected `output` to end with .tif or "
            f".geojson. Received: {output}"
        )
    if stride_m < _STRIDE_UNIT_M or stride_m % _STRIDE_UNIT_M:
        raise errors.UserError(
            f"Unusable stride. Expected a multiple of {_STRIDE_UNIT_M} m. "
            f"Received: `stride_m={stride_m}`."
        )
    files.check_writable(output)
    size_m = bigearthnet.PATCH_SIZE_M
    cell_m = math.gcd(size_m, stride_m)
    cells = {"stride": stride_m // cell_m, "size": size_m // cell_m}
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            rasterio.Env(GDAL_CACHEMAX=_CACHE_MB, **images.GDAL_OPTIONS)
        )
        layers = _open_layers(
            stack, model.input_names, s2_scene, s1_scene, hints
        )
        frame = next(iter(layers.values())).frame
        num_rows = (frame.height_m - size_m) // stride_m + 1
        num_columns = (frame.width_m - size_m) // stride_m + 1
        if num_rows < 1 or num_columns < 1:
            raise errors.UserError(
                f"The scene covers {frame.width_m} m x {frame.height_m} m. "
                f"Expected at least one patch of {size_m} m."
            )
        grid = scene_map.Grid(
            crs=frame.crs,
            left=frame.left,
            top=frame.top,
            cell_m=cell_m,
            height=blending.num_cells(num_rows, **cells),
            width=blending.num_cells(num_columns, **cells),
        )
        tags = origin.of(model)
        write = stack.enter_context(
            open_writer(output, grid, model.class_names, tags)
        )
        windows = _predict_rows(
            model, layers, num_rows, num_columns, stride_m, batch_size
        )
        num_predicted = 0
        for rows in blending.blended(
            windows,
            num_classes=len(model.class_names),
            num_columns=num_columns,
            **cells,
        ):
            write(rows)
            num_predicted += int((~np.isnan(rows[0])).sum())
        if not num_predicted:
            raise errors.UserError(
                f"No window of {size_m} m is whole: each lacks data in some "
                f"pixel of {' or '.join(layers)}. Expected scenes that overlap "
                "and hold data. No map was written."
            )
    return Predicted(
        output, 1 - num_predicted / (grid.height * grid.width), tags
    )


def _predict_rows(
    model: saved_model.ServedModel,
    layers: _Layers,
    num_rows: int,
    num_columns: int,
    stride_m: int,
    batch_size: int,
) -> Iterator[np.ndarray]:
    """Row by row, (classes, columns) float32, NaN for windows without data."""
    for row in tqdm.trange(num_rows, unit="row", desc="predict scene"):
        strips, columns = _read_strip(
            layers, row * stride_m, stride_m, num_columns
        )
        classes = np.full(
            (len(model.class_names), num_columns), np.nan, np.float32
        )
        for start in range(0, len(columns), batch_size):
            batch = columns[start : start + batch_size]
            inputs = {
                name: _cut(strip, name, batch * stride_m)
                for name, strip in strips.items()
            }
            classes[:, batch] = np.asarray(model.serve(inputs)).T
        yield classes


def _open_layers(
    stack: contextlib.ExitStack,
    grids: Sequence[str],
    s2_scene: str | os.PathLike | None,
    s1_scene: str | os.PathLike | None,
    hints: Hints,
) -> dict[str, s1_layer.S1Layer | s2_layer.S2Layer]:
    """Name of grid -> its bands, for what a model needs; on one ground."""
    scenes = {"S1": s1_scene, "S2": s2_scene}
    of_sensor = {
        sensor: [n for n in grids if bigearthnet.GRIDS[n].sensor == sensor]
        for sensor in scenes
    }
    for sensor, scene in scenes.items():
        if of_sensor[sensor] and not scene:
            raise errors.UserError(
                f"The model looks at {sensor}. Expected "
                f"`{sensor.lower()}_scene` as well."
            )
    for sensor, name, hint in (
        ("S1", "s1_bands", hints.s1_bands),
        ("S2", "s2_offset", hints.s2_offset),
    ):
        if hint is not None and not of_sensor[sensor]:
            raise errors.UserError(
                f"The model does not look at {sensor}, so that `{name}` says "
                "nothing. Leave it out."
            )
    layers: dict[str, s1_layer.S1Layer | s2_layer.S2Layer] = {}
    frame = None
    if s2_scene and of_sensor["S2"]:
        layers |= s2_layer.open_layers(
            stack, s2_scene, of_sensor["S2"], offset=hints.s2_offset
        )
        frame = layers[of_sensor["S2"][0]].frame
    if s1_scene and of_sensor["S1"]:
        layers["s1"] = s1_layer.open_layer(
            stack, s1_scene, frame, bands=hints.s1_bands
        )
    return layers


def _read_strip(
    layers: _Layers,
    top_m: int,
    stride_m: int,
    num_columns: int,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Reads a strip of the scene, 1.2 km high and as wide as the scene.

    Returns:
      Name of grid -> (size, width, bands) of the grid's type, and the numbers
      of the windows in which all pixels hold data.
    """
    pixels = {}
    lacking = np.zeros((), bool)
    for name, layer in layers.items():
        pixels[name] = layer.read(top_m)
        own = np.isnan(pixels[name]).any(axis=(0, 2))
        lacking = lacking | own.repeat(layer.grid.pixel_size_m // _FINEST_M)
    columns = _whole_windows(~lacking, num_columns, stride_m)
    strips = {}
    for name, values in pixels.items():
        grid = bigearthnet.GRIDS[name]
        if columns.size:
            plausibility.check_units(
                values[::_LOOK_EVERY_PX, ::_LOOK_EVERY_PX],
                grid.sensor,
                f"the scene, {top_m} m below its upper edge,",
            )
        if grid.sensor == "S2":
            values = np.clip(np.nan_to_num(values), 0, 65_535)
        strips[name] = values.astype(grid.dtype)
    return strips, columns


def _whole_windows(
    valid: np.ndarray, num_columns: int, stride_m: int
) -> np.ndarray:
    """Numbers of the windows of a strip in which no pixel lacks data."""
    size = bigearthnet.PATCH_SIZE_M // _FINEST_M
    lacking = np.append(0, np.cumsum(~valid))
    starts = np.arange(num_columns) * (stride_m // _FINEST_M)
    return np.flatnonzero(lacking[starts + size] == lacking[starts])


def _cut(strip: np.ndarray, name: str, left_m: np.ndarray) -> np.ndarray:
    """Cuts windows out of a strip: (windows, size, size, bands)."""
    grid = bigearthnet.GRIDS[name]
    starts = left_m // grid.pixel_size_m
    return np.stack([strip[:, s : s + grid.size_px] for s in starts])
