"""Footprints in well-known binary, against bytes written by hand."""

import json

import numpy as np

from ben_tf.data import geoparquet


def test_a_square_is_a_closed_polygon_of_one_ring():
    corners = np.array([[[0, 0], [1, 0], [1, -2], [0, -2]]], float)
    (shape,) = geoparquet.polygons(corners)
    zero, one, minus_two = (
        "0000000000000000",
        "000000000000f03f",
        "00000000000000c0",
    )
    assert shape.hex() == (
        "01" + "03000000" + "01000000" + "05000000"
        + zero + zero + one + zero + one + minus_two + zero + minus_two
        + zero + zero
    )  # fmt: skip


def test_what_lies_nowhere_has_no_polygon():
    corners = np.zeros((3, 4, 2))
    corners[0, 2, 1] = np.nan
    corners[2, 0, 0] = np.inf
    first, second, third = geoparquet.polygons(corners)
    assert first is third is None
    assert len(second) == 93
    assert geoparquet.polygons(np.empty((0, 4, 2))) == []


def test_metadata_has_what_the_standard_demands():
    content = json.loads(geoparquet.METADATA["geo"])
    assert content["version"] == "1.1.0"
    column = content["columns"][content["primary_column"]]
    assert column["encoding"] == "WKB"
    assert column["geometry_types"] == ["Polygon"]
    assert column["orientation"] == "counterclockwise"
