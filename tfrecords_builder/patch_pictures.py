"""Patches as `tfds.show_examples` shows them: in true colour.

TFDS itself shows images of 8 bits with red, green and blue, which no feature of
this dataset is.
"""

from typing import Any

import tensorflow_datasets as tfds

from ben_tf import bigearthnet
from ben_tf import errors

_GRID = "s2_10m"
_PICTURE = "true_colour"
# Digital numbers from here on are white: bright fields just are not.
_WHITE = 2000


class PairVisualizer(tfds.visualization.ImageGridVisualizer):
    """A grid of patches, Sentinel-2 at 10 m; see `tfds.show_examples`."""

    def match(self, ds_info: tfds.core.DatasetInfo) -> bool:
        """Whether it is this dataset, in whichever version."""
        return ds_info.name == bigearthnet.DATASET_NAME

    def show(
        self, ds: Any, ds_info: tfds.core.DatasetInfo, **options: Any
    ) -> Any:
        """Draws the first patches.

        Args:
          ds: A `tf.data.Dataset` of single patches.
          ds_info: Of the dataset.
          **options: rows, cols, plot_scale; label_key: "country" or "season".

        Returns:
          The matplotlib figure.

        Raises:
          errors.UserError: The patches have no `s2_10m`.
        """
        if not (isinstance(ds.element_spec, dict) and _GRID in ds.element_spec):
            raise errors.UserError(
                f"The patches cannot be shown without `{_GRID}`. Expected `ds` "
                "as `tfds.load` gives it, patch by patch."
            )
        return super().show(
            ds.map(_with_picture), ds_info, image_key=_PICTURE, **options
        )


def _with_picture(patch: dict[str, Any]) -> dict[str, Any]:
    """Adds (120, 120, 3) uint8."""
    import tensorflow as tf  # Importing the builder does not load it.

    bands = bigearthnet.GRIDS[_GRID].bands
    places = [bands.index(name) for name in ("B04", "B03", "B02")]
    brightness = tf.cast(tf.gather(patch[_GRID], places, axis=-1), tf.float32)
    picture = tf.minimum(brightness * (255 / _WHITE), 255)
    return {**patch, _PICTURE: tf.cast(tf.round(picture), tf.uint8)}
