"""A scene in which a patch of the sample lies, for what is sent and served."""

import pathlib
from typing import NamedTuple

import numpy as np
import pytest
import rasterio
from rasterio import warp

from ben_tf import bigearthnet
from ben_tf.archive import official_lists
from ben_tf.retrieval import index as index_lib
from tests import rasters

# Patches to each side of the one in the middle.
_PADDING = 1
_GRANULE = "GRANULE/L2A_X/IMG_DATA"
_METADATA = """<?xml version="1.0"?><x>
<PROCESSING_BASELINE>02.05</PROCESSING_BASELINE>
<PRODUCT_START_TIME>{date}T10:10:31.024Z</PRODUCT_START_TIME>
<BOA_QUANTIFICATION_VALUE>10000</BOA_QUANTIFICATION_VALUE></x>"""


class Scene(NamedTuple):
    """3 x 3 patches; the one in the middle is one of the sample.

    Attributes:
      safe: Folder of the Sentinel-2 product.
      s1: GeoTIFF of Sentinel-1.
      name: Of the patch.
      point: Longitude and latitude of its centre.
    """

    safe: pathlib.Path
    s1: pathlib.Path
    name: str
    point: tuple[float, float]


@pytest.fixture(scope="session")
def scene(sample_index, sample_archive_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    patch = index_lib.Index.open(sample_index).describe(np.array([0]))[0]
    safe = folder / "S2B_MSIL2A_X.SAFE"
    archive = sample_archive_dir / "BigEarthNet-v1.0" / patch.name
    for grid in bigearthnet.GRIDS.values():
        metres = grid.pixel_size_m
        for band in grid.bands if grid.sensor == "S2" else ():
            _pad(
                [archive / f"{patch.name}_{band}.tif"],
                safe / _GRANULE / f"R{metres}m" / f"T_{band}_{metres}m.jp2",
                driver="JP2OpenJPEG",
            )
    (safe / "MTD_MSIL2A.xml").write_text(_METADATA.format(date=patch.date))
    s1_name = official_lists.official_patches()[patch.name].s1_name
    archive = sample_archive_dir / "BigEarthNet-S1-v1.0" / s1_name
    _pad(
        [archive / f"{s1_name}_{band}.tif" for band in bigearthnet.S1_BANDS],
        folder / "s1.tif",
        descriptions=bigearthnet.S1_BANDS,
    )
    return Scene(
        safe,
        folder / "s1.tif",
        patch.name,
        (patch.longitude, patch.latitude),
    )


def _pad(sources, path, **options):
    """Writes files as bands of one, with mirrored pixels around them."""
    bands = []
    for source in sources:
        with rasterio.open(source) as dataset:
            bands.append(dataset.read(1))
            crs, transform = dataset.crs, dataset.transform
    size = _PADDING * bands[0].shape[0]
    rasters.write(
        path,
        np.stack([np.pad(band, size, mode="symmetric") for band in bands]),
        pixel_m=transform.a,
        crs=crs,
        left=transform.c - size * transform.a,
        top=transform.f + size * transform.a,
        **options,
    )


@pytest.fixture
def elsewhere(scene):
    """A point of the scene that lies in another of its patches."""
    longitude, latitude = scene.point
    with rasterio.open(scene.s1) as dataset:
        (x,), (y,) = warp.transform(
            "EPSG:4326", dataset.crs, [longitude], [latitude]
        )
        (east,), (north,) = warp.transform(
            dataset.crs, "EPSG:4326", [x + 1200], [y - 1200]
        )
    return east, north
