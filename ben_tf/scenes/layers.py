"""The bands of a scene as grids of a model, strip by strip, and windows of it.

Sentinel-2 gives the ground, Sentinel-1 is brought to it.
"""

import contextlib
import dataclasses
import os
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import rasterio

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import plausibility
from ben_tf.scenes import frames
from ben_tf.scenes import images
from ben_tf.scenes import multiband
from ben_tf.scenes import s1_layer
from ben_tf.scenes import s2_layer

FINEST_M = 10
# The coarsest pixels are 60 m: a window must begin at a pixel of every grid.
WINDOW_UNIT_M = 60
# Units are those of thousands of pixels; some of them tell.
_LOOK_EVERY_PX = 3

Layers = Mapping[str, s1_layer.S1Layer | s2_layer.S2Layer]


@dataclasses.dataclass(frozen=True)
class Hints:
    """What the files of a scene may not say themselves.

    Attributes:
      s2_offset: What to add to reflectance x 10,000, as numbers are stored.
      reflectance_scale: The number that a reflectance of 1 is stored as; 10,000
        where nobody says.
      s1_bands: Name of each band of the Sentinel-1 scene, in order.
      bands: Name of each band of the images, in order.
    """

    s2_offset: float | None = None
    reflectance_scale: float | None = None
    s1_bands: Sequence[str] | None = None
    bands: Sequence[str] | None = None


NO_HINTS = Hints()


def open_layers(
    stack: contextlib.ExitStack,
    grids: Sequence[str],
    *,
    s2_scene: str | os.PathLike | None = None,
    s1_scene: str | os.PathLike | None = None,
    image_paths: Sequence[str | os.PathLike] = (),
    hints: Hints = NO_HINTS,
) -> Layers:
    """Opens what a model needs, on one ground.

    Args:
      stack: Closes the files.
      grids: Which of `bigearthnet.GRIDS`.
      s2_scene: See `s2_product.find`.
      s1_scene: See `s1_layer.open_layer`.
      image_paths: Instead of both: see `multiband.open_layers`.
      hints: What the files do not say themselves.

    Returns:
      Name of grid -> its bands.

    Raises:
      errors.UserError: A scene or band is missing, cannot be read or is of
        another kind; or a hint says nothing.
    """
    if image_paths and (s2_scene or s1_scene):
        raise errors.UserError(
            "Expected `image` instead of scenes, `s2_scene` and `s1_scene`, or "
            "these alone."
        )
    if hints.bands is not None and not image_paths:
        raise errors.UserError(
            "`bands` names the bands of `image`. Expected one, or no `bands`."
        )
    if hints.s1_bands is not None and image_paths:
        raise errors.UserError(
            "`s1_bands` names the bands of `s1_scene`. Expected `bands` for "
            "those of `image`."
        )
    scenes = {"S1": s1_scene, "S2": s2_scene}
    of_sensor = {
        sensor: [n for n in grids if bigearthnet.GRIDS[n].sensor == sensor]
        for sensor in scenes
    }
    for sensor, scene in scenes.items():
        if of_sensor[sensor] and not scene and not image_paths:
            raise errors.UserError(
                f"The model looks at {sensor}. Expected "
                f"`{sensor.lower()}_scene` as well."
            )
    for sensor, name, hint in (
        ("S1", "s1_bands", hints.s1_bands),
        ("S2", "s2_offset", hints.s2_offset),
        ("S2", "reflectance_scale", hints.reflectance_scale),
    ):
        if hint is not None and not of_sensor[sensor]:
            raise errors.UserError(
                f"The model does not look at {sensor}, so that `{name}` says "
                "nothing. Leave it out."
            )
    scale = hints.reflectance_scale
    if scale is not None and not (np.isfinite(scale) and scale > 0):
        raise errors.UserError(
            "Expected a number above 0, such as 1 for reflectance from 0 to "
            f"1. Received: `reflectance_scale={scale:g}`"
        )
    if image_paths:
        return multiband.open_layers(
            stack,
            image_paths,
            grids,
            names=hints.bands,
            offset=hints.s2_offset,
            reflectance_scale=scale,
        )
    layers: dict[str, s1_layer.S1Layer | s2_layer.S2Layer] = {}
    frame = None
    if s2_scene and of_sensor["S2"]:
        layers |= s2_layer.open_layers(
            stack,
            s2_scene,
            of_sensor["S2"],
            offset=hints.s2_offset,
            reflectance_scale=scale,
        )
        frame = layers[of_sensor["S2"][0]].frame
    if s1_scene and of_sensor["S1"]:
        layers["s1"] = s1_layer.open_layer(
            stack, s1_scene, frame, bands=hints.s1_bands
        )
    return layers


