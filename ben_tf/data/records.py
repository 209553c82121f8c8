"""From serialized records to arrays, a batch at once.

Only the arrays that a model needs are parsed. `tf.io.parse_example` and
`decode_raw` on a batch are two to three times faster than decoding record by
record.
"""

from collections.abc import Sequence

import tensorflow as tf

from ben_tf import bigearthnet

_SCALAR = {
    "patch_name": tf.string,
    "s1_name": tf.string,
    "s1_time": tf.string,
    "s2_time": tf.string,
    "country": tf.int64,
    "season": tf.int64,
    "seasonal_snow": tf.int64,
    "cloud_or_shadow": tf.int64,
    "epsg": tf.int64,
}


def parse_batch(
    serialized: tf.Tensor,
    *,
    grids: Sequence[str],
    num_classes: int,
    metadata: Sequence[str] = (),
) -> dict[str, tf.Tensor | dict[str, tf.Tensor]]:
    """Parses (B,) records; see `input_pipeline.native_batches`."""
    labels_name = f"labels_{num_classes}"
    spec = {name: tf.io.FixedLenFeature((), tf.string) for name in grids}
    spec[labels_name] = tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)
    for name in metadata:
        spec[name] = (
            tf.io.FixedLenFeature((2,), tf.float32)
            if name == "upper_left"
            else tf.io.FixedLenFeature((), _SCALAR[name])
        )
    features = tf.io.parse_example(serialized, spec)
    batch = {name: features[name] for name in metadata}
    if "upper_left" in batch:
        # TFDS stores floats as float32, which holds whole metres exactly.
        batch["upper_left"] = tf.cast(batch["upper_left"], tf.float64)
    batch["inputs"] = {name: _decode(features[name], name) for name in grids}
    batch["labels"] = _multi_hot(features[labels_name], num_classes)
    return batch


def _decode(values: tf.Tensor, grid_name: str) -> tf.Tensor:
    """(B,) bytes -> (B, size, size, bands)."""
    grid = bigearthnet.GRIDS[grid_name]
    flat = tf.io.decode_raw(values, tf.as_dtype(grid.dtype))
    return tf.reshape(flat, (-1, *grid.shape))


def _multi_hot(labels: tf.RaggedTensor, num_classes: int) -> tf.Tensor:
    """Ragged (B, None) class indices -> (B, num_classes) float32 of 0 and 1."""
    rows = labels.value_rowids()
    indices = tf.stack([rows, labels.values], axis=1)
    shape = tf.stack([labels.nrows(), tf.constant(num_classes, tf.int64)])
    hot = tf.scatter_nd(indices, tf.ones_like(labels.values, tf.float32), shape)
    # The batch size is known to XLA only if it is restored after scatter_nd.
    return tf.ensure_shape(tf.minimum(hot, 1.0), (None, num_classes))
