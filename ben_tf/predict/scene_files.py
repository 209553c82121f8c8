"""Finds and opens the files of whole scenes, and brings them to one grid."""

import contextlib
import dataclasses
import os
import pathlib
import re
from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np
import rasterio
import rasterio.errors
from rasterio import vrt
from rasterio import warp
from rasterio.enums import Resampling

from ben_tf import bigearthnet
from ben_tf import errors

PIXEL_M = 10
# File names such as T29SNB_20180517T112119_B02_10m.jp2 or B8A.tif.
_BAND_FILE = re.compile(r"(?:^|_)(B(?:\d\d|8A))(?:_(\d\d)m)?$")
_MAX_METADATA_BYTES = 1 << 24
# How Sentinel-2 metadata numbers the bands.
_BAND_IDS = "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B10 B11 B12".split()

# Name of grid -> for each band the open dataset, the number of the band in it
# and what to add to its values.
Layers = dict[
    str, list[tuple[rasterio.DatasetReader | vrt.WarpedVRT, int, int]]
]


@dataclasses.dataclass(frozen=True)
class Frame:
    """The ground that is predicted: an upright grid of 10 m pixels.

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

    @property
    def transform(self) -> rasterio.transform.Affine:
        """Affine transform of the 10 m pixels."""
        return rasterio.transform.from_origin(
            self.left, self.top, PIXEL_M, PIXEL_M
        )


def open_layers(
    stack: contextlib.ExitStack,
    grids: Sequence[str],
    s2_scene: str | os.PathLike | None,
    s1_scene: str | os.PathLike | None,
) -> tuple[Frame, Layers]:
    """Opens what a model needs.

    Args:
      stack: Closes the files.
      grids: Keys of `bigearthnet.GRIDS`.
      s2_scene: See `scene.predict_scene`.
      s1_scene: See `scene.predict_scene`.

    Returns:
      The ground that is covered, and name of grid -> for each band the open
      dataset, the number of the band in it and what to add to its values.

    Raises:
      UserError: See `scene.predict_scene`.
    """
    for sensor, scene in (("S1", s1_scene), ("S2", s2_scene)):
        needed = any(bigearthnet.GRIDS[name].sensor == sensor for name in grids)
        if needed and not scene:
            raise errors.UserError(
                f"The model looks at {sensor}. Expected "
                f"`{sensor.lower()}_scene` as well."
            )
    layers: Layers = {}
    frame = None
    s2_grids = [n for n in grids if bigearthnet.GRIDS[n].sensor == "S2"]
    if s2_grids and s2_scene:
        paths = _find_band_files(pathlib.Path(s2_scene), s2_grids)
        offsets = _read_offsets(pathlib.Path(s2_scene))
        for name in s2_grids:
            grid = bigearthnet.GRIDS[name]
            layers[name] = []
            for band in grid.bands:
                dataset = stack.enter_context(_open(paths[band]))
                own = _frame_of(dataset, grid.pixel_size_m, paths[band])
                if frame is not None and own != frame:
                    raise errors.UserError(
                        f"{paths[band].name} does not cover the same ground as "
                        "the other bands. Expected bands of one scene."
                    )
                frame = own
                layers[name].append((dataset, 1, offsets.get(band, 0)))
    if "s1" in grids and s1_scene:
        dataset = stack.enter_context(_open(pathlib.Path(s1_scene)))
        indices = _polarisations(dataset, s1_scene)
        if frame is None:
            frame = _frame_of(dataset, PIXEL_M, pathlib.Path(s1_scene))
        else:
            dataset = stack.enter_context(_on_frame(dataset, frame))
        layers["s1"] = [(dataset, index, 0) for index in indices]
    # A model has at least one grid, so there is a frame.
    return frame, layers  # type: ignore[return-value]


def _open(path: pathlib.Path) -> rasterio.DatasetReader:
    try:
        return rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise errors.UserError(
            f"{path} cannot be read as an image ({errors.first_line(error)}). "
            "Expected a GeoTIFF or JPEG 2000 file."
        ) from error


def _find_band_files(
    folder: pathlib.Path, grids: Iterable[str]
) -> dict[str, pathlib.Path]:
    """Finds a file for each band, at the band's own resolution."""
    if not folder.is_dir():
        raise errors.UserError(
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
        raise errors.UserError(
            f"The scene {folder} lacks the bands {', '.join(missing)}. "
            f"Expected a file for each of {', '.join(sorted(pixel_size_m))}, "
            "such as B02.tif or T29SNB_20180517T112119_B02_10m.jp2."
        )
    return found


def _read_offsets(folder: pathlib.Path) -> dict[str, int]:
    """Band -> what to add to its digital numbers to get reflectance x 10,000.

    Products since processing baseline 04.00 (January 2022) are shifted by
    1,000. BigEarthNet is older and is not shifted.
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


def _frame_of(
    dataset: rasterio.DatasetReader, pixel_size_m: int, path: pathlib.Path
) -> Frame:
    transform = dataset.transform
    if not (
        dataset.crs
        and dataset.crs.is_projected
        and np.allclose(
            (transform.a, transform.b, transform.d, transform.e),
            (pixel_size_m, 0, 0, -pixel_size_m),
        )
    ):
        raise errors.UserError(
            f"{path.name} has pixels of {abs(transform.a):g} x "
            f"{abs(transform.e):g} units in {dataset.crs}. Expected "
            f"{pixel_size_m} m, north up, in a projected coordinate system "
            "such as UTM. Reproject it first."
        )
    return Frame(
        dataset.crs,
        transform.c,
        transform.f,
        dataset.width * pixel_size_m,
        dataset.height * pixel_size_m,
    )


def _polarisations(
    dataset: rasterio.DatasetReader, path: str | os.PathLike
) -> list[int]:
    """Numbers of the bands VV and VH: by description, else the first two."""
    described = {
        (text or "").strip().upper(): number
        for number, text in enumerate(dataset.descriptions, start=1)
    }
    if set(bigearthnet.S1_BANDS) <= set(described):
        return [described[band] for band in bigearthnet.S1_BANDS]
    if dataset.count != len(bigearthnet.S1_BANDS):
        raise errors.UserError(
            f"{path} has {dataset.count} bands. Expected two, VV and VH in "
            "this order, or bands with these descriptions."
        )
    return [1, 2]


def _on_frame(dataset: rasterio.DatasetReader, frame: Frame) -> vrt.WarpedVRT:
    """The dataset reprojected to the frame's pixels; NaN outside its extent."""
    if not dataset.crs:
        raise errors.UserError(
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
        raise errors.UserError(
            "The Sentinel-1 and Sentinel-2 scenes do not overlap. Expected "
            f"scenes of the same place. Received: {dataset.name}"
        )
    nodata = dataset.nodata
    return vrt.WarpedVRT(
        dataset,
        crs=frame.crs,
        transform=frame.transform,
        width=frame.width_m // PIXEL_M,
        height=frame.height_m // PIXEL_M,
        resampling=Resampling.bilinear,
        src_nodata=np.nan if nodata is None else nodata,
        nodata=np.nan,
        dtype="float32",
    )
