"""Writers of predictions: CSV, Parquet and GeoJSON, a batch at a time."""

import contextlib
import csv
import json
import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np

from ben_tf import errors
from ben_tf import files
from ben_tf.data import geography

SUFFIXES = (".csv", ".parquet", ".geojson")

# (patch_name, probabilities, epsg, upper_left) of a batch.
Write = Callable[[Sequence[str], np.ndarray, np.ndarray, np.ndarray], None]


@contextlib.contextmanager
def open_writer(
    path: str | os.PathLike, class_names: Sequence[str]
) -> Iterator[Write]:
    """Yields a function that writes a batch; the file appears at the end.

    The suffix of the path chooses the format: .csv or .parquet with a row for
    each patch (patch_name, labels from 0.5 on, a probability for each class),
    or .geojson with the footprints in degrees (WGS84).

    The function takes patch_name (list of str), probabilities (B, classes)
    float32, epsg (B,) int and upper_left (B, 2) float64 in metres.

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
            f"Unknown kind of output. Expected a file name that ends with one "
            f"of {', '.join(SUFFIXES)}. Received: {path.name}"
        )
    with (
        files.replacing(path) as part,
        writers[path.suffix.lower()](part, list(class_names)) as write,
    ):
        yield write


def predicted_labels(
    probabilities: np.ndarray, class_names: Sequence[str]
) -> list[list[str]]:
    """Names of the classes that reach 0.5, for each patch."""
    return [
        [class_names[index] for index in np.flatnonzero(row >= 0.5)]
        for row in probabilities
    ]


@contextlib.contextmanager
def _write_csv(
    path: pathlib.Path, class_names: Sequence[str]
) -> Iterator[Write]:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["patch_name", "labels", *class_names])

        def write(
            patch_name: Sequence[str],
            probabilities: np.ndarray,
            epsg: np.ndarray,
            upper_left: np.ndarray,
        ) -> None:
            labels = predicted_labels(probabilities, class_names)
            for name, names, row in zip(
                patch_name, labels, probabilities, strict=True
            ):
                numbers = [f"{value:.6g}" for value in row]
                writer.writerow([name, "; ".join(names), *numbers])

        yield write


@contextlib.contextmanager
def _write_parquet(
    path: pathlib.Path, class_names: Sequence[str]
) -> Iterator[Write]:
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema(
        [("patch_name", pa.string()), ("labels", pa.list_(pa.string()))]
        + [(name, pa.float32()) for name in class_names]
    )
    with parquet.ParquetWriter(path, schema) as writer:

        def write(
            patch_name: Sequence[str],
            probabilities: np.ndarray,
            epsg: np.ndarray,
            upper_left: np.ndarray,
        ) -> None:
            columns = [
                list(patch_name),
                predicted_labels(probabilities, class_names),
                *probabilities.T,
            ]
            writer.write_table(
                pa.table(
                    [
                        pa.array(column, field.type)
                        for column, field in zip(columns, schema, strict=True)
                    ],
                    schema=schema,
                )
            )

        yield write


@contextlib.contextmanager
def _write_geojson(
    path: pathlib.Path, class_names: Sequence[str]
) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"

        def write(
            patch_name: Sequence[str],
            probabilities: np.ndarray,
            epsg: np.ndarray,
            upper_left: np.ndarray,
        ) -> None:
            nonlocal separator
            corners = geography.patch_corners(epsg, upper_left)
            labels = predicted_labels(probabilities, class_names)
            for name, names, row, ring in zip(
                patch_name, labels, probabilities, corners, strict=True
            ):
                # GeoJSON wants a closed ring, counterclockwise.
                ring = np.round(np.append(ring, ring[:1], axis=0), 7).tolist()
                feature = {
                    "type": "Feature",
                    "geometry": {"type": "Polygon", "coordinates": [ring]},
                    "properties": {
                        "patch_name": name,
                        "labels": names,
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
