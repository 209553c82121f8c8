"""Degrees of patches against known places and GeoJSON's order of corners."""

import numpy as np

from ben_tf.data import geography


def test_utm_zones_meet_their_central_meridian():
    # Easting 500 km is the central meridian: 9 degrees west in zone 29 and
    # 21 degrees east in zone 34; northing 0 is the equator.
    longitudes, latitudes = geography.to_degrees(
        [32629, 32634], np.full(2, 500_000.0), np.zeros(2)
    )
    np.testing.assert_allclose(longitudes, [-9, 21], atol=1e-9)
    np.testing.assert_allclose(latitudes, [0, 0], atol=1e-9)


def test_corners_enclose_the_centre_counterclockwise():
    epsg = [32629, 32634]
    upper_left = np.array([[499_400.0, 4_000_600.0]] * 2)
    corners = geography.patch_corners(epsg, upper_left)
    longitudes, latitudes = geography.patch_centres(epsg, upper_left)
    assert corners.shape == (2, 4, 2)
    np.testing.assert_allclose(
        corners.mean(axis=1), np.stack([longitudes, latitudes], 1), atol=1e-5
    )
    edges = np.roll(corners, -1, axis=1) - corners
    following = np.roll(edges, -1, axis=1)
    turns = (
        edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0]
    )
    assert (turns > 0).all()
    # About 111.2 km in a degree of latitude.
    height_m = np.ptp(corners[0, :, 1]) * 111_200
    np.testing.assert_allclose(height_m, 1200, rtol=0.01)


def test_a_point_that_is_nowhere_leaves_the_others():
    longitudes, latitudes = geography.to_degrees(
        [32634, 32634, 32629], np.array([5e5, 2e7, 5e5]), np.array([0, 2e7, 0])
    )
    np.testing.assert_allclose(longitudes[[0, 2]], [21, -9], atol=1e-9)
    assert not np.isfinite([longitudes[1], latitudes[1]]).any()
