"""Writes georeferenced images."""

import numpy as np
import rasterio
from rasterio import transform as transforms

LEFT, TOP = 600_000, 4_500_000
# A projection of somebody's own, in metres.
NO_EPSG = "+proj=tmerc +lat_0=0 +lon_0=-9.5 +k=1 +x_0=600000 +datum=WGS84"


def write(
    path,
    bands,
    *,
    pixel_m,
    crs="EPSG:32629",
    left=LEFT,
    top=TOP,
    descriptions=None,
    driver="GTiff",
    **options,
):
    """Writes (bands, height, width) or (height, width) numbers.

    Returns:
      The path.
    """
    bands = np.atleast_3d(np.asarray(bands).T).T
    path.parent.mkdir(parents=True, exist_ok=True)
    if driver == "JP2OpenJPEG":
        options = {"QUALITY": "100", "REVERSIBLE": "YES"} | options
    with rasterio.open(
        path,
        "w",
        driver=driver,
        count=len(bands),
        height=bands.shape[1],
        width=bands.shape[2],
        dtype=bands.dtype,
        crs=crs,
        transform=transforms.from_origin(left, top, pixel_m, pixel_m),
        **options,
    ) as dataset:
        dataset.write(bands)
        if descriptions:
            dataset.descriptions = descriptions
    return path
