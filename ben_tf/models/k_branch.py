"""K-Branch CNN: a small network for every grid, fused by a dense layer.

Structure as in the authors' models/K-BranchCNN.py (1.0.1), the first module of
Sumbul and Demir, "A Deep Multi-Attention Driven Approach for Multi-Label
Remote Sensing Image Classification", without attention. The S1 branch, which
they do not have, equals that of the 10 m bands, whose grid S1 shares. Their L2
terms are left out, since their training never added them to the loss.
"""

import dataclasses
import math

import tensorflow as tf

from ben_tf.models import branches

_FEATURES = 128


@dataclasses.dataclass(frozen=True)
class _Convolution:
    """Filters and kernel size, then optionally 2 x 2 max pooling."""

    filters: int
    kernel_size: int
    pool: bool = False


_BRANCHES = {
    120: (
        _Convolution(32, 5, pool=True),
        _Convolution(32, 5, pool=True),
        _Convolution(64, 3),
    ),
    60: (
        _Convolution(32, 3, pool=True),
        _Convolution(32, 3),
        _Convolution(64, 3),
    ),
    20: (_Convolution(32, 2), _Convolution(32, 2), _Convolution(32, 2)),
}


# Share of features that the authors drop in front of their classifier.
HEAD_DROPOUT = 0.5


def k_branch_cnn(
    inputs: dict[str, tf.Tensor], *, fusion: str, name: str = ""
) -> tf.Tensor:
    """Native grids -> features.

    Args:
      inputs: Standardised grids (B, size, size, bands) by name.
      fusion: "late" or "early"; see `branches.fuse_grids`.
      name: Prefix of the names of layers after the branches.

    Returns:
      (B, 128) float32, not negative.
    """
    x = branches.fuse_grids(inputs, branch=_branch, fusion=fusion, name=name)
    x = _dense_block(x, name=f"{name}fusion")
    return tf.keras.layers.Dropout(0.25, name=f"{name}fusion_dropout")(x)


def _branch(x: tf.Tensor, *, name: str) -> tf.Tensor:
    """(B, size, size, bands) -> (B, 128)."""
    for i, convolution in enumerate(_BRANCHES[x.shape[1]], start=1):
        x = _convolution_block(x, convolution, name=f"{name}_conv{i}")
    # Same result as Flatten, and the static size is plain to see.
    x = tf.keras.layers.Reshape(
        (math.prod(x.shape[1:]),), name=f"{name}_flatten"
    )(x)
    x = _dense_block(x, name=f"{name}_dense")
    return tf.keras.layers.Dropout(0.5, name=f"{name}_dense_dropout")(x)


def _convolution_block(
    x: tf.Tensor, convolution: _Convolution, *, name: str
) -> tf.Tensor:
    """Convolution, batch normalisation, ReLU, perhaps pooling, dropout."""
    x = tf.keras.layers.Conv2D(
        convolution.filters, convolution.kernel_size, padding="same", name=name
    )(x)
    x = tf.keras.layers.BatchNormalization(name=f"{name}_bn")(x)
    x = tf.keras.layers.Activation("relu", name=f"{name}_relu")(x)
    if convolution.pool:
        x = tf.keras.layers.MaxPooling2D(name=f"{name}_pool")(x)
    return tf.keras.layers.Dropout(0.25, name=f"{name}_dropout")(x)


def _dense_block(x: tf.Tensor, *, name: str) -> tf.Tensor:
    """Dense layer of 128 units, batch normalisation, ReLU."""
    x = tf.keras.layers.Dense(_FEATURES, name=name)(x)
    x = tf.keras.layers.BatchNormalization(name=f"{name}_bn")(x)
    return tf.keras.layers.Activation("relu", name=f"{name}_relu")(x)
