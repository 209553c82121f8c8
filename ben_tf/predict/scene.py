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
from typing import Any

import numpy as np
import rasterio
import tqdm

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf import saved_model
from ben_tf.predict import blending
from ben_tf.predict import origin
from ben_tf.predict import scene_features
from ben_tf.predict import scene_map
from ben_tf.predict import stac
from ben_tf.scenes import acquisition
from ben_tf.scenes import images
from ben_tf.scenes import layers as layers_lib

_CACHE_MB = 512


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
    s2_scene: str | os.PathLike | None = None,
    s1_scene: str | os.PathLike | None = None,
    image_paths: Sequence[str | os.PathLike] = (),
    output: str | os.PathLike,
    stride_m: int = bigearthnet.PATCH_SIZE_M,
    batch_size: int = 128,
    hints: layers_lib.Hints = layers_lib.NO_HINTS,
    stac_request: stac.Request | None = None,
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
      image_paths: Instead of both: GeoTIFFs with several bands, which hold all
        that the model looks at. See `multiband.open_layers`.
      output: The file to write. X.tif: Cloud-Optimised, float32 probabilities,
        nodata NaN, band descriptions are class names; with X_class.tif and
        X_confidence.tif beside it, see `scene_map`. X.geojson: a polygon for
        each cell with data, see `scene_features`.
      stride_m: Distance between windows, a multiple of 60.
      batch_size: Windows predicted at once.
      hints: What the files do not say themselves.
      stac_request: Writes X.stac.json as well, see `stac`.

    Returns:
      The path, and how much of the map holds no data.

    Raises:
      UserError: A scene or band is missing, there are several, or their files
        are damaged, of another resolution, type or unit; scenes do not overlap,
        hold no data or are smaller than a patch; `output` has another suffix;
        or a STAC item is asked for, and nothing says when they were taken.
    """
    output = pathlib.Path(output)
    open_writer = _WRITERS.get(output.suffix)
    if open_writer is None:
        raise errors.UserError(
            "A scene becomes a map. Expected `output` to end with .tif or "
            f".geojson. Received: {output}"
        )
    if (
        stride_m < layers_lib.WINDOW_UNIT_M
        or stride_m % layers_lib.WINDOW_UNIT_M
    ):
        raise errors.UserError(
            "Unusable stride. Expected a multiple of "
            f"{layers_lib.WINDOW_UNIT_M} m. Received: `stride_m={stride_m}`."
        )
    files.check_writable(output)
    sources: dict[str, Any] = {
        "s2_scene": s2_scene,
        "s1_scene": s1_scene,
        "image_paths": image_paths,
    }
    if stac_request:
        stac.check(output)
        made_of = stac_request.origin(
            [x for x in (s2_scene, s1_scene, *image_paths) if x],
            acquisition.times_of(**sources),
        )
    size_m = bigearthnet.PATCH_SIZE_M
    cell_m = math.gcd(size_m, stride_m)
    cells = {"stride": stride_m // cell_m, "size": size_m // cell_m}
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            rasterio.Env(GDAL_CACHEMAX=_CACHE_MB, **images.GDAL_OPTIONS)
        )
        layers = layers_lib.open_layers(
            stack,
            model.input_names,
            hints=hints,
            **sources,
        )
        frame = next(iter(layers.values())).frame
        layers_lib.check_frame(frame)
        num_rows = (frame.height_m - size_m) // stride_m + 1
        num_columns = (frame.width_m - size_m) // stride_m + 1
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
    if stac_request:
        is_raster = open_writer is scene_map.open_map
        stac.write_map_item(
            output,
            scene_map.files_of(output, model.class_names)
            if is_raster
            else [output],
            grid,
            model=model,
            tags=tags,
            origin=made_of,
        )
    return Predicted(
        output, 1 - num_predicted / (grid.height * grid.width), tags
    )


def _predict_rows(
    model: saved_model.ServedModel,
    layers: layers_lib.Layers,
    num_rows: int,
    num_columns: int,
    stride_m: int,
    batch_size: int,
) -> Iterator[np.ndarray]:
    """Row by row, (classes, columns) float32, NaN for windows without data."""
    left_m = np.arange(num_columns) * stride_m
    for row in tqdm.trange(num_rows, unit="row", desc="predict scene"):
        strips, columns = layers_lib.read_strip(layers, row * stride_m, left_m)
        classes = np.full(
            (len(model.class_names), num_columns), np.nan, np.float32
        )
        for start in range(0, len(columns), batch_size):
            batch = columns[start : start + batch_size]
            inputs = layers_lib.cut(strips, left_m[batch])
            classes[:, batch] = np.asarray(model.serve(inputs)).T
        yield classes
