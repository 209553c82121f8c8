"""The schema of `bigearthnet_mm`: what is in a record of each version."""

import numpy as np
import tensorflow_datasets as tfds

from ben_tf import bigearthnet
from ben_tf.archive import layout

# Version of BigEarthNet -> features that the others have not.
_MORE_FEATURES = {
    layout.V1.version: {},
    layout.OWN.version: {},
    layout.V2.version: {
        "v1_name": tfds.features.Text(doc="its Sentinel-2 patch in v1.0"),
        "reference_map": tfds.features.Tensor(
            shape=bigearthnet.REFERENCE_MAP.shape[:2],
            dtype=np.dtype(bigearthnet.REFERENCE_MAP.dtype),
            encoding="bytes",
            doc="code of CORINE Land Cover of each pixel, 999: no class, 0: no "
            "data; all 0 where the archive has no map",
        ),
    },
}


def features(version: str) -> tfds.features.FeaturesDict:
    """Returns the schema; everything downstream reads it from a dataset.

    Args:
      version: Key of `layout.LAYOUTS`.
    """
    grids = {
        name: tfds.features.Tensor(
            shape=grid.shape,
            dtype=np.dtype(grid.dtype),
            encoding="bytes",
            doc=f"{grid.unit}; bands {', '.join(grid.bands)}",
        )
        for name, grid in bigearthnet.GRIDS.items()
    }
    labels = {
        f"labels_{num_classes}": tfds.features.Sequence(
            tfds.features.ClassLabel(names=list(names)),
            doc=f"labels of the {num_classes}-class nomenclature",
        )
        for num_classes, names in bigearthnet.CLASSES.items()
    }
    return tfds.features.FeaturesDict(
        {
            "patch_name": tfds.features.Text(
                doc="name of the Sentinel-2 patch, the key of the pair"
            ),
            "s1_name": tfds.features.Text(doc="its Sentinel-1 patch"),
            **_MORE_FEATURES[version],
            **grids,
            **labels,
            "country": tfds.features.ClassLabel(
                names=list(bigearthnet.COUNTRIES),
                doc=", ".join(bigearthnet.COUNTRIES),
            ),
            "season": tfds.features.ClassLabel(
                names=list(bigearthnet.SEASONS),
                doc=", ".join(bigearthnet.SEASONS),
            ),
            "seasonal_snow": tfds.features.Scalar(
                np.bool_, doc="on the official list of snowy patches"
            ),
            "cloud_or_shadow": tfds.features.Scalar(
                np.bool_,
                doc="on the official list of clouds and their shadows",
            ),
            "epsg": tfds.features.Scalar(
                np.int32, doc="projection: the patch's UTM zone"
            ),
            "upper_left": tfds.features.Tensor(
                shape=(2,),
                dtype=np.float64,
                doc="easting and northing of the outer corner, metres",
            ),
            "s1_time": tfds.features.Text(
                doc="acquisition of Sentinel-1, ISO 8601"
            ),
            "s2_time": tfds.features.Text(
                doc="acquisition of Sentinel-2, ISO 8601"
            ),
        }
    )
