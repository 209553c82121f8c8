"""Whole scenes: read by window, predicted patch by patch, written as a map.

A map has one band for each class and one pixel for each window of 1.2 km; with
a stride below 1.2 km windows overlap, and a pixel stands at the centre of its
window. Only a strip of windows is in memory at a time, beside the map itself.
"""

import contextlib
import dataclasses
import os
import pathlib
import re

import numpy as np
import rasterio
import rasterio.errors
import rasterio.windows
import tqdm
from rasterio import vrt
from rasterio import warp
from rasterio.enums import Resampling

from ben_tf import bigearthnet
from ben_tf import command_line
from ben_tf import plausibility

# The coarsest pixels are 60 m: a window must begin at a pixel of every grid.
_STRIDE_UNIT_M = 60
_PIXEL_M = 10
_CACHE_MB = 512
# File names such as T29SNB_20180517T112119_B02_10m.jp2 or B8A.tif.
_BAND_FILE = re.compile(r"(?:^|_)(B(?:\d\d|8A))(?:_(\d\d)m)?$")
_MAX_METADATA_BYTES = 1 << 24
# How Sentinel-2 metadata numbers the bands.
_BAND_IDS = "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B10 B11 B12".split()


@dataclasses.dataclass(frozen=True)
class _Frame:
    """The ground that is predicted: an upright grid of 10 m pixels."""

    crs: rasterio.crs.CRS
    left: float
    top: float
    width_m: int
    height_m: int

    @property
    def transform(self):
        return rasterio.transform.from_origin(
            self.left, self.top, _PIXEL_M, _PIXEL_M
        )


def predict_scene(
    model,
    *,
    s2_scene: str | os.PathLike | None,
    s1_scene: str | os.PathLike | None,
    output: str | os.PathLike,
    stride_m: int = bigearthnet.PATCH_SIZE_M,
    batch_size: int = 128,
) -> pathlib.Path:
    """Predicts a scene and writes a tiled GeoTIFF.

    Args:
      model: A `saved_model.ServedModel`.
      s2_scene: A Sentinel-2 L2A SAFE folder, or a folder with a GeoTIFF or
        JPEG 2000 file for each band; needed if the model looks at S2.
      s1_scene: A terrain-corrected GeoTIFF with VV and VH in dB; needed if the
        model looks at S1. Where S2 is there too, it is reprojected to its
        grid (bilinear).
      output: File to write: float32 probabilities, nodata NaN, band
        descriptions are class names.
      stride_m: Distance between windows, a multiple of 60.
      batch_size: Windows predicted at once.

    Returns:
      The output.

    Raises:
      UserError: A scene or band is missing, of another resolution or in other
        units; scenes do not overlap, or are smaller than a patch.
    """
    if stride_m < _STRIDE_UNIT_M or stride_m % _STRIDE_UNIT_M:
        raise command_line.UserError(
            f"Unusable stride. Expected a multiple of {_STRIDE_UNIT_M} m. "
            f"Received: {stride_m}"
        )
    size_m = bigearthnet.PATCH_SIZE_M
    with contextlib.ExitStack() as stack:
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=_CACHE_MB))
        frame, layers = _open_layers(
            stack, model.input_names, s2_scene, s1_scene
        )
        num_rows = (frame.height_m - size_m) // stride_m + 1
        num_columns = (frame.width_m - size_m) // stride_m + 1
        if num_rows < 1 or num_columns < 1:
            raise command_line.UserError(
                f"The scene covers {frame.width_m} m x {frame.height_m} m. "
                f"Expected at least one patch of {size_m} m."
            )
        classes = np.full(
            (len(model.class_names), num_rows, num_columns), np.nan, np.float32
        )
        unchecked = set(layers)
        for row in tqdm.trange(num_rows, unit="row", desc="predict scene"):
            strips, valid = _read_strip(frame, layers, row * stride_m)
            for name in sorted(unchecked):
                if valid.any():
                    sensor = bigearthnet.GRIDS[name].sensor
                    plausibility.check_units(strips[name], sensor, "the scene")
                    unchecked.discard(name)
            columns = _whole_windows(valid, num_columns, stride_m)
            for start in range(0, len(columns), batch_size):
                batch = columns[start : start + batch_size]
                inputs = {
                    name: _cut(strip, name, batch * stride_m)
                    for name, strip in strips.items()
                }
                classes[:, row, batch] = np.asarray(model.serve(inputs)).T
    return _write_map(output, classes, frame, stride_m, model.class_names)


