"""Writes the map of a scene: Cloud-Optimised GeoTIFFs and their styles.

    X.tif              probabilities, a band for each class
    X_class.tif        the most probable class, 0 where no data are
    X_confidence.tif   its probability

X_class.tif has a colour table, and names of classes in X_class.tif.aux.xml;
.qml files beside all three are the styles that QGIS opens them with.
"""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil

from ben_tf import errors
from ben_tf import files
from ben_tf.predict import map_style

# Small blocks, since maps are small: a scene of 110 km has 92 pixels a side for
# windows that do not overlap. Larger maps get overviews down to one block.
_BLOCK_PX = 128
_NO_CLASS = 0


@dataclasses.dataclass(frozen=True)
class Grid:
    """The cells of a map.

    Attributes:
      crs: Coordinate system, in metres.
      left: Easting of the western edge.
      top: Northing of the northern edge.
      cell_m: Size of a cell.
      height: Rows.
      width: Columns.
    """

    crs: rasterio.crs.CRS
    left: float
    top: float
    cell_m: int
    height: int
    width: int


# Takes the next rows of a map, (classes, rows, width) float32, NaN for no data.
Write = Callable[[np.ndarray], None]


@dataclasses.dataclass(frozen=True)
class _Sheet:
    """One of the GeoTIFFs.

    Attributes:
      suffix: What its name ends in, before .tif.
      values: (classes, rows, width) probabilities -> (bands, rows, width).
      profile: Type and nodata, for rasterio.
      resampling: GDAL's, for overviews.
      bands: Descriptions of the bands.
      unit: Of its values; "" for none.
    """

    suffix: str
    values: Callable[[np.ndarray], np.ndarray]
    profile: Mapping[str, Any]
    resampling: str
    bands: Sequence[str]
    unit: str


@contextlib.contextmanager
def open_map(
    path: str | os.PathLike,
    grid: Grid,
    class_names: Sequence[str],
    tags: Mapping[str, str],
) -> Iterator[Write]:
    """Yields a function that writes rows from north to south.

    All files appear at the end, the probabilities last; an error leaves none.
    Some rows are in memory at a time: the map is collected in a folder beside
    it, since overviews and their order in the file need the whole of it.

    Args:
      path: The .tif of the probabilities.
      grid: The cells.
      class_names: What the bands are.
      tags: What the files say of themselves.

    Raises:
      errors.UserError: There is no room for them.
    """
    path = pathlib.Path(path)
    sheets = _sheets(class_names)
    paths = _paths(path, sheets)
    texts = _texts(*paths, class_names=class_names)
    with contextlib.ExitStack() as stack:
        # What is entered first gets its name last.
        parts = [stack.enter_context(files.replacing(p)) for p in paths]
        texts_of_parts = {
            stack.enter_context(files.replacing(p)): text
            for p, text in texts.items()
        }
        folder = stack.enter_context(files.scratch_folder(path.parent))
        collected = [folder / f"{number}.tif" for number in range(len(sheets))]
        with contextlib.ExitStack() as open_files:
            yield _collect(open_files, path, sheets, collected, grid, tags)
        # GDAL's own temporary files are to be removed with ours.
        with _explained(path), rasterio.Env(CPL_TMPDIR=os.fspath(folder)):
            for sheet, source, part in zip(
                sheets, collected, parts, strict=True
            ):
                rasterio.shutil.copy(
                    source,
                    part,
                    driver="COG",
                    BLOCKSIZE=_BLOCK_PX,
                    COMPRESS="DEFLATE",
                    PREDICTOR="YES",
                    OVERVIEW_RESAMPLING=sheet.resampling,
                    BIGTIFF="IF_SAFER",
                )
                _compare(source, part)
        for part, text in texts_of_parts.items():
            part.write_text(text, encoding="utf-8")


def files_of(
    path: pathlib.Path, class_names: Sequence[str]
) -> list[pathlib.Path]:
    """All files that `open_map` writes: the GeoTIFFs, then their styles."""
    paths = _paths(path, _sheets(class_names))
    return [*paths, *_texts(*paths, class_names=class_names)]


def _paths(path: pathlib.Path, sheets: Sequence[_Sheet]) -> list[pathlib.Path]:
    return [path.with_stem(f"{path.stem}{sheet.suffix}") for sheet in sheets]


