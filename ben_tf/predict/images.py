"""Opens the raster files of scenes, by the rules that both sensors share.

A scene comes from anywhere. GDAL reads many formats, some of which name other
files or addresses to read; what a scene consists of are GeoTIFF and JPEG 2000
alone, whatever a file is called. Files beside them are not looked at, but for
masks.
"""

import contextlib
import dataclasses
import math
import os
import pathlib

import numpy as np
import rasterio
import rasterio.errors
from rasterio import warp
from rasterio import windows
from rasterio.enums import MaskFlags

from ben_tf import errors
from ben_tf import files

# Suffix -> what reads it; a Cloud Optimized GeoTIFF is a GeoTIFF for readers.
_DRIVERS = {".jp2": "JP2OpenJPEG", ".tif": "GTiff", ".tiff": "GTiff"}
# Environment in which all files are read.
GDAL_OPTIONS = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
# Map projections stretch: UTM by 0.1 %, national grids and LAEA by up to 1 %.
_GROUND_TOLERANCE = 0.02
_ORIGIN_TOLERANCE_PX = 1e-3
_STEP_PX = 100
_WGS84 = "EPSG:4326"


@dataclasses.dataclass(frozen=True)
class Frame:
    """The ground that an image covers: an upright grid of square pixels.

    Attributes:
      crs: Coordinate system, in metres.
      left: Easting of the western edge.
      top: Northing of the northern edge.
      width_m: Extent from west to east.
      height_m: Extent from north to south.
    """

    crs: rasterio.crs.CRS
    left: float
    top: float
    width_m: int
    height_m: int

    def transform(self, pixel_m: int) -> rasterio.transform.Affine:
        """Affine transform of pixels of that size."""
        return rasterio.transform.from_origin(
            self.left, self.top, pixel_m, pixel_m
        )

    def covers_as(self, other: "Frame", pixel_m: int) -> bool:
        """Whether both are the same, up to a thousandth of a pixel."""
        tolerance = _ORIGIN_TOLERANCE_PX * pixel_m
        return (
            self.crs == other.crs
            and abs(self.left - other.left) <= tolerance
            and abs(self.top - other.top) <= tolerance
            and self.width_m == other.width_m
            and self.height_m == other.height_m
        )


@dataclasses.dataclass(frozen=True)
class Band:
    """One band of an open file.

    Attributes:
      dataset: The open file.
      number: Of the band, from 1.
      add: What to add to its values, such as a product's offset.
      mask: An open file that is 0 where the band holds no data.
      is_positive: Whether 0 and less, as stored, are no data.
    """

    dataset: rasterio.DatasetReader
    number: int
    add: float = 0
    mask: rasterio.DatasetReader | None = None
    is_positive: bool = False

    def read(self, window: windows.Window) -> np.ndarray:
        """Reads a part: (height, width) float32, NaN where no data are.

        Raises:
          errors.UserError: The file is damaged there.
        """
        try:
            return self._read(window)
        except rasterio.errors.RasterioIOError as error:
            reason = errors.first_line(error.__cause__ or error)
            raise errors.UserError(
                f"{self.dataset.name} is damaged in the rows from "
                f"{window.row_off}: {reason}. Expected a whole GeoTIFF or JPEG "
                "2000 file; fetch it again, to another place."
            ) from error

    def _read(self, window: windows.Window) -> np.ndarray:
        stored = self.dataset.read(self.number, window=window)
        pixels = stored.astype(np.float32)
        flags = self.dataset.mask_flag_enums[self.number - 1]
        if flags == [MaskFlags.nodata]:
            # Compared as stored; float32 would round large whole numbers.
            nodata = self.dataset.nodatavals[self.number - 1]
            pixels[stored == nodata] = np.nan
        elif flags != [MaskFlags.all_valid]:
            masks = self.dataset.read_masks(self.number, window=window)
            pixels[masks == 0] = np.nan
        if self.is_positive:
            pixels[stored <= 0] = np.nan
        if self.mask is not None:
            pixels[self.mask.read(1, window=window) == 0] = np.nan
        return pixels + np.float32(self.add) if self.add else pixels


def open_image(
    stack: contextlib.ExitStack, path: str | os.PathLike
) -> rasterio.DatasetReader:
    """Opens a GeoTIFF or JPEG 2000 file until the stack is closed.

    Raises:
      errors.UserError: It is neither, or is damaged.
    """
    suffix = pathlib.Path(path).suffix.lower()
    try:
        # GDAL also opens what lies in a zip file.
        if os.path.exists(path):
            files.check_regular(path)
        return stack.enter_context(
            rasterio.open(path, driver=_DRIVERS.get(suffix, "GTiff"))
        )
    except OSError as error:  # Rasterio's errors are of that kind.
        raise errors.UserError(
            f"{path} cannot be read as an image ({errors.first_line(error)}). "
            "Expected a GeoTIFF or JPEG 2000 file."
        ) from error


