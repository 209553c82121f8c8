"""The ground that an image covers, and which of its pixels are a part of it."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping

import numpy as np
import rasterio
from rasterio import warp
from rasterio import windows

from ben_tf import bigearthnet
from ben_tf import errors

# Map projections stretch: UTM by 0.1 %, national grids and LAEA by up to 1 %.
_GROUND_TOLERANCE = 0.02
_ORIGIN_TOLERANCE_PX = 1e-3
_STEP_PX = 100
_WGS84 = "EPSG:4326"
# Pixels of 10, 20 and 60 m of Sentinel-2 begin together at multiples of it.
_COMMON_PIXEL_M = 60


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


def place_in(
    frame: Frame, longitude: float, latitude: float
) -> tuple[float, float]:
    """Metres of a point from the western and the northern edge of a frame.

    Args:
      frame: The ground.
      longitude: Degrees east.
      latitude: Degrees north.

    Raises:
      errors.UserError: It lies outside.
    """
    try:
        (easting,), (northing,) = warp.transform(
            _WGS84, frame.crs, [longitude], [latitude]
        )
    except Exception:  # Those of PROJ and GDAL have no public class.
        easting = northing = math.nan
    across, down = easting - frame.left, frame.top - northing
    if not (0 <= across <= frame.width_m and 0 <= down <= frame.height_m):
        corners = ", ".join(f"{x:.4f} {y:.4f}" for x, y in outline(frame))
        raise errors.UserError(
            f"The point {longitude:g}, {latitude:g} lies outside of the scene. "
            f"Expected longitude and latitude between its corners: {corners}."
        )
    return across, down


def outline(frame: Frame) -> list[tuple[float, float]]:
    """Longitude and latitude of the corners, from the upper left, clockwise."""
    right, bottom = frame.left + frame.width_m, frame.top - frame.height_m
    longitudes, latitudes = warp.transform(
        frame.crs,
        _WGS84,
        [frame.left, right, right, frame.left],
        [frame.top, frame.top, bottom, bottom],
    )
    return list(zip(longitudes, latitudes, strict=True))


def window_of(
    dataset: rasterio.DatasetReader, frame: Frame, top_m: int, height_m: int
) -> windows.Window:
    """The pixels of an image that are a strip across a frame.

    Args:
      dataset: The image; the frame `lies_on` its pixels.
      frame: The ground.
      top_m: Metres between the upper edges of frame and strip.
      height_m: Height of the strip.
    """
    pixel_m = dataset.transform.a
    return windows.Window(
        round((frame.left - dataset.transform.c) / pixel_m),
        round((dataset.transform.f - frame.top + top_m) / pixel_m),
        round(frame.width_m / pixel_m),
        round(height_m / pixel_m),
    )


def lies_on(frame: Frame, own: Frame, pixel_m: int) -> bool:
    """Whether a frame lies in an image and begins at a corner of its pixels.

    Args:
      frame: The ground.
      own: That of the image.
      pixel_m: Size of its pixels.
    """
    columns = (frame.left - own.left) / pixel_m
    rows = (own.top - frame.top) / pixel_m
    return (
        frame.crs == own.crs
        and _is_whole(columns)
        and _is_whole(rows)
        and 0 <= round(columns) <= (own.width_m - frame.width_m) // pixel_m
        and 0 <= round(rows) <= (own.height_m - frame.height_m) // pixel_m
    )


def _is_whole(number: float) -> bool:
    return abs(number - round(number)) <= _ORIGIN_TOLERANCE_PX


def shared(frames: Mapping[str, Frame], pixel_m: Mapping[str, int]) -> Frame:
    """The ground that images have in common, on whole pixels of each.

    It begins at the first multiple of 60 m, where pixels of 10, 20 and 60 m of
    Sentinel-2 begin together, so that these come back from an image in which
    they were repeated as finer ones. It begins at the corner of the images
    instead where their pixels are no multiples, or nothing else leaves a patch.

    Args:
      frames: Name of each image, for messages, and its frame.
      pixel_m: Name of each image, and the size of its pixels.

    Raises:
      errors.UserError: They lie in several coordinate systems, their pixels
        begin at different places, or they do not overlap.
    """
    (first, frame), *others = frames.items()
    for name, other in others:
        if other.crs != frame.crs:
            raise errors.UserError(
                f"{name} is in {other.crs}, {first} in {frame.crs}. Expected "
                "Sentinel-2 bands in one coordinate system; reproject one of "
                "the files with gdalwarp."
            )
    left = max(x.left for x in frames.values())
    right = min(x.left + x.width_m for x in frames.values())
    top = min(x.top for x in frames.values())
    bottom = max(x.top - x.height_m for x in frames.values())
    if right <= left or top <= bottom:
        raise errors.UserError(
            f"{' and '.join(frames)} do not overlap. Expected images of the "
            "same place."
        )
    own = Frame(
        frame.crs, left, top, _whole(right - left), _whole(top - bottom)
    )
    first_left, first_top = _next_corner(left), -_next_corner(-top)
    aligned = Frame(
        frame.crs,
        first_left,
        first_top,
        _whole(right - first_left),
        _whole(first_top - bottom),
    )

    def fits(part: Frame) -> bool:
        return all(
            lies_on(part, other, pixel_m[name])
            for name, other in frames.items()
        )

    has_patch = (
        min(aligned.width_m, aligned.height_m) >= bigearthnet.PATCH_SIZE_M
    )
    if has_patch and fits(aligned):
        return aligned
    if not fits(own):
        raise errors.UserError(
            f"The pixels of {' and '.join(frames)} begin at different places. "
            "Expected images on one grid; export them once more, with the same "
            "origin."
        )
    return own


def _next_corner(start: float) -> float:
    """The first multiple of 60 m from there on."""
    units = start / _COMMON_PIXEL_M
    return _COMMON_PIXEL_M * (
        round(units) if _is_whole(units) else math.ceil(units)
    )


def _whole(length: float) -> int:
    """How much of a length pixels of every size fill."""
    units = math.floor(length / _COMMON_PIXEL_M + _ORIGIN_TOLERANCE_PX)
    return _COMMON_PIXEL_M * units


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
