"""Writers of predictions: CSV, GeoParquet and GeoJSON, a batch at a time."""

import contextlib
import csv
import itertools
import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf.data import geography
from ben_tf.data import geoparquet
from ben_tf.predict import polygons


class Patches(NamedTuple):
    """Which patches a batch of predictions is about.

    Attributes:
      names: Name of each patch.
      epsg: (B,) int, coordinate system of each patch.
      upper_left: (B, 2) float64, easting and northing in metres.
      true_labels: Names of the labels that each patch came with, among the
        classes of the model; None where nothing is known.
    """

    names: Sequence[str]
    epsg: np.ndarray
    upper_left: np.ndarray
    true_labels: Sequence[Sequence[str] | None]


# As GDAL and pandas read truth values.
_CSV_WORDS = {True: "true", False: "false", None: None}

# Takes the patches of a batch and their probabilities, (B, classes) float32.
Write = Callable[[Patches, np.ndarray], None]


@contextlib.contextmanager
def open_writer(
    path: str | os.PathLike,
    class_names: Sequence[str],
    tags: Mapping[str, str],
) -> Iterator[Write]:
    """Yields a function that writes a batch; the file appears at the end.

    The suffix chooses the format: .csv, .parquet (GeoParquet) or .geojson, with
    a row for each patch: patch_name, labels with a probability of at least 0.5,
    true_labels where they are known, the probability of each class under its
    name, and under true_NAME whether the patch has it, empty where nobody
    knows. The last two hold the footprints as well, in degrees (WGS84).

    Args:
      path: The file.
      class_names: Classes of the model.
      tags: What the file says of itself; in .csv the last columns.

    Raises:
      UserError: Another suffix.
    """
    path = pathlib.Path(path)
    open_format = _FORMATS.get(path.suffix.lower())
    if open_format is None:
        raise errors.UserError(
            "Unknown kind of output. Expected a file name that ends with one "
            f"of {', '.join(_FORMATS)}. Received: `output={path.name}`."
        )
    with (
        files.replacing(path) as part,
        open_format(part, list(class_names), tags) as write,
    ):
        yield write


def columns(path: pathlib.Path, class_names: Sequence[str]) -> dict[str, str]:
    """Name of each column of a table of predictions, and its type."""
    types = {
        field.name: "list" if pa.types.is_list(field.type) else str(field.type)
        for field in _schema(class_names, {})
    }
    if path.suffix.lower() != ".parquet":
        del types[geoparquet.COLUMN]
        types |= dict.fromkeys(("labels", "true_labels"), "string")
    return types


def predicted_labels(
    probabilities: np.ndarray, class_names: Sequence[str]
) -> list[list[str]]:
    """Names of the classes that reach the threshold, for each patch."""
    return [
        list(itertools.compress(class_names, row))
        for row in probabilities >= bigearthnet.THRESHOLD
    ]


def true_column(class_name: str) -> str:
    """Name of the column that says whether a patch has a class."""
    return f"true_{class_name}"


def _is_true(
    patches: Patches, class_names: Sequence[str]
) -> list[list[bool] | list[None]]:
    """Whether each patch has each class; None where nobody knows."""
    return [
        [None] * len(class_names)
        if labels is None
        else [name in labels for name in class_names]
        for labels in patches.true_labels
    ]


def _joined(labels: Sequence[str] | None) -> str | None:
    return None if labels is None else "; ".join(labels)


def _rows(
    patches: Patches, probabilities: np.ndarray, class_names: Sequence[str]
) -> Iterator[
    tuple[str, str | None, str | None, np.ndarray, list[bool] | list[None]]
]:
    """Name, labels, true labels, probabilities, truth of each class."""
    labels = predicted_labels(probabilities, class_names)
    return zip(
        patches.names,
        map(_joined, labels),
        map(_joined, patches.true_labels),
        probabilities,
        _is_true(patches, class_names),
        strict=True,
    )


@contextlib.contextmanager
def _write_csv(
    path: pathlib.Path, class_names: Sequence[str], tags: Mapping[str, str]
) -> Iterator[Write]:
    own = [files.csv_cell(value) for value in tags.values()]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                *("patch_name", "labels", "true_labels"),
                *class_names,
                *map(true_column, class_names),
                *tags,
            ]
        )

        def write(patches: Patches, probabilities: np.ndarray) -> None:
            for name, present, true, row, is_true in _rows(
                patches, probabilities, class_names
            ):
                writer.writerow(
                    [
                        files.csv_cell(name),
                        present,
                        true,
                        *(f"{value:.6g}" for value in row),
                        *map(_CSV_WORDS.get, is_true),
                        *own,
                    ]
                )

        yield write


def _schema(class_names: Sequence[str], tags: Mapping[str, str]) -> pa.Schema:
    return pa.schema(
        [
            ("patch_name", pa.string()),
            ("labels", pa.list_(pa.string())),
            ("true_labels", pa.list_(pa.string())),
            *((name, pa.float32()) for name in class_names),
            *((true_column(name), pa.bool_()) for name in class_names),
            (geoparquet.COLUMN, pa.binary()),
        ],
        metadata=geoparquet.METADATA | dict(tags),
    )


@contextlib.contextmanager
def _write_parquet(
    path: pathlib.Path, class_names: Sequence[str], tags: Mapping[str, str]
) -> Iterator[Write]:
    schema = _schema(class_names, tags)
    with parquet.ParquetWriter(path, schema) as writer:

        def write(patches: Patches, probabilities: np.ndarray) -> None:
            corners = geography.patch_corners(patches.epsg, patches.upper_left)
            values = [
                list(patches.names),
                predicted_labels(probabilities, class_names),
                list(patches.true_labels),
                *probabilities.T,
                *zip(*_is_true(patches, class_names), strict=True),
                geoparquet.polygons(corners),
            ]
            writer.write_table(pa.table(values, schema=schema))

        yield write


@contextlib.contextmanager
def _write_geojson(
    path: pathlib.Path, class_names: Sequence[str], tags: Mapping[str, str]
) -> Iterator[Write]:
    with polygons.open_polygons(path, tags) as write_polygons:

        def write(patches: Patches, probabilities: np.ndarray) -> None:
            corners = geography.patch_corners(patches.epsg, patches.upper_left)
            nowhere = ~np.isfinite(corners).all(axis=(1, 2))
            if nowhere.any():
                name = next(iter(itertools.compress(patches.names, nowhere)))
                raise errors.UserError(
                    f"{name} lies nowhere on earth, so that it has no place in "
                    "GeoJSON. Write `output` as .csv or .parquet."
                )
            write_polygons(
                corners,
                [
                    {
                        "patch_name": name,
                        "labels": present,
                        "true_labels": true,
                        **dict(
                            zip(class_names, polygons.rounded(row), strict=True)
                        ),
                        **dict(
                            zip(
                                map(true_column, class_names),
                                is_true,
                                strict=True,
                            )
                        ),
                    }
                    for name, present, true, row, is_true in _rows(
                        patches, probabilities, class_names
                    )
                ],
            )

        yield write


_FORMATS = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".geojson": _write_geojson,
}
