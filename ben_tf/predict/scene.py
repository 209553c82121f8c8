"""Whole scenes: read by window, predicted patch by patch, written as a map.

A map has one band for each class and one pixel for each window of 1.2 km; with
a stride below 1.2 km windows overlap, and a pixel stands at the centre of its
window. Only the map itself and one strip of windows are in memory at a time.
"""

import contextlib
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import rasterio
import rasterio.windows
import tqdm

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf import saved_model
from ben_tf.archive import plausibility
from ben_tf.predict import scene_files

# The coarsest pixels are 60 m: a window must begin at a pixel of every grid.
_STRIDE_UNIT_M = 60
_CACHE_MB = 512


def predict_scene(
    model: saved_model.ServedModel,
    *,
    s2_scene: str | os.PathLike | None,
    s1_scene: str | os.PathLike | None,
    output: str | os.PathLike,
    stride_m: int = bigearthnet.PATCH_SIZE_M,
    batch_size: int = 128,
) -> pathlib.Path:
    """Predicts a scene and writes a tiled GeoTIFF.

    Args:
      model: From `saved_model.load`.
      s2_scene: A Sentinel-2 L2A SAFE folder, or a folder with a GeoTIFF or
        JPEG 2000 file for each band; needed if the model looks at S2.
      s1_scene: A terrain-corrected GeoTIFF with VV and VH in dB; needed if the
        model looks at S1. Where S2 is there too, it is reprojected to its
        grid (bilinear).
      output: The .tif to write: float32 probabilities, nodata NaN, band
        descriptions are class names.
      stride_m: Distance between windows, a multiple of 60.
      batch_size: Windows predicted at once.

    Returns:
      `output`.

    Raises:
      UserError: A scene or band is missing, of another resolution or in other
        units; scenes do not overlap, or are smaller than a patch; `output`
        has another suffix.
    """
    if pathlib.Path(output).suffix not in (".tif", ".tiff"):
        raise errors.UserError(
            "A scene becomes a map. Expected `output` to end with .tif. "
            f"Received: {output}"
        )
    if stride_m < _STRIDE_UNIT_M or stride_m % _STRIDE_UNIT_M:
        raise errors.UserError(
            f"Unusable stride. Expected a multiple of {_STRIDE_UNIT_M} m. "
            f"Received: `stride_m={stride_m}`."
        )
    size_m = bigearthnet.PATCH_SIZE_M
    with contextlib.ExitStack() as stack:
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=_CACHE_MB))
        frame, layers = scene_files.open_layers(
            stack, model.input_names, s2_scene, s1_scene
        )
        num_rows = (frame.height_m - size_m) // stride_m + 1
        num_columns = (frame.width_m - size_m) // stride_m + 1
        if num_rows < 1 or num_columns < 1:
            raise errors.UserError(
                f"The scene covers {frame.width_m} m x {frame.height_m} m. "
                f"Expected at least one patch of {size_m} m."
            )
        classes = np.full(
            (len(model.class_names), num_rows, num_columns), np.nan, np.float32
        )
        unchecked = sorted(layers)
        for row in tqdm.trange(num_rows, unit="row", desc="predict scene"):
            strips, valid = _read_strip(frame, layers, row * stride_m)
            if valid.any():
                for name in unchecked:
                    sensor = bigearthnet.GRIDS[name].sensor
                    plausibility.check_units(strips[name], sensor, "the scene")
                unchecked = []
            columns = _whole_windows(valid, num_columns, stride_m)
            for start in range(0, len(columns), batch_size):
                batch = columns[start : start + batch_size]
                inputs = {
                    name: _cut(strip, name, batch * stride_m)
                    for name, strip in strips.items()
                }
                classes[:, row, batch] = np.asarray(model.serve(inputs)).T
    return _write_map(output, classes, frame, stride_m, model.class_names)


def _read_strip(
    frame: scene_files.Frame, layers: scene_files.Layers, top_m: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Reads a strip of the scene, 1.2 km high and as wide as the scene.

    Returns:
      Name of grid -> (size, width, bands), and (width in 10 m pixels,) bool:
      whether all pixels of a column hold data.
    """
    strips = {}
    valid = np.ones(frame.width_m // scene_files.PIXEL_M, bool)
    for name, bands in layers.items():
        grid = bigearthnet.GRIDS[name]
        pixel_m = grid.pixel_size_m
        window = rasterio.windows.Window(
            0, top_m // pixel_m, frame.width_m // pixel_m, grid.size_px
        )
        strip = np.empty((grid.size_px, window.width, len(bands)), grid.dtype)
        for index, (dataset, number, offset) in enumerate(bands):
            pixels = dataset.read(number, window=window).astype(np.float64)
            has_data = np.isfinite(pixels)
            if dataset.nodata is not None:
                has_data &= pixels != dataset.nodata
            if grid.sensor == "S2":
                has_data &= pixels > 0  # 0 is nodata in Level-2A.
                pixels = pixels + offset
                if np.issubdtype(dataset.dtypes[0], np.floating):
                    plausibility.check_units(
                        np.where(has_data, pixels, np.nan), "S2", dataset.name
                    )
                pixels = np.clip(np.nan_to_num(pixels), 0, 65_535)
            strip[..., index] = pixels
            valid &= has_data.all(axis=0).repeat(pixel_m // scene_files.PIXEL_M)
        strips[name] = strip
    return strips, valid


def _whole_windows(
    valid: np.ndarray, num_columns: int, stride_m: int
) -> np.ndarray:
    """Numbers of the windows of a strip in which no pixel lacks data."""
    size = bigearthnet.PATCH_SIZE_M // scene_files.PIXEL_M
    lacking = np.append(0, np.cumsum(~valid))
    starts = np.arange(num_columns) * (stride_m // scene_files.PIXEL_M)
    return np.flatnonzero(lacking[starts + size] == lacking[starts])


def _cut(strip: np.ndarray, name: str, left_m: np.ndarray) -> np.ndarray:
    """Cuts windows out of a strip: (windows, size, size, bands)."""
    grid = bigearthnet.GRIDS[name]
    starts = left_m // grid.pixel_size_m
    return np.stack([strip[:, s : s + grid.size_px] for s in starts])


def _write_map(
    output: str | os.PathLike,
    classes: np.ndarray,
    frame: scene_files.Frame,
    stride_m: int,
    class_names: Sequence[str],
) -> pathlib.Path:
    to_centre = (bigearthnet.PATCH_SIZE_M - stride_m) / 2
    with (
        files.replacing(output) as part,
        rasterio.open(
            part,
            "w",
            driver="GTiff",
            width=classes.shape[2],
            height=classes.shape[1],
            count=len(classes),
            dtype="float32",
            crs=frame.crs,
            transform=rasterio.transform.from_origin(
                frame.left + to_centre,
                frame.top - to_centre,
                stride_m,
                stride_m,
            ),
            nodata=np.nan,
            tiled=True,
            blockxsize=256,
            blockysize=256,
            compress="deflate",
        ) as dataset,
    ):
        dataset.write(classes)
        dataset.descriptions = tuple(class_names)
    return pathlib.Path(output)