def open_mask(
    stack: contextlib.ExitStack, dataset: rasterio.DatasetReader
) -> rasterio.DatasetReader | None:
    """Opens X.tif.msk, where GDAL puts the mask of X.tif, if it is there.

    Raises:
      errors.UserError: It is no image, or one of another size.
    """
    path = f"{dataset.name}.msk"
    if not os.path.exists(path):
        return None
    mask = open_image(stack, path)
    if mask.shape != dataset.shape:
        raise errors.UserError(
            f"{path} has {mask.shape} pixels. Expected {dataset.shape}, those "
            "of the file that it masks."
        )
    return mask


def frame_of(dataset: rasterio.DatasetReader, pixel_m: int) -> Frame:
    """The ground that an image covers.

    Raises:
      errors.UserError: Its pixels are not upright squares of `pixel_m` metres,
        on the map and on the ground.
    """
    transform = dataset.transform
    crs = dataset.crs
    sizes = (transform.a, transform.b, transform.d, transform.e)
    if not (
        crs
        and crs.is_projected
        and crs.linear_units_factor[1] == 1
        and np.allclose(sizes, (pixel_m, 0, 0, -pixel_m))
        and math.isfinite(transform.c + transform.f)
    ):
        unit = crs.linear_units if crs and crs.is_projected else "degrees"
        raise _wrong_grid(
            dataset,
            f"pixels of {abs(transform.a):g} x {abs(transform.e):g} {unit}"
            if crs
            else "no coordinate system",
            pixel_m,
        )
    on_ground = pixel_on_ground_m(dataset)
    if not np.allclose(on_ground, pixel_m, rtol=_GROUND_TOLERANCE):
        raise _wrong_grid(
            dataset,
            "pixels that are {:.3g} x {:.3g} m on the ground".format(
                *on_ground
            ),
            pixel_m,
        )
    return Frame(
        crs,
        transform.c,
        transform.f,
        dataset.width * pixel_m,
        dataset.height * pixel_m,
    )


def pixel_on_ground_m(dataset: rasterio.DatasetReader) -> tuple[float, float]:
    """Width and height of a pixel in the middle of an image, on the earth.

    Raises:
      errors.UserError: It does not say where it lies.
    """
    _, latitudes, degrees = _middle(dataset)
    latitude = math.radians(latitudes)
    # Metres of a degree on WGS 84, to some centimetres.
    north = 111_132.95 - 559.85 * math.cos(2 * latitude)
    east = 111_412.88 * math.cos(latitude) - 93.5 * math.cos(3 * latitude)
    width, height = (
        math.hypot(longitude * east, latitude * north) / _STEP_PX
        for longitude, latitude in degrees
    )
    return width, height


def _middle(
    dataset: rasterio.DatasetReader,
) -> tuple[float, float, list[tuple[float, float]]]:
    """Longitude, latitude, and the degrees of some pixels east and south."""
    row, column = dataset.height / 2, dataset.width / 2
    xs, ys = rasterio.transform.xy(
        dataset.transform,
        [row, row, row + _STEP_PX],
        [column, column + _STEP_PX, column],
        offset="ul",
    )
    try:
        longitudes, latitudes = warp.transform(dataset.crs, _WGS84, xs, ys)
    except Exception as error:  # Those of PROJ and GDAL have no public class.
        raise errors.UserError(
            f"{dataset.name} does not say where on earth it lies "
            f"({errors.first_line(error)}). Expected a terrain-corrected, "
            "georeferenced image."
        ) from error
    if not np.isfinite([*longitudes, *latitudes]).all():
        raise errors.UserError(
            f"{dataset.name} lies nowhere on earth: its corner is at "
            f"{dataset.transform.c:g}, {dataset.transform.f:g} in "
            f"{dataset.crs}. Expected a georeferenced image."
        )
    return (
        longitudes[0],
        latitudes[0],
        [
            (x - longitudes[0], y - latitudes[0])
            for x, y in zip(longitudes[1:], latitudes[1:], strict=True)
        ],
    )


def _wrong_grid(
    dataset: rasterio.DatasetReader, found: str, pixel_m: int
) -> errors.UserError:
    message = (
        f"{dataset.name} has {found}. Expected squares of {pixel_m} m, north "
        "up, in a projected coordinate system such as UTM."
    )
    if dataset.crs:
        longitude, latitude, _ = _middle(dataset)
        zone = min(60, int((longitude + 180) // 6) + 1)
        epsg = (32_600 if latitude >= 0 else 32_700) + zone
        name = pathlib.Path(dataset.name).name
        message += (
            f" Reproject it: gdalwarp -t_srs EPSG:{epsg} -tr {pixel_m} "
            f"{pixel_m} -r bilinear {name} utm_{name}"
        )
    return errors.UserError(message)


def check_type(
    dataset: rasterio.DatasetReader, kinds: str, expected: str
) -> None:
    """Refuses files whose numbers are of another type.

    Args:
      dataset: The file.
      kinds: NumPy's letters for kinds of numbers, such as "iuf".
      expected: What they should be, for the message.

    Raises:
      errors.UserError: Another kind, or 8 bits only.
    """
    for name in dataset.dtypes:
        dtype = np.dtype(name)
        if dtype.kind not in kinds or dtype.itemsize < 2:
            raise errors.UserError(
                f"{dataset.name} holds {name}. Expected {expected}; an image "
                "for the eye is stretched and cannot be used."
            )