@contextlib.contextmanager
def _explained(path: pathlib.Path) -> Iterator[None]:
    """Makes a sentence of what GDAL raises when it writes.

    Raises:
      errors.UserError: Whatever it is: errors of GDAL's are of many kinds, and
        only those of files say more than that it failed.
    """
    try:
        yield
    except Exception as error:
        reason = errors.first_line(error.__cause__ or error)
        raise errors.UserError(
            f"The map {path} could not be written: {reason}. Expected room for "
            "it on the disk, twice its size until it is whole."
        ) from error


def _compare(source: pathlib.Path, written: pathlib.Path) -> None:
    """Reads what was written: GDAL is silent if the end finds no room.

    Raises:
      Exception: Of GDAL's: it cannot be read.
      ValueError: It holds something else.
    """
    with rasterio.open(source) as before, rasterio.open(written) as after:
        for _, window in after.block_windows():
            if not np.array_equal(
                before.read(window=window),
                after.read(window=window),
                equal_nan=True,
            ):
                raise ValueError("other pixels were read than written")


def _sheets(class_names: Sequence[str]) -> list[_Sheet]:
    probability = {"dtype": "float32", "nodata": np.nan}
    return [
        _Sheet(
            "",
            lambda values: values,
            probability,
            "AVERAGE",
            class_names,
            "probability",
        ),
        _Sheet(
            "_class",
            most_probable,
            {"dtype": "uint8", "nodata": _NO_CLASS},
            "MODE",
            ["Most probable class"],
            "",
        ),
        _Sheet(
            "_confidence",
            lambda values: values.max(axis=0, keepdims=True),
            probability,
            "AVERAGE",
            ["Probability of the most probable class"],
            "probability",
        ),
    ]


def most_probable(values: np.ndarray) -> np.ndarray:
    """(classes, ...) probabilities -> (1, ...) uint8 numbers of classes.

    1 is the first class, 0 stands for NaN.
    """
    has_data = ~np.isnan(values).any(axis=0)
    numbers = np.where(has_data, values.argmax(axis=0) + 1, _NO_CLASS)
    return numbers[None].astype(np.uint8)


def _texts(
    path: pathlib.Path,
    class_path: pathlib.Path,
    confidence_path: pathlib.Path,
    *,
    class_names: Sequence[str],
) -> dict[pathlib.Path, str]:
    """The files beside the GeoTIFFs, and what they hold."""
    return {
        path.with_suffix(".qml"): map_style.probability_qml(),
        class_path.with_suffix(".qml"): map_style.class_qml(class_names),
        class_path.with_name(
            f"{class_path.name}.aux.xml"
        ): map_style.categories_xml(class_names),
        confidence_path.with_suffix(".qml"): map_style.probability_qml(),
    }


def _collect(
    stack: contextlib.ExitStack,
    path: pathlib.Path,
    sheets: Sequence[_Sheet],
    paths: Sequence[pathlib.Path],
    grid: Grid,
    tags: Mapping[str, str],
) -> Write:
    """Opens plain GeoTIFFs that take rows as they come."""
    datasets = []
    for sheet, place in zip(sheets, paths, strict=True):
        dataset = stack.enter_context(
            rasterio.open(
                place,
                "w",
                driver="GTiff",
                width=grid.width,
                height=grid.height,
                count=len(sheet.bands),
                crs=grid.crs,
                transform=rasterio.transform.from_origin(
                    grid.left, grid.top, grid.cell_m, grid.cell_m
                ),
                interleave="pixel",
                blockysize=1,
                BIGTIFF="IF_SAFER",
                **sheet.profile,
            )
        )
        dataset.descriptions = tuple(sheet.bands)
        if sheet.unit:
            dataset.units = (sheet.unit,) * len(sheet.bands)
        dataset.update_tags(**tags)
        datasets.append(dataset)
    colors = map_style.colors_of(sheets[0].bands)
    datasets[1].write_colormap(
        1,
        {_NO_CLASS: (0, 0, 0, 0)}
        | {
            number: (*bytes.fromhex(color[1:]), 255)
            for number, color in enumerate(colors, start=1)
        },
    )
    num_written = 0

    def write(rows: np.ndarray) -> None:
        nonlocal num_written
        window = rasterio.windows.Window(
            0, num_written, grid.width, rows.shape[1]
        )
        with _explained(path):
            for sheet, dataset in zip(sheets, datasets, strict=True):
                dataset.write(sheet.values(rows), window=window)
        num_written += rows.shape[1]

    return write
