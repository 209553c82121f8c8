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

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf.data import geography

SUFFIXES = (".csv", ".parquet", ".geojson")

# Names, probabilities, EPSG codes and upper left corners of a batch.
Write = Callable[[Sequence[str], np.ndarray, np.ndarray, np.ndarray], None]


@contextlib.contextmanager
def open_writer(
    path: str | os.PathLike, class_names: Sequence[str]
) -> Iterator[Write]:
    """Yields a function that writes a batch; the file appears at the end.

    The suffix chooses the format: .csv or .parquet with a row for each patch
    (patch_name, labels with a probability of at least 0.5, the probability of
    each class), or .geojson with the footprints in degrees (WGS84).

    The function takes names (list of str), probabilities (B, classes) float32,
    epsg (B,) int and upper_left (B, 2) float64 in metres.

    Raises:
      UserError: Another suffix.
    """
    path = pathlib.Path(path)
    writers = {
        ".csv": _write_csv,
        ".parquet": _write_parquet,
        ".geojson": _write_geojson,
    }
    if path.suffix.lower() not in writers:
        raise errors.UserError(
            "Unknown kind of output. Expected a file name that ends with one "
            f"of {', '.join(SUFFIXES)}. Received: `output={path.name}`."
        )
    with (
        files.replacing(path) as part,
        writers[path.suffix.lower()](part, list(class_names)) as write,
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

        def write(
            names: Sequence[str], probabilities: np.ndarray, *_: np.ndarray
        ) -> None:
            labels = predicted_labels(probabilities, class_names)
            for name, present, row in zip(
                names, labels, probabilities, strict=True
            ):
                numbers = [f"{value:.6g}" for value in row]
                writer.writerow([name, "; ".join(present), *numbers])

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

        def write(
            names: Sequence[str], probabilities: np.ndarray, *_: np.ndarray
        ) -> None:
            labels = predicted_labels(probabilities, class_names)
            columns = [list(names), labels, *probabilities.T]
            writer.write_table(pa.table(columns, schema=schema))

        yield write


@contextlib.contextmanager
def _write_geojson(
    path: pathlib.Path, class_names: Sequence[str]
) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"

        def write(
            names: Sequence[str],
            probabilities: np.ndarray,
            epsg: np.ndarray,
            upper_left: np.ndarray,
        ) -> None:
            nonlocal separator
            corners = geography.patch_corners(epsg, upper_left)
            labels = predicted_labels(probabilities, class_names)
            for name, present, row, ring in zip(
                names, labels, probabilities, corners, strict=True
            ):
                # GeoJSON wants a closed ring, counterclockwise.
                ring = np.round(np.append(ring, ring[:1], axis=0), 7).tolist()
                feature = {
                    "type": "Feature",
                    "geometry": {"type": "Polygon", "coordinates": [ring]},
                    "properties": {
                        "patch_name": name,
                        "labels": present,
                        "probabilities": {
                            class_name: round(float(value), 6)
                            for class_name, value in zip(
                                class_names, row, strict=True
                            )
                        },
                    },
                }
                file.write(separator + json.dumps(feature))
                separator = ",\n"

        yield write
        file.write("\n]}\n")
