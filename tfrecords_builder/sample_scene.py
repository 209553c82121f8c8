"""Writes a small SYNTHETIC scene, for whoever wants to try `predict` on one.

A landscape of six classes, drawn by the signatures of the sample archive, in
the form that `ben_tf.predict` takes: a folder with a GeoTIFF for each band of
Sentinel-2, and one GeoTIFF with VV and VH in dB.
"""

import dataclasses
import os
import pathlib

import numpy as np
import rasterio
import rasterio.transform

from ben_tf import bigearthnet
from ben_tf import files
from ben_tf.archive import layout
from tfrecords_builder import synthetic

# Of the 43; each is another one of the 19.
CLASSES = (
    "Sea and ocean",
    "Coniferous forest",
    "Non-irrigated arable land",
    "Discontinuous urban fabric",
    "Pastures",
    "Inland marshes",
)
_S1_FILE = "vv_vh_db.tif"
_S2_FOLDER = "S2"
_CRS = "EPSG:32633"
_UPPER_LEFT = (404_400, 5_342_400)
_MARKER_TEXT = """\
SYNTHETIC DATA. The pixels of this scene were generated; a map of it says
nothing about any place.
"""


@dataclasses.dataclass(frozen=True)
class SampleScene:
    """Where a scene lies, and what was drawn.

    Attributes:
      s2_folder: A GeoTIFF for each band, uint16.
      s1_file: A GeoTIFF with VV and VH, float32, dB.
      labels: Labels of the 19 classes of each window of 1.2 km, by rows.
    """

    s2_folder: pathlib.Path
    s1_file: pathlib.Path
    labels: list[list[tuple[str, ...]]]


def make_sample_scene(
    output_dir: str | os.PathLike, *, num_windows: int = 10, seed: int = 0
) -> SampleScene:
    """Writes the scene, unless that has been done.

    Args:
      output_dir: Folder for its files, which appears when they are complete.
      num_windows: Windows of 1.2 km on each side.
      seed: Same seed and size, same scene.
    """
    output_dir = pathlib.Path(output_dir)
    random = np.random.default_rng([seed, 3])
    # A window may have several classes: it is four cells of the landscape.
    cells = synthetic.draw_regions(
        len(CLASSES), size_px=2 * num_windows, random=random
    ).argmax(axis=0)
    labels = [
        [
            [CLASSES[n] for n in np.unique(cells[y : y + 2, x : x + 2])]
            for x in range(0, 2 * num_windows, 2)
        ]
        for y in range(0, 2 * num_windows, 2)
    ]
    if not output_dir.exists():
        bands = _draw(labels, random)
        with files.replacing_folder(output_dir) as part:
            _write(part, bands)
    return SampleScene(
        output_dir / _S2_FOLDER,
        output_dir / _S1_FILE,
        [
            [bigearthnet.labels_43_to_19(window) for window in row]
            for row in labels
        ],
    )


def _draw(
    labels: list[list[list[str]]], random: np.random.Generator
) -> dict[str, np.ndarray]:
    """Band -> (height, width), of windows drawn one by one."""
    drawn = [
        [synthetic.draw_pixels(window, random) for window in row]
        for row in labels
    ]
    return {
        band: np.block([[window[band] for window in row] for row in drawn])
        for grid in bigearthnet.GRIDS.values()
        for band in grid.bands
    }


def _write(folder: pathlib.Path, bands: dict[str, np.ndarray]) -> None:
    (folder / _S2_FOLDER).mkdir(parents=True)
    (folder / layout.SYNTHETIC_MARKER).write_text(_MARKER_TEXT)
    for grid in bigearthnet.GRIDS.values():
        if grid.sensor == "S1":
            groups = {folder / _S1_FILE: grid.bands}
        else:
            groups = {
                folder / _S2_FOLDER / f"{band}.tif": (band,)
                for band in grid.bands
            }
        for path, names in groups.items():
            height, width = bands[names[0]].shape
            with rasterio.open(
                path,
                "w",
                driver="GTiff",
                width=width,
                height=height,
                count=len(names),
                dtype=grid.dtype,
                compress="deflate",
                crs=_CRS,
                transform=rasterio.transform.from_origin(
                    *_UPPER_LEFT, grid.pixel_size_m, grid.pixel_size_m
                ),
            ) as file:
                file.write(np.stack([bands[name] for name in names]))
                file.descriptions = names