def _open_layers(stack, grids, s2_scene, s1_scene):
    """Opens what the model needs: name of grid -> datasets with offsets."""
    scenes = {"S2": s2_scene, "S1": s1_scene}
    for sensor in sorted({bigearthnet.GRIDS[name].sensor for name in grids}):
        if not scenes[sensor]:
            raise command_line.UserError(
                f"The model looks at {sensor}. Expected "
                f"--{sensor.lower()}_scene as well."
            )
    layers = {}
    frame = None
    s2_grids = [n for n in grids if bigearthnet.GRIDS[n].sensor == "S2"]
    if s2_grids:
        files = _find_band_files(pathlib.Path(s2_scene), s2_grids)
        offsets = _read_offsets(pathlib.Path(s2_scene))
        for name in s2_grids:
            grid = bigearthnet.GRIDS[name]
            layers[name] = []
            for band in grid.bands:
                dataset = stack.enter_context(_open(files[band]))
                own = _frame_of(dataset, grid.pixel_size_m, files[band])
                if frame is not None and own != frame:
                    raise command_line.UserError(
                        f"{files[band].name} does not cover the same ground as "
                        "the other bands. Expected bands of one scene."
                    )
                frame = own
                layers[name].append((dataset, 1, offsets.get(band, 0)))
    if "s1" in grids:
        dataset = stack.enter_context(_open(pathlib.Path(s1_scene)))
        indices = _polarisations(dataset, s1_scene)
        if frame is None:
            frame = _frame_of(dataset, _PIXEL_M, pathlib.Path(s1_scene))
        else:
            dataset = stack.enter_context(_on_frame(dataset, frame))
        layers["s1"] = [(dataset, index, 0) for index in indices]
    return frame, layers


def _open(path: pathlib.Path):
    try:
        return rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise command_line.UserError(
            f"{path} cannot be read as an image ({error}). Expected a GeoTIFF "
            "or JPEG 2000 file."
        ) from error


def _find_band_files(folder: pathlib.Path, grids) -> dict[str, pathlib.Path]:
    """Finds a file for each band, at the band's own resolution."""
    if not folder.is_dir():
        raise command_line.UserError(
            f"There is no folder {folder}. Expected a Sentinel-2 L2A SAFE "
            "folder, or a folder of band files such as B02.tif."
        )
    found: dict[str, pathlib.Path] = {}
    pixel_size_m = {
        band: bigearthnet.GRIDS[name].pixel_size_m
        for name in grids
        for band in bigearthnet.GRIDS[name].bands
    }
    for path in sorted(folder.rglob("*")):
        match = _BAND_FILE.search(path.stem)
        # Masks of a SAFE folder end with the name of a band, too.
        if (
            match
            and path.suffix.lower() in (".jp2", ".tif", ".tiff")
            and not path.name.startswith("MSK_")
            and match[1] in pixel_size_m
            and int(match[2] or pixel_size_m[match[1]])
            == pixel_size_m[match[1]]
        ):
            found.setdefault(match[1], path)
    missing = sorted(set(pixel_size_m) - set(found))
    if missing:
        raise command_line.UserError(
            f"The scene {folder} lacks the bands {', '.join(missing)}. "
            f"Expected a file for each of {', '.join(sorted(pixel_size_m))}, "
            "such as B02.tif or T29SNB_20180517T112119_B02_10m.jp2."
        )
    return found


def _read_offsets(folder: pathlib.Path) -> dict[str, int]:
    """What must be added to the numbers of a SAFE folder to get reflectance.

    From processing baseline 04.00 (January 2022) on products are shifted by
    1,000; BigEarthNet is older and is not.
    """
    metadata = folder / "MTD_MSIL2A.xml"
    if not metadata.is_file():
        return {}
    with metadata.open("rb") as file:
        text = file.read(_MAX_METADATA_BYTES).decode("utf-8", "replace")
    found = re.findall(
        r'<BOA_ADD_OFFSET band_id="(\d{1,2})">(-?\d{1,5})</BOA_ADD_OFFSET>',
        text,
    )
    return {
        _BAND_IDS[int(index)]: int(offset)
        for index, offset in found
        if int(index) < len(_BAND_IDS)
    }


