"""Footprints from names agree with the real metadata and with geography."""

import json

import pytest
import rasterio.warp

from ben_tf.archive import footprints
from ben_tf.archive import official_lists

# Generous boxes in degrees: west, south, east, north.
BOXES = {
    "Austria": (9, 46, 18, 49.5),
    "Belgium": (2, 49, 7, 52),
    "Finland": (19, 59, 32, 70.5),
    "Ireland": (-11, 51, -5, 56),
    "Kosovo": (19.5, 41.5, 22, 43.5),
    "Lithuania": (20.5, 53.5, 27, 57),
    "Luxembourg": (5.5, 49, 7, 50.5),
    "Portugal": (-10, 36.5, -6, 42.5),
    "Serbia": (18.5, 42, 23.5, 46.5),
    "Switzerland": (5.5, 45.5, 11, 48),
}


def test_real_pairs(real_archive):
    paths = list(real_archive.glob("BigEarthNet-S1-v1.0/*/*.json"))
    assert len(paths) == 6
    for path in paths:
        content = json.loads(path.read_text())
        footprint = footprints.footprint_of(path.parent.name)
        corners = content["coordinates"]
        assert footprint.upper_left == (corners["ulx"], corners["uly"])
        assert str(footprint.epsg) in content["projection"]


@pytest.mark.slow
@pytest.mark.parametrize("country", BOXES)
def test_patches_lie_in_their_country(country):
    west, south, east, north = BOXES[country]
    patches = [
        patch
        for patch in official_lists.official_patches().values()
        if patch.country == country
    ]
    for patch in patches[:: len(patches) // 40]:
        footprint = footprints.footprint_of(patch.s1_name)
        (longitude,), (latitude,) = rasterio.warp.transform(
            f"EPSG:{footprint.epsg}",
            "EPSG:4326",
            *zip(footprint.upper_left, strict=True),
        )
        assert west < longitude < east
        assert south < latitude < north


def test_a_name_without_a_tile_is_refused():
    with pytest.raises(ValueError, match="MGRS tile"):
        footprints.footprint_of("S2A_MSIL2A_20170613T101031_87_48")
