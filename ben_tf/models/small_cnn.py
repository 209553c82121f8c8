"""Small CNN: a network of our own for laptops, tests and the quickstart.

It is not one of the paper's. Each grid has a branch of three strided
convolutions; their means and maxima over the image are joined by one dense
layer. With both sensors and 19 classes it has 157,539 weights, 1/152 of
K-Branch CNN's.
"""

import dataclasses

import tensorflow as tf

from ben_tf.models import branches

_FEATURES = 64
_FILTERS = (24, 48, 48)


@dataclasses.dataclass(frozen=True)
class _Branch:
    """Kernel size of the first convolution, and the strides of all three."""

    first_kernel_size: int
    strides: tuple[int, int, int]


_BRANCHES = {
    120: _Branch(5, (2, 2, 2)),
    60: _Branch(3, (2, 2, 1)),
    20: _Branch(3, (1, 2, 1)),
}


def small_cnn(
    inputs: dict[str, tf.Tensor], *, fusion: str, name: str = ""
) -> tf.Tensor:
    """Native grids -> features.

    Args:
      inputs: Standardised grids (B, size, size, bands) by name.
      fusion: "late" or "early"; see `branches.fuse_grids`.
      name: Prefix of the names of layers after the branches.

    Returns:
      (B, 64) float32, not negative.
    """
    x = branches.fuse_grids(inputs, branch=_branch, fusion=fusion, name=name)
    return tf.keras.layers.Dense(
        _FEATURES, activation="relu", name=f"{name}fusion"
    )(x)


def _branch(x: tf.Tensor, *, name: str) -> tf.Tensor:
    """(B, size, size, bands) -> (B, 96)."""
    branch = _BRANCHES[x.shape[1]]
    kernel_sizes = (branch.first_kernel_size, 3, 3)
    for i, (filters, kernel_size, stride) in enumerate(
        zip(_FILTERS, kernel_sizes, branch.strides, strict=True), start=1
    ):
        layer = f"{name}_conv{i}"
        x = tf.keras.layers.Conv2D(
            filters,
            kernel_size,
            strides=stride,
            padding="same",
            use_bias=False,  # Batch normalisation adds one.
            name=layer,
        )(x)
        # Runs are short: statistics of 0.99 would lag behind the weights.
        x = tf.keras.layers.BatchNormalization(
            momentum=0.9, name=f"{layer}_bn"
        )(x)
        x = tf.keras.layers.Activation("relu", name=f"{layer}_relu")(x)
    return branches.join(
        [
            tf.keras.layers.GlobalAveragePooling2D(name=f"{name}_mean")(x),
            tf.keras.layers.GlobalMaxPooling2D(name=f"{name}_max")(x),
        ],
        name=f"{name}_features",
    )
