"""Opens the raster files of scenes, by the rules that both sensors share.

A scene comes from anywhere. GDAL reads many formats, some of which name other
files or addresses to read; what a scene consists of are GeoTIFF and JPEG 2000
alone, whatever a file is called. Files beside them are not looked at, but for
masks.
"""

import contextlib
import dataclasses
import os
import pathlib
from typing import NamedTuple

import numpy as np
import rasterio
import rasterio.errors
from rasterio import windows
from rasterio.enums import ColorInterp
from rasterio.enums import Interleaving
from rasterio.enums import MaskFlags

from ben_tf import errors
from ben_tf import files

# Suffix -> what reads it; a Cloud Optimized GeoTIFF is a GeoTIFF for readers.
_DRIVERS = {".jp2": "JP2OpenJPEG", ".tif": "GTiff", ".tiff": "GTiff"}
# What is read in one piece, however little of it is wanted; a small file may
# claim to be of any size. A band of Sentinel-2 has 121 million pixels.
_MOST_NUMBERS_AT_ONCE = 1 << 27
# Environment in which all files are read.
GDAL_OPTIONS = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}


class Mask(NamedTuple):
    """A band that is 0 where others hold no data.

    Attributes:
      dataset: An open file.
      number: Of the band, from 1.
    """

    dataset: rasterio.DatasetReader
    number: int


@dataclasses.dataclass(frozen=True)
class Band:
    """One band of an open file.

    Attributes:
      dataset: The open file.
      number: Of the band, from 1.
      times: What to multiply its values with.
      add: What to add then, such as a product's offset.
      mask: What is 0 where the band holds no data, besides what GDAL knows.
      is_positive: Whether 0 and less, as stored, are no data.
    """

    dataset: rasterio.DatasetReader
    number: int
    times: float = 1
    add: float = 0
    mask: Mask | None = None
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
            mask = self.mask.dataset.read(self.mask.number, window=window)
            pixels[mask == 0] = np.nan
        if self.times != 1:
            pixels *= np.float32(self.times)
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
        dataset = stack.enter_context(
            rasterio.open(path, driver=_DRIVERS.get(suffix, "GTiff"))
        )
    except OSError as error:  # Rasterio's errors are of that kind.
        raise errors.UserError(
            f"{path} cannot be read as an image ({errors.first_line(error)}). "
            "Expected a GeoTIFF or JPEG 2000 file."
        ) from error
    most = max(rows * columns for rows, columns in dataset.block_shapes)
    if dataset.interleaving == Interleaving.pixel:
        most *= dataset.count
    if most > _MOST_NUMBERS_AT_ONCE:
        raise errors.UserError(
            f"{path} is stored in pieces of {most:,} numbers that can only be "
            f"read as a whole. Expected at most {_MOST_NUMBERS_AT_ONCE:,}: "
            "gdal_translate -co TILED=YES."
        )
    return dataset


def open_mask(
    stack: contextlib.ExitStack, dataset: rasterio.DatasetReader
) -> Mask | None:
    """Finds a mask that GDAL does not apply by itself.

    It is in X.tif.msk, where GDAL puts the mask of X.tif, or the alpha band,
    which GDAL heeds only beside one or three others.

    Raises:
      errors.UserError: X.tif.msk is no image, or one of another size.
    """
    path = f"{dataset.name}.msk"
    if os.path.exists(path):
        mask = open_image(stack, path)
        if mask.shape != dataset.shape:
            raise errors.UserError(
                f"{path} has {mask.shape} pixels. Expected {dataset.shape}, "
                "those of the file that it masks."
            )
        return Mask(mask, 1)
    if ColorInterp.alpha in dataset.colorinterp:
        return Mask(dataset, dataset.colorinterp.index(ColorInterp.alpha) + 1)
    return None


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
