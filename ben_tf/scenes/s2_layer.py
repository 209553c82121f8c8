"""The bands of a Sentinel-2 scene as a grid of a model."""

import contextlib
import dataclasses
import os
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
import rasterio
from rasterio.enums import ColorInterp

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.scenes import frames
from ben_tf.scenes import images
from ben_tf.scenes import s2_product

# A reflectance of 1 as products store it; files may say so, too.
_SCALE_OF_PRODUCTS = 10_000
_FINEST_M = 10


@dataclasses.dataclass(frozen=True)
class S2Layer:
    """Bands of one resolution.

    Attributes:
      grid: What the model takes.
      bands: In the order of `grid.bands`; their pixels are those of the grid,
        or a whole number of them is one.
      frame: The ground to read, on whole pixels of each file.
    """

    grid: bigearthnet.Grid
    bands: Sequence[images.Band]
    frame: frames.Frame

    def read(self, top_m: int) -> np.ndarray:
        """Reads a strip across the scene, as high as a patch.

        Args:
          top_m: Metres between the upper edges of scene and strip.

        Returns:
          (size, width, bands) float32 reflectance x 10,000; NaN where there is
          none.
        """
        shape = (
            self.grid.size_px,
            self.frame.width_m // self.grid.pixel_size_m,
        )
        strip = np.empty((*shape, len(self.bands)), np.float32)
        for index, band in enumerate(self.bands):
            window = frames.window_of(
                band.dataset, self.frame, top_m, bigearthnet.PATCH_SIZE_M
            )
            strip[..., index] = _averaged(band.read(window), shape)
        return strip


def _averaged(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Means of blocks of pixels; NaN where a part of one is.

    Of equal pixels the mean is exactly that: float64 holds their sum.
    """
    rows, columns = shape
    if pixels.shape == shape:
        return pixels
    blocks = pixels.reshape(
        rows, pixels.shape[0] // rows, columns, pixels.shape[1] // columns
    )
    return blocks.mean(axis=(1, 3), dtype=np.float64)


def open_layers(
    stack: contextlib.ExitStack,
    path: str | os.PathLike,
    grids: Sequence[str],
    *,
    offset: float | None,
    reflectance_scale: float | None = None,
) -> dict[str, S2Layer]:
    """Opens the bands of a scene.

    Args:
      stack: Closes the files.
      path: See `s2_product.find`.
      grids: Which of `bigearthnet.GRIDS`.
      offset: See `s2_product.find`.
      reflectance_scale: See `s2_product.find`.

    Returns:
      Name of grid -> its bands; all cover the same ground.

    Raises:
      errors.UserError: See `scene.predict_scene`.
    """
    pixel_m = {
        band: bigearthnet.GRIDS[name].pixel_size_m
        for name in grids
        for band in bigearthnet.GRIDS[name].bands
    }
    product = s2_product.find(
        path, pixel_m, offset=offset, reflectance_scale=reflectance_scale
    )
    bands = {
        band: _open_band(
            stack,
            file,
            product.add.get(band, 0) if product.add else None,
            reflectance_scale=reflectance_scale,
        )
        for band, file in product.bands.items()
    }
    frame_of = {
        band: frames.frame_of(opened.dataset, pixel_m[band])
        for band, opened in bands.items()
    }
    first, frame = next(iter(frame_of.items()))
    for band, own in frame_of.items():
        if not own.covers_as(frame, _FINEST_M):
            raise errors.UserError(
                f"{product.bands[band]} does not cover the same ground as "
                f"{product.bands[first]}. Expected bands of one scene."
            )
    return {
        name: S2Layer(
            bigearthnet.GRIDS[name],
            [bands[band] for band in bigearthnet.GRIDS[name].bands],
            frame,
        )
        for name in grids
    }


def _open_band(
    stack: contextlib.ExitStack,
    path: str,
    offset: float | None,
    *,
    reflectance_scale: float | None,
) -> images.Band:
    dataset = images.open_image(stack, path)
    colours: Mapping[int, ColorInterp] = dict(
        enumerate(dataset.colorinterp, start=1)
    )
    if [n for n, c in colours.items() if c != ColorInterp.alpha] != [1]:
        raise errors.UserError(
            f"{path} has {dataset.count} bands. Expected a file with one, and "
            "a file for each band of the scene; one file with all bands is an "
            "`image`."
        )
    return band_of(
        dataset,
        1,
        mask=images.open_mask(stack, dataset),
        offset=offset,
        reflectance_scale=reflectance_scale,
    )


def band_of(
    dataset: rasterio.DatasetReader,
    number: int,
    *,
    mask: images.Mask | None,
    offset: float | None,
    reflectance_scale: float | None,
) -> images.Band:
    """A band whose values are read as reflectance x 10,000.

    Args:
      dataset: The open file.
      number: Of the band, from 1.
      mask: See `images.Band`.
      offset: What to add to reflectance x 10,000; None where nobody says.
      reflectance_scale: The number that a reflectance of 1 is stored as; None
        where nobody says: 10,000, or what the file says.

    Raises:
      errors.UserError: The numbers are of another type, or the file has a
        scale of its own.
    """
    images.check_type(dataset, "iuf", "uint16 reflectance x 10,000")
    own_scale = dataset.scales[number - 1]
    own_offset = dataset.offsets[number - 1]
    times = _SCALE_OF_PRODUCTS / (reflectance_scale or _SCALE_OF_PRODUCTS)
    if (own_scale, own_offset) != (1, 0):
        known = [
            text
            for text, value in (
                ("the metadata name offsets, too", offset),
                ("`reflectance_scale` names one, too", reflectance_scale),
            )
            if value is not None
        ]
        if known or not np.isclose(own_scale, 1 / _SCALE_OF_PRODUCTS):
            raise errors.UserError(
                f"{dataset.name} says that its numbers have the scale "
                f"{own_scale:g} and the offset {own_offset:g}"
                + "".join(f", and {text}" for text in known)
                + ". Expected reflectance x 10,000 without; gdal_translate "
                "-unscale -ot Float32, and multiply by 10,000."
            )
        offset = own_offset / own_scale
    # 0 is no data in Level-2A.
    return images.Band(
        dataset,
        number,
        times=times,
        add=offset or 0,
        mask=mask,
        is_positive=True,
    )
