"""The bands of a Sentinel-1 scene as the grid of a model.

Terrain-corrected images come from many tools: with the bands in either order,
with 0, -9999 or nothing to say where no data are, in dB or in linear
backscatter.
"""

import contextlib
import dataclasses
import os
import re
from collections.abc import Sequence

import numpy as np
import rasterio
from rasterio import warp
from rasterio import windows
from rasterio.enums import Resampling

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import plausibility
from ben_tf.scenes import frames
from ben_tf.scenes import images

_PIXEL_M = bigearthnet.GRIDS["s1"].pixel_size_m
# What an image may have that is brought to the grid of Sentinel-2: nothing
# coarser, which would be blurred, and degrees, which are narrow in the north.
_FINEST_M, _COARSEST_M = 5.0, 11.0
_MARGIN_PX = 3
_EXPECTED = "float32 backscatter in dB"
_POLARISATION = re.compile(r"(?<![A-Z])(VV|VH|HH|HV)(?![A-Z])")
# VH lies 5 to 10 dB below VV, over land and over water.
_LEAST_DIFFERENCE_DB = 2.0
# Half a patch: wherever one can be cut out, some of its rows are looked at.
_LOOK_EVERY_PX = bigearthnet.GRIDS["s1"].size_px // 2


@dataclasses.dataclass(frozen=True)
class S1Layer:
    """VV and VH.

    Attributes:
      grid: What the model takes.
      bands: VV and VH.
      frame: The ground to read, perhaps that of a Sentinel-2 scene.
      is_on_pixels: Whether it begins and ends at pixels of the file, so that
        nothing is resampled.
    """

    grid: bigearthnet.Grid
    bands: Sequence[images.Band]
    frame: frames.Frame
    is_on_pixels: bool

    def read(self, top_m: int) -> np.ndarray:
        """Reads a strip across the scene, as high as a patch.

        Args:
          top_m: Metres between the upper edges of scene and strip.

        Returns:
          (size, width, bands) float32 dB; NaN where there are no data.
        """
        shape = (self.grid.size_px, self.frame.width_m // _PIXEL_M)
        if self.is_on_pixels:
            bands = [
                _read(
                    band,
                    frames.window_of(
                        band.dataset,
                        self.frame,
                        top_m,
                        bigearthnet.PATCH_SIZE_M,
                    ),
                )
                for band in self.bands
            ]
        else:
            bands = self._reproject(shape, top_m)
        return np.stack(bands, axis=-1)

    def _reproject(
        self, shape: tuple[int, int], top_m: int
    ) -> list[np.ndarray]:
        """Bilinear; what holds no data takes no part."""
        strip = dataclasses.replace(
            self.frame,
            top=self.frame.top - top_m,
            height_m=shape[0] * _PIXEL_M,
        )
        results = [np.full(shape, np.nan, np.float32) for _ in self.bands]
        for band, result in zip(self.bands, results, strict=True):
            window = _window_of(strip, band.dataset)
            if window is not None:
                warp.reproject(
                    _read(band, window),
                    result,
                    src_transform=band.dataset.window_transform(window),
                    src_crs=band.dataset.crs,
                    src_nodata=np.nan,
                    dst_transform=strip.transform(_PIXEL_M),
                    dst_crs=strip.crs,
                    dst_nodata=np.nan,
                    resampling=Resampling.bilinear,
                )
        return results


def open_layer(
    stack: contextlib.ExitStack,
    path: str | os.PathLike,
    frame: frames.Frame | None,
    *,
    bands: Sequence[str] | None,
) -> S1Layer:
    """Opens a scene.

    Args:
      stack: Closes the file.
      path: A terrain-corrected GeoTIFF with VV and VH in dB.
      frame: The ground to read; None: that of the file.
      bands: Names of the file's bands in order, where it does not tell itself.

    Raises:
      errors.UserError: See `scene.predict_scene`.
    """
    dataset = images.open_image(stack, path)
    images.check_type(dataset, "f", _EXPECTED)
    mask = images.open_mask(stack, dataset)
    return layer_of(
        [
            images.Band(dataset, number, mask=mask)
            for number in _find_bands(dataset, bands)
        ],
        frame,
        is_described=bands is not None or len(_described(dataset)) > 0,
    )


def layer_of(
    bands: Sequence[images.Band],
    frame: frames.Frame | None,
    *,
    is_described: bool,
) -> S1Layer:
    """Makes a layer of VV and VH, in this order.

    Args:
      bands: Bands of open files, in dB.
      frame: The ground to read; None: that of the files.
      is_described: Whether somebody says which of them is which.

    Raises:
      errors.UserError: See `scene.predict_scene`.
    """
    datasets = {band.dataset.name: band.dataset for band in bands}
    for dataset in datasets.values():
        images.check_type(dataset, "f", _EXPECTED)
    for band in bands:
        scale = band.dataset.scales[band.number - 1]
        offset = band.dataset.offsets[band.number - 1]
        if (scale, offset) != (1, 0):
            raise errors.UserError(
                f"{band.dataset.name} says that its numbers have a scale or an "
                "offset. Expected backscatter in dB as it is; gdal_translate "
                "-unscale -ot Float32."
            )
    _check_values(bands, is_described=is_described)
    grid = bigearthnet.GRIDS["s1"]
    if frame is None:
        own = [frames.frame_of(x, _PIXEL_M) for x in datasets.values()]
        if not own[-1].covers_as(own[0], _PIXEL_M):
            raise errors.UserError(
                f"{' and '.join(datasets)} do not cover the same ground. "
                "Expected VV and VH of one image."
            )
        return S1Layer(grid, bands, own[0], is_on_pixels=True)
    for dataset in datasets.values():
        _check_resolution(dataset)
        if _window_of(frame, dataset) is None:
            raise errors.UserError(
                "The Sentinel-1 and Sentinel-2 scenes do not overlap. Expected "
                f"scenes of the same place. Received: {dataset.name}"
            )
    is_on_pixels = all(_has_pixels_of(x, frame) for x in datasets.values())
    return S1Layer(grid, bands, frame, is_on_pixels=is_on_pixels)


def _has_pixels_of(
    dataset: rasterio.DatasetReader, frame: frames.Frame
) -> bool:
    """Whether a frame begins and ends at pixels of an image."""
    try:
        own = frames.frame_of(dataset, _PIXEL_M)
    except errors.UserError:
        return False  # Other pixels, or degrees: to be resampled.
    return frames.lies_on(frame, own, _PIXEL_M)


def _read(band: images.Band, window: windows.Window) -> np.ndarray:
    """dB; NaN also where values stand that no radar measures.

    Tools fill with 0, -9999 or 1e30 and do not always say so; dB that are
    exactly 0 hardly ever occur.
    """
    pixels = band.read(window)
    low, high = plausibility.DECIBELS
    with np.errstate(invalid="ignore"):
        pixels[~((pixels >= low) & (pixels <= high)) | (pixels == 0)] = np.nan
    return pixels


def _window_of(
    frame: frames.Frame, dataset: rasterio.DatasetReader
) -> windows.Window | None:
    """The pixels of an image that lie in a frame, and some around them."""
    left, bottom, right, top = warp.transform_bounds(
        frame.crs,
        dataset.crs,
        frame.left,
        frame.top - frame.height_m,
        frame.left + frame.width_m,
        frame.top,
    )
    rows, columns = rasterio.transform.rowcol(
        dataset.transform,
        [left, left, right, right],
        [bottom, top, bottom, top],
        op=np.floor,
    )
    first_row = max(0, int(min(rows)) - _MARGIN_PX)
    first_column = max(0, int(min(columns)) - _MARGIN_PX)
    last_row = min(dataset.height, int(max(rows)) + 1 + _MARGIN_PX)
    last_column = min(dataset.width, int(max(columns)) + 1 + _MARGIN_PX)
    if last_row <= first_row or last_column <= first_column:
        return None
    return windows.Window(
        first_column,
        first_row,
        last_column - first_column,
        last_row - first_row,
    )


# --- What the file holds ---------------------------------------------------


def _described(dataset: rasterio.DatasetReader) -> dict[str, list[int]]:
    """Polarisation -> numbers of the bands whose description names it."""
    found: dict[str, list[int]] = {}
    for number, text in enumerate(dataset.descriptions, start=1):
        names = set(_POLARISATION.findall((text or "").upper()))
        if len(names) == 1:
            found.setdefault(names.pop(), []).append(number)
    return found


def _find_bands(
    dataset: rasterio.DatasetReader, names: Sequence[str] | None
) -> list[int]:
    """Numbers of VV and VH: by name, by description, or the only two."""
    wanted = bigearthnet.S1_BANDS
    described = _described(dataset)
    if names is not None:
        upper = [name.strip().upper() for name in names]
        if len(upper) != dataset.count or any(
            upper.count(name) != 1 for name in wanted
        ):
            raise errors.UserError(
                f"{dataset.name} has {dataset.count} bands. Expected a name "
                "for each, VV and VH among them. Received: "
                f"`s1_bands={','.join(names)}`"
            )
        numbers = [upper.index(name) + 1 for name in wanted]
        # What two bands say that they are, is no name.
        names_of = {x[0]: name for name, x in described.items() if len(x) == 1}
        for name, number in zip(wanted, numbers, strict=True):
            if names_of.get(number, name) != name:
                raise errors.UserError(
                    f"Band {number} of {dataset.name} says that it is "
                    f"{dataset.descriptions[number - 1]}, not {name}. Correct "
                    "its description or `s1_bands`."
                )
        return numbers
    if all(len(described.get(name, ())) == 1 for name in wanted):
        return [described[name][0] for name in wanted]
    if described or dataset.count != len(wanted):
        texts = ", ".join(text or "no name" for text in dataset.descriptions)
        raise errors.UserError(
            f"{dataset.name} has {dataset.count} bands: {texts}. Expected one "
            "VV and one VH; name the bands in order with `s1_bands=VV,VH`."
        )
    return [1, 2]


def _check_values(bands: Sequence[images.Band], *, is_described: bool) -> None:
    """Looks at a part of the values, spread over the scene.

    Raises:
      errors.UserError: They are no dB, all of them are missing, or VH is
        brighter than VV and no description says which is which.
    """
    medians = []
    for band in bands:
        place = band.dataset.name
        height, width = band.dataset.shape
        values = np.concatenate(
            [
                _read(band, windows.Window(0, row, width, 1)).ravel()
                for row in range(0, height, _LOOK_EVERY_PX)
            ]
        )
        values = values[np.isfinite(values)]
        if not values.size:
            raise errors.UserError(
                f"{place} holds no data: none of its pixels is between "
                "-100 and 100 dB, and not 0. Expected backscatter in dB."
            )
        plausibility.check_units(values, "S1", place)
        medians.append(float(np.median(values)))
    vv, vh = medians
    if not is_described and vv - vh < _LEAST_DIFFERENCE_DB:
        raise errors.UserError(
            f"{place} does not say which of its bands is VV and which is VH, "
            f"and their medians, {vv:.1f} and {vh:.1f} dB, leave it open: VV "
            "is the brighter one by some 7 dB. Name the bands in order with "
            "`s1_bands=VV,VH` or `s1_bands=VH,VV`."
        )


def _check_resolution(dataset: rasterio.DatasetReader) -> None:
    sizes = frames.pixel_on_ground_m(dataset)
    if not all(_FINEST_M <= size <= _COARSEST_M for size in sizes):
        raise errors.UserError(
            f"{dataset.name} has pixels that are "
            f"{sizes[0]:.3g} x {sizes[1]:.3g} m on the ground. Expected 10 m, "
            f"or {_FINEST_M:g} to {_COARSEST_M:g} m to be resampled. Process "
            "the scene with a pixel spacing of 10 m."
        )
