"""The bands of a Sentinel-2 scene as a grid of a model."""

import contextlib
import dataclasses
import os
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from rasterio import windows
from rasterio.enums import ColorInterp

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.predict import images
from ben_tf.predict import s2_product

# What a file may say of the scale of its numbers: that of the products.
_SCALE = 1e-4
_FINEST_M = 10


@dataclasses.dataclass(frozen=True)
class S2Layer:
    """Bands of one resolution.

    Attributes:
      grid: What the model takes.
      bands: In the order of `grid.bands`.
      frame: The ground that they cover.
    """

    grid: bigearthnet.Grid
    bands: Sequence[images.Band]
    frame: images.Frame

    def read(self, top_m: int) -> np.ndarray:
        """Reads a strip across the scene, as high as a patch.

        Args:
          top_m: Metres between the upper edges of scene and strip.

        Returns:
          (size, width, bands) float32 reflectance x 10,000; NaN where there is
          none.
        """
        metres = self.grid.pixel_size_m
        window = windows.Window(
            0, top_m // metres, self.frame.width_m // metres, self.grid.size_px
        )
        strip = np.empty(
            (window.height, window.width, len(self.bands)), np.float32
        )
        for index, band in enumerate(self.bands):
            strip[..., index] = band.read(window)
        return strip


def open_layers(
    stack: contextlib.ExitStack,
    path: str | os.PathLike,
    grids: Sequence[str],
    *,
    offset: float | None,
) -> dict[str, S2Layer]:
    """Opens the bands of a scene.

    Args:
      stack: Closes the files.
      path: See `s2_product.find`.
      grids: Which of `bigearthnet.GRIDS`.
      offset: See `s2_product.find`.

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
    product = s2_product.find(path, pixel_m, offset=offset)
    bands = {
        band: _open_band(
            stack,
            file,
            product.add.get(band, 0),
            is_offset_known=bool(product.add),
        )
        for band, file in product.bands.items()
    }
    frames = {
        band: images.frame_of(opened.dataset, pixel_m[band])
        for band, opened in bands.items()
    }
    first, frame = next(iter(frames.items()))
    for band, own in frames.items():
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
    stack: contextlib.ExitStack, path: str, add: float, *, is_offset_known: bool
) -> images.Band:
    dataset = images.open_image(stack, path)
    colours: Mapping[int, ColorInterp] = dict(
        enumerate(dataset.colorinterp, start=1)
    )
    if [n for n, c in colours.items() if c != ColorInterp.alpha] != [1]:
        raise errors.UserError(
            f"{path} has {dataset.count} bands. Expected a file with one, and "
            "a file for each band of the scene."
        )
    images.check_type(dataset, "iuf", "uint16 reflectance x 10,000")
    scale, offset = dataset.scales[0], dataset.offsets[0]
    if (scale, offset) != (1, 0):
        if is_offset_known or not np.isclose(scale, _SCALE):
            raise errors.UserError(
                f"{path} says that its numbers have the scale {scale:g} and "
                f"the offset {offset:g}"
                + (
                    ", and the metadata name offsets, too"
                    if is_offset_known
                    else ""
                )
                + ". Expected reflectance x 10,000 without; gdal_translate "
                "-unscale -ot Float32, and multiply by 10,000."
            )
        add = offset / scale
    # 0 is no data in Level-2A.
    return images.Band(
        dataset, 1, add, images.open_mask(stack, dataset), is_positive=True
    )