def read_strip(
    layers: Layers, top_m: int, left_m: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Reads a strip of the scene, 1.2 km high and as wide as the scene.

    Args:
      layers: From `open_layers`.
      top_m: Metres between the upper edges of scene and strip.
      left_m: (N,) metres between the left edges of scene and each window.

    Returns:
      Name of grid -> (size, width, bands) of the grid's type, and the numbers
      of the windows in which all pixels hold data.

    Raises:
      errors.UserError: A file is damaged there, or its numbers cannot be of
        the unit of the grid.
    """
    pixels = {}
    lacking = np.zeros((), bool)
    for name, layer in layers.items():
        pixels[name] = layer.read(top_m)
        own = np.isnan(pixels[name]).any(axis=(0, 2))
        lacking = lacking | own.repeat(layer.grid.pixel_size_m // FINEST_M)
    num_lacking = np.append(0, np.cumsum(lacking))
    starts = left_m // FINEST_M
    ends = starts + bigearthnet.PATCH_SIZE_M // FINEST_M
    whole = np.flatnonzero(num_lacking[ends] == num_lacking[starts])
    strips = {}
    for name, values in pixels.items():
        grid = bigearthnet.GRIDS[name]
        if whole.size:
            plausibility.check_units(
                values[::_LOOK_EVERY_PX, ::_LOOK_EVERY_PX],
                grid.sensor,
                f"the scene, {top_m} m below its upper edge,",
            )
        if grid.sensor == "S2":
            # Scaled numbers are whole but for the rounding of float32.
            values = np.clip(np.rint(np.nan_to_num(values)), 0, 65_535)
        strips[name] = values.astype(grid.dtype)
    return strips, whole


def cut(
    strips: Mapping[str, np.ndarray], left_m: np.ndarray
) -> dict[str, np.ndarray]:
    """Cuts windows out of a strip.

    Args:
      strips: From `read_strip`.
      left_m: (N,) metres between the left edges of the strip and each window.

    Returns:
      Name of grid -> (N, size, size, bands).
    """
    windows = {}
    for name, strip in strips.items():
        grid = bigearthnet.GRIDS[name]
        starts = left_m // grid.pixel_size_m
        windows[name] = np.stack(
            [strip[:, s : s + grid.size_px] for s in starts]
        )
    return windows


class Patch(NamedTuple):
    """A window of an image.

    Attributes:
      grids: Name of grid -> (size, size, bands).
      crs: Coordinate system.
      upper_left: Easting and northing of its outer corner, in metres.
    """

    grids: Mapping[str, np.ndarray]
    crs: rasterio.crs.CRS
    upper_left: tuple[float, float]


def check_frame(frame: frames.Frame) -> None:
    """Refuses ground that is smaller than a patch.

    Raises:
      errors.UserError: It is.
    """
    size_m = bigearthnet.PATCH_SIZE_M
    if min(frame.width_m, frame.height_m) < size_m:
        raise errors.UserError(
            f"The scene covers {frame.width_m} m x {frame.height_m} m. "
            f"Expected at least one patch of {size_m} m."
        )


def read_window(
    grids: Sequence[str],
    *,
    point: tuple[float, float] | None = None,
    s2_scene: str | os.PathLike | None = None,
    s1_scene: str | os.PathLike | None = None,
    image_paths: Sequence[str | os.PathLike] = (),
    hints: Hints = NO_HINTS,
) -> Patch:
    """Reads one patch out of a scene, and nothing else of it.

    Args:
      grids: Which of `bigearthnet.GRIDS`.
      point: Longitude and latitude, degrees, that the patch lies around, as
        closely as the edges of the scene and its coarsest pixels allow; None:
        the middle of the scene.
      s2_scene: As for `open_layers`.
      s1_scene: Likewise.
      image_paths: Likewise.
      hints: What the files do not say themselves.

    Raises:
      errors.UserError: As `open_layers`; or the point lies elsewhere, or a
        pixel there lacks data.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(rasterio.Env(**images.GDAL_OPTIONS))
        opened = open_layers(
            stack,
            grids,
            s2_scene=s2_scene,
            s1_scene=s1_scene,
            image_paths=image_paths,
            hints=hints,
        )
        frame = next(iter(opened.values())).frame
        check_frame(frame)
        part = _part_around(frame, point)
        cropped = {
            name: dataclasses.replace(layer, frame=part)
            for name, layer in opened.items()
        }
        strips, whole = read_strip(cropped, 0, np.array([0]))
    if not whole.size:
        scene = " and ".join(
            str(path) for path in (s2_scene, s1_scene, *image_paths) if path
        )
        size = f"{bigearthnet.PATCH_SIZE_M} m"
        place = (
            f"middle {size}" if point is None else f"{size} around the point"
        )
        raise errors.UserError(
            f"{scene} lacks data in the {place}, which are the query. Expected "
            "data in each of their pixels; choose another place, or cut the "
            "image around one."
        )
    return Patch(strips, part.crs, (part.left, part.top))


def _part_around(
    frame: frames.Frame, point: tuple[float, float] | None
) -> frames.Frame:
    """The ground of a patch around a point, on pixels of every grid."""
    size_m = bigearthnet.PATCH_SIZE_M
    middle = (frame.width_m / 2, frame.height_m / 2)
    if point is not None:
        middle = frames.place_in(frame, *point)
    left_m, top_m = (
        WINDOW_UNIT_M
        * min(
            max(0, round((at - size_m / 2) / WINDOW_UNIT_M)),
            (length - size_m) // WINDOW_UNIT_M,
        )
        for at, length in zip(
            middle, (frame.width_m, frame.height_m), strict=True
        )
    )
    return dataclasses.replace(
        frame,
        left=frame.left + left_m,
        top=frame.top - top_m,
        width_m=size_m,
        height_m=size_m,
    )
