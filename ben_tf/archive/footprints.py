"""Where a patch lies; computed from its name where there is no file."""

import re
from typing import NamedTuple

from ben_tf import bigearthnet


class Footprint(NamedTuple):
    """Where a patch lies.

    Attributes:
      epsg: EPSG code of the projection (UTM on WGS 84).
      upper_left: (easting, northing) of the outer corner, in metres.
    """

    epsg: int
    upper_left: tuple[float, float]


def footprint_of(s1_name: str) -> Footprint:
    """Computes a footprint from the MGRS tile and indices of an S1 name.

    A name ends in TILE_H_V. The tile is a square of 100 km of the Military
    Grid Reference System; Sentinel-2 widens it to multiples of 60 m; h counts
    patches to the east and v to the south of its upper left corner.

    Raises:
      ValueError: It is not such a name.
    """
    match = re.fullmatch(r".*_(\d\d)([S-X])([A-Z])([A-Z])_(\d+)_(\d+)", s1_name)
    if match is None:
        raise ValueError(
            "Expected a Sentinel-1 patch name that ends in an MGRS tile and "
            f"two indices. Received: {s1_name!r}"
        )
    zone, column, row = int(match[1]), match[3], match[4]
    # Columns repeat their letters every three zones, rows every two.
    columns = ("STUVWXYZ", "ABCDEFGH", "JKLMNPQR")[zone % 3]
    easting = 100_000 * (columns.index(column) + 1)
    rows = "ABCDEFGHJKLMNPQRSTUV"
    northing = 100_000 * (rows.index(row) - (0 if zone % 2 else 5))
    # Row letters repeat every 2,000 km; the latitude band decides. A degree has
    # about 110.6 km; a tile may begin somewhat south of its band.
    southern_edge = {"S": 32, "T": 40, "U": 48, "V": 56, "W": 64, "X": 72}
    minimum = 110_600 * southern_edge[match[2]] - 200_000
    while northing < minimum:
        northing += 2_000_000
    left = easting // 60 * 60
    top = -(-(northing + 100_000) // 60) * 60
    return Footprint(
        32600 + zone,
        (
            left + bigearthnet.PATCH_SIZE_M * int(match[5]),
            top - bigearthnet.PATCH_SIZE_M * int(match[6]),
        ),
    )
