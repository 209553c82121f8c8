"""Chi-square distances of all pairs in TensorFlow, compiled with XLA.

They choose candidates only. Their sums run in another order than those of
`distances.distance`, which gives the final numbers.
"""

import tensorflow as tf

# XLA sums an axis one vector after the other, each addition waiting for the
# one before. Summing this many parts side by side is several times faster.
_PARTS = 8
# The rows of a tile stay in a core's cache while all queries pass.
_TILE_BYTES = 1 << 20


@tf.function(jit_compile=True)
def pairwise(queries: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """(Q, D), (R, D) float32 without negative values -> (Q, R) distances."""
    padding = [[0, 0], [0, -queries.shape[1] % _PARTS]]
    a = tf.pad(queries, padding)[:, None, :]
    b = tf.pad(rows, padding)[None, :, :]
    quotients = [
        tf.math.divide_no_nan(tf.square(x - y), x + y)
        for x, y in zip(
            tf.split(a, _PARTS, axis=-1),
            tf.split(b, _PARTS, axis=-1),
            strict=True,
        )
    ]
    return tf.reduce_sum(tf.add_n(quotients), axis=-1)


# Top-k stays outside XLA, which would sort whole rows.
@tf.function
def nearest(
    queries: tf.Tensor, tiles: tf.Tensor, num_rows: tf.Tensor, k: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Searches one block of rows.

    Args:
      queries: (Q, D) float32.
      tiles: (T, R, D) float32, T x R rows; Q, T, R and D are static.
      num_rows: How many rows count; the rest is padding.
      k: Number of candidates, not more than T x R.

    Returns:
      (distances, rows), (Q, k) float32 and int32, ascending; padding has the
      distance infinity.
    """
    found = tf.concat([pairwise(queries, t) for t in tf.unstack(tiles)], axis=1)
    padding = tf.range(tf.shape(found)[1]) >= num_rows
    found = tf.where(padding, float("inf"), found)
    values, rows = tf.math.top_k(-found, k)
    return -values, rows


def rows_of_tile(size: int) -> int:
    """How many rows of `size` float32 make a tile."""
    return max(64, _TILE_BYTES // (4 * size))
