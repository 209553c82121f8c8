"""Writers of predictions: CSV, Parquet and GeoJSON, a batch at a time."""

import contextlib
import csv
import itertools
import json
import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf.data import geography


class Patches(NamedTuple):
    """Which patches a batch of predictions is about.

    Attributes:
      names: Name of each patch.
      epsg: (B,) int, coordinate system of each patch.
      upper_left: (B, 2) float64, easting and northing in metres.
    """

    names: Sequence[str]
    epsg: np.ndarray
    upper_left: np.ndarray


# Takes the patches of a batch and their probabilities, (B, classes) float32.
Write = Callable[[Patches, np.ndarray], None]


@contextlib.contextmanager
def open_writer(
    path: str | os.PathLike, class_names: Sequence[str]
) -> Iterator[Write]:
    """Yields a function that writes a batch; the file appears at the end.

    The suffix chooses the format: .csv or .parquet with a row for each patch
    (patch_name, labels with a probability of at least 0.5, the probability of
    each class), or .geojson with the footprints in degrees (WGS84).

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
        open_format(part, list(class_names)) as write,
    ):
        yield write


def predicted_labels(
    probabilities: np.ndarray, class_names: Sequence[str]
) -> list[list[str]]:
    """Names of the classes that reach the threshold, for each patch."""
    return [
        list(itertools.compress(class_names, row))
        for row in probabilities >= bigearthnet.THRESHOLD
    ]


@contextlib.contextmanager
def _write_csv(
    path: pathlib.Path, class_names: Sequence[str]
) -> Iterator[Write]:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["patch_name", "labels", *class_names])

        def write(patches: Patches, probabilities: np.ndarray) -> None:
            labels = predicted_labels(probabilities, class_names)
            for name, present, row in zip(
                patches.names, labels, probabilities, strict=True
            ):
                numbers = [f"{value:.6g}" for value in row]
                writer.writerow(
                    [files.csv_cell(name), "; ".join(present), *numbers]
                )

        yield write


@contextlib.contextmanager
def _write_parquet(
    path: pathlib.Path, class_names: Sequence[str]
) -> Iterator[Write]:
    schema = pa.schema(
        [("patch_name", pa.string()), ("labels", pa.list_(pa.string()))]
        + [(name, pa.float32()) for name in class_names]
    )
    with parquet.ParquetWriter(path, schema) as writer:

        def write(patches: Patches, probabilities: np.ndarray) -> None:
            labels = predicted_labels(probabilities, class_names)
            columns = [list(patches.names), labels, *probabilities.T]
            writer.write_table(pa.table(columns, schema=schema))

        yield write


@contextlib.contextmanager
def _write_geojson(
    path: pathlib.Path, class_names: Sequence[str]
) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"

        def write(patches: Patches, probabilities: np.ndarray) -> None:
            nonlocal separator
            corners = geography.patch_corners(patches.epsg, patches.upper_left)
            # JSON has no NaN, and readers stop at one.
            nowhere = ~np.isfinite(corners).all(axis=(1, 2))
            if nowhere.any():
                name = next(iter(itertools.compress(patches.names, nowhere)))
                raise errors.UserError(
                    f"{name} lies nowhere on earth, so that it has no place in "
                    "GeoJSON. Write `output` as .csv or .parquet."
                )
            labels = predicted_labels(probabilities, class_names)
            for name, present, row, ring in zip(
                patches.names, labels, probabilities, corners, strict=True
            ):
                # GeoJSON wants a closed ring, counterclockwise.
                ring = np.round(np.append(ring, ring[:1], axis=0), 7).tolist()
                rounded = [round(float(value), 6) for value in row]
                feature = {
                    "type": "Feature",
                    "geometry": {"type": "Polygon", "coordinates": [ring]},
                    "properties": {
                        "patch_name": name,
                        "labels": present,
                        "probabilities": dict(
                            zip(class_names, rounded, strict=True)
                        ),
                    },
                }
                file.write(separator + json.dumps(feature))
                separator = ",\n"

        yield write
        file.write("\n]}\n")


_FORMATS = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".geojson": _write_geojson,
}