def _frame_of(dataset, pixel_size_m: int, path: pathlib.Path) -> _Frame:
    transform = dataset.transform
    if not (
        dataset.crs
        and dataset.crs.is_projected
        and np.allclose(
            (transform.a, transform.b, transform.d, transform.e),
            (pixel_size_m, 0, 0, -pixel_size_m),
        )
    ):
        raise command_line.UserError(
            f"{path.name} has pixels of {abs(transform.a):g} x "
            f"{abs(transform.e):g} units in {dataset.crs}. Expected "
            f"{pixel_size_m} m, north up, in a projected coordinate system "
            "such as UTM. Reproject it first."
        )
    return _Frame(
        dataset.crs,
        transform.c,
        transform.f,
        dataset.width * pixel_size_m,
        dataset.height * pixel_size_m,
    )


def _polarisations(dataset, path) -> list[int]:
    """Numbers of the bands VV and VH: by description, else the first two."""
    described = {
        (text or "").strip().upper(): number
        for number, text in enumerate(dataset.descriptions, start=1)
    }
    if set(bigearthnet.S1_BANDS) <= set(described):
        return [described[band] for band in bigearthnet.S1_BANDS]
    if dataset.count != len(bigearthnet.S1_BANDS):
        raise command_line.UserError(
            f"{path} has {dataset.count} bands. Expected two, VV and VH in "
            "this order, or bands with these descriptions."
        )
    return [1, 2]


def _on_frame(dataset, frame: _Frame):
    """The dataset as if it had the pixels of the frame; NaN outside of it."""
    if not dataset.crs:
        raise command_line.UserError(
            f"{dataset.name} has no coordinate system. Expected a "
            "terrain-corrected GeoTIFF."
        )
    left, bottom, right, top = warp.transform_bounds(
        dataset.crs, frame.crs, *dataset.bounds
    )
    if (
        left >= frame.left + frame.width_m
        or right <= frame.left
        or bottom >= frame.top
        or top <= frame.top - frame.height_m
    ):
        raise command_line.UserError(
            "The Sentinel-1 and Sentinel-2 scenes do not overlap. Expected "
            f"scenes of the same place. Received: {dataset.name}"
        )
    nodata = dataset.nodata
    return vrt.WarpedVRT(
        dataset,
        crs=frame.crs,
        transform=frame.transform,
        width=frame.width_m // _PIXEL_M,
        height=frame.height_m // _PIXEL_M,
        resampling=Resampling.bilinear,
        src_nodata=np.nan if nodata is None else nodata,
        nodata=np.nan,
        dtype="float32",
    )


def _read_strip(frame: _Frame, layers, top_m: int):
    """Reads a strip of the scene, 1.2 km high and as wide as the scene.

    Returns:
      Name of grid -> (size, width, bands), and (width in 10 m pixels,) bool:
      whether all pixels of a column hold data.
    """
    strips = {}
    valid = np.ones(frame.width_m // _PIXEL_M, bool)
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
            columns = has_data.all(axis=0).repeat(pixel_m // _PIXEL_M)
            valid &= columns[: len(valid)]
        strips[name] = strip
    return strips, valid


def _whole_windows(valid: np.ndarray, num_columns: int, stride_m: int):
    """Numbers of the windows of a strip in which no pixel lacks data."""
    size = bigearthnet.PATCH_SIZE_M // _PIXEL_M
    lacking = np.append(0, np.cumsum(~valid))
    starts = np.arange(num_columns) * (stride_m // _PIXEL_M)
    return np.flatnonzero(lacking[starts + size] == lacking[starts])


def _cut(strip: np.ndarray, name: str, left_m: np.ndarray) -> np.ndarray:
    """Cuts windows out of a strip: (windows, size, size, bands)."""
    grid = bigearthnet.GRIDS[name]
    starts = left_m // grid.pixel_size_m
    return np.stack([strip[:, s : s + grid.size_px] for s in starts])


def _write_map(output, classes, frame, stride_m, class_names) -> pathlib.Path:
    output = pathlib.Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_name(f"{output.name}.{os.getpid()}.part")
    to_centre = (bigearthnet.PATCH_SIZE_M - stride_m) / 2
    try:
        with rasterio.open(
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
        ) as dataset:
            dataset.write(classes)
            dataset.descriptions = tuple(class_names)
        os.replace(part, output)
    finally:
        part.unlink(missing_ok=True)
    return output
