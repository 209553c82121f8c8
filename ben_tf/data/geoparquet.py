"""Footprints in a Parquet file, as GeoParquet 1.1 wants them.

https://geoparquet.org: a column of well-known binary (WKB), and a text in the
metadata of the schema that says so.
"""

import json
import types

import numpy as np

COLUMN = "geometry"
# Longitude and latitude on WGS 84 are what a column without `crs` holds.
METADATA = types.MappingProxyType(
    {
        "geo": json.dumps(
            {
                "version": "1.1.0",
                "primary_column": COLUMN,
                "columns": {
                    COLUMN: {
                        "encoding": "WKB",
                        "geometry_types": ["Polygon"],
                        "orientation": "counterclockwise",
                    }
                },
            }
        )
    }
)
_CORNERS = 4
_LITTLE_ENDIAN = 1
_POLYGON = 3
# A polygon of one closed ring.
_WKB = np.dtype(
    [
        ("byte_order", "u1"),
        ("type", "<u4"),
        ("num_rings", "<u4"),
        ("num_points", "<u4"),
        ("points", "<f8", (_CORNERS + 1, 2)),
    ]
)


def polygons(corners: np.ndarray) -> list[bytes | None]:
    """Quadrangles as WKB; None for those that lie nowhere.

    Args:
      corners: (N, 4, 2) float64, longitude and latitude in degrees,
        counterclockwise.
    """
    shapes = np.empty(len(corners), _WKB)
    shapes["byte_order"] = _LITTLE_ENDIAN
    shapes["type"] = _POLYGON
    shapes["num_rings"] = 1
    shapes["num_points"] = _CORNERS + 1
    shapes["points"] = np.append(corners, corners[:, :1], axis=1)
    is_somewhere = np.isfinite(corners).all(axis=(1, 2))
    return [
        shape.tobytes() if has_place else None
        for shape, has_place in zip(shapes, is_somewhere, strict=True)
    ]
