"""Writes the table of all patches next to the records, a row a patch.

It is GeoParquet: GIS open it as a map, `pandas.read_parquet` as any table. The
official v1.0 has no such table.
"""

import os
from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from ben_tf import bigearthnet
from ben_tf.archive import patch_pair
from ben_tf.data import geography
from ben_tf.data import geoparquet
from ben_tf.data import patch_table
from tfrecords_builder import record

FILE_NAME = patch_table.FILE_NAME

_SCHEMA = pa.schema(
    [
        ("patch_name", pa.string()),
        ("s1_name", pa.string()),
        # The same patch in v1.0, by which tables of both versions join.
        ("v1_name", pa.string()),
        ("split", pa.string()),
        ("labels_43", pa.list_(pa.string())),
        ("labels_19", pa.list_(pa.string())),
        ("country", pa.string()),
        ("season", pa.string()),
        ("seasonal_snow", pa.bool_()),
        ("cloud_or_shadow", pa.bool_()),
        ("epsg", pa.int32()),
        # Outer upper left corner in the patch's projection, metres.
        ("easting", pa.float64()),
        ("northing", pa.float64()),
        # Centre of the patch, WGS 84, degrees.
        ("longitude", pa.float64()),
        ("latitude", pa.float64()),
        ("s1_time", pa.string()),
        ("s2_time", pa.string()),
        # A GIS filters and colours by columns, not by members of lists.
        *((name, pa.bool_()) for name in bigearthnet.CLASSES_19),
        # The footprint, WGS 84, degrees.
        (geoparquet.COLUMN, pa.binary()),
    ],
    metadata=geoparquet.METADATA,
)


def write(
    path: str | os.PathLike[str],
    parts: Iterable[Sequence[patch_pair.PatchPair]],
) -> None:
    """Writes one row a pair, in the given order; memory for one part."""
    with parquet.ParquetWriter(path, _SCHEMA) as writer:
        for pairs in parts:
            rows = _rows(pairs)
            writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))


def _rows(pairs: Sequence[patch_pair.PatchPair]) -> list[dict[str, object]]:
    epsg = np.array([pair.footprint.epsg for pair in pairs])
    upper_left = np.array([pair.footprint.upper_left for pair in pairs])
    longitudes, latitudes = geography.patch_centres(epsg, upper_left)
    shapes = geoparquet.polygons(geography.patch_corners(epsg, upper_left))
    return [
        {
            **record.example(pair),
            "v1_name": pair.official.v1_name or pair.official.s2_name,
            "split": pair.official.split,
            # Without a number that stands for unknown.
            "country": pair.official.country or None,
            "season": pair.official.season or None,
            "easting": pair.footprint.upper_left[0],
            "northing": pair.footprint.upper_left[1],
            "longitude": longitude,
            "latitude": latitude,
            **{
                name: name in pair.metadata.labels_19
                for name in bigearthnet.CLASSES_19
            },
            geoparquet.COLUMN: shape,
        }
        for pair, longitude, latitude, shape in zip(
            pairs, longitudes, latitudes, shapes, strict=True
        )
    ]
