"""GeoJSON of a map, read as JSON and placed by rasterio."""

import json

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio import warp

from ben_tf import bigearthnet
from ben_tf.predict import scene_features
from ben_tf.predict import scene_map

_NAMES = bigearthnet.CLASSES_19


def _grid(crs="EPSG:32634"):
    return scene_map.Grid(
        rasterio.crs.CRS.from_string(crs), 600_000, 4_500_000, 600, 2, 3
    )


def test_cells_with_data_become_polygons(tmp_path):
    values = np.random.default_rng(0).random((19, 2, 3), np.float32)
    values[:, 0, 1] = np.nan
    values[:, 1, 0] = np.nan
    path = tmp_path / "map.geojson"
    with scene_features.open_features(
        path, _grid(), _NAMES, {"model": "x"}
    ) as write:
        write(values[:, :1])
        write(values[:, 1:])
    content = json.loads(path.read_text())
    assert content["model"] == "x"
    assert content["type"] == "FeatureCollection"
    cells = [(0, 0), (0, 2), (1, 1), (1, 2)]
    assert len(content["features"]) == len(cells)
    for feature, (row, column) in zip(content["features"], cells, strict=True):
        own = values[:, row, column]
        properties = feature["properties"]
        assert properties.pop("class") == _NAMES[own.argmax()]
        assert properties.pop("confidence") == pytest.approx(own.max(), 1e-5)
        assert tuple(properties) == _NAMES
        np.testing.assert_allclose(list(properties.values()), own, atol=1e-6)
        (ring,) = feature["geometry"]["coordinates"]
        assert ring[0] == ring[-1]
        assert _area(ring) > 0  # Counterclockwise.
        xs, ys = warp.transform(
            "EPSG:4326", "EPSG:32634", *zip(*ring[:4], strict=True)
        )
        left, top = 600_000 + 600 * column, 4_500_000 - 600 * row
        np.testing.assert_allclose(
            xs, [left, left + 600, left + 600, left], atol=0.02
        )
        np.testing.assert_allclose(
            ys, [top - 600, top - 600, top, top], atol=0.02
        )


def test_geopandas_reads_it(tmp_path):
    values = np.random.default_rng(0).random((19, 2, 3), np.float32)
    path = tmp_path / "map.geojson"
    with scene_features.open_features(path, _grid(), _NAMES, {}) as write:
        write(values)
    frame = geopandas.read_file(path)
    assert frame.crs.equals("EPSG:4326")
    assert list(frame.columns) == ["class", "confidence", *_NAMES, "geometry"]
    assert frame.geometry.is_valid.all()
    left, bottom, right, top = frame.to_crs("EPSG:32634").total_bounds
    np.testing.assert_allclose(
        [left, bottom, right, top],
        [600_000, 4_500_000 - 1200, 601_800, 4_500_000],
        atol=0.1,
    )
    np.testing.assert_allclose(
        frame[list(_NAMES)], values.reshape(19, 6).T, atol=1e-6
    )


def _area(ring):
    x, y = np.transpose(ring)
    return (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2


def test_systems_without_a_number_have_their_place(tmp_path):
    crs = "+proj=laea +lat_0=52 +lon_0=10 +x_0=600000 +y_0=4500000 +units=m"
    path = tmp_path / "map.geojson"
    with scene_features.open_features(path, _grid(crs), _NAMES, {}) as write:
        write(np.ones((19, 1, 3), np.float32))
    feature = json.loads(path.read_text())["features"][0]
    np.testing.assert_allclose(
        feature["geometry"]["coordinates"][0][3], [10, 52], atol=1e-6
    )


def test_an_error_leaves_no_file(tmp_path):
    with (
        pytest.raises(RuntimeError),
        scene_features.open_features(
            tmp_path / "map.geojson", _grid(), _NAMES, {}
        ),
    ):
        raise RuntimeError
    assert not list(tmp_path.iterdir())
