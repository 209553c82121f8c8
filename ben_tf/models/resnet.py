"""ResNet-50, -101 and -152, version 1, as TF-Slim and as timm lay them out.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. The two
have the same weights and differ in where they stride, always in a 3 x 3
convolution: TF-Slim's resnet_v1, which the paper's authors used, in the last
unit of a block, timm's and torchvision's, which those of v2.0 used, in the
first. Padding is explicit. Keras' own ResNet strides in the 1 x 1 convolution
of the first unit.
"""

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

_FILTERS = (64, 128, 256, 512)
_EPSILON = 1e-5


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where a ResNet strides.

    Attributes:
      strides: Of each of the four blocks.
      first_unit: Whether its first unit strides, else its last one.
      pool_padding: Pixels around the input of the 3 x 3 maximum that follows
        the stem; 0: only what is needed, at the end, as TensorFlow's "same".
      momentum: Of the running averages of normalisation.
    """

    strides: tuple[int, int, int, int]
    first_unit: bool
    pool_padding: int
    momentum: float


# A patch of 120 pixels shrinks to 60, 30, 15, 8, 4 pixels.
SLIM = Layout(
    (2, 2, 2, 1),
    first_unit=False,
    pool_padding=0,
    momentum=0.997,  # resnet_arg_scope.
)
# To 60, 30, 30, 15, 8, 4 pixels; timm 0.9.16.
TIMM = Layout((1, 2, 2, 2), first_unit=True, pool_padding=1, momentum=0.9)


def resnet(
    x: tf.Tensor,
    *,
    num_units: tuple[int, ...],
    layout: Layout = SLIM,
    name: str,
) -> tf.Tensor:
    """Stacked bands -> features, a backbone for `branches.fuse_stacks`.

    Args:
      x: (B, 120, 120, bands) standardised bands.
      num_units: Bottleneck units in each of the four blocks.
      layout: `SLIM` or `TIMM`.
      name: Prefix of the names of layers.

    Returns:
      (B, 2048) float32, not negative.
    """
    convolve = functools.partial(_convolution, momentum=layout.momentum)
    x = convolve(x, 64, kernel_size=7, stride=2, name=f"{name}_conv1")
    x = tf.keras.layers.Activation("relu", name=f"{name}_conv1_relu")(x)
    padding = "same"
    if layout.pool_padding:
        # Nothing is negative here, so that zeros are never the maximum.
        x = tf.keras.layers.ZeroPadding2D(
            layout.pool_padding, name=f"{name}_pool1_pad"
        )(x)
        padding = "valid"
    x = tf.keras.layers.MaxPooling2D(
        3, strides=2, padding=padding, name=f"{name}_pool1"
    )(x)
    for block, (filters, block_stride, last) in enumerate(
        zip(_FILTERS, layout.strides, num_units, strict=True), start=1
    ):
        striding = 1 if layout.first_unit else last
        for unit in range(1, last + 1):
            x = _bottleneck(
                x,
                filters,
                stride=block_stride if unit == striding else 1,
                convolve=convolve,
                name=f"{name}_block{block}_unit{unit}",
            )
    return tf.keras.layers.GlobalAveragePooling2D(name=f"{name}_pool5")(x)


def _bottleneck(
    x: tf.Tensor,
    filters: int,
    *,
    stride: int,
    convolve: Callable[..., tf.Tensor],
    name: str,
) -> tf.Tensor:
    """1 x 1, 3 x 3 and 1 x 1 convolutions next to a shortcut."""
    if x.shape[-1] == 4 * filters:
        shortcut = x
        if stride > 1:
            shortcut = tf.keras.layers.MaxPooling2D(
                1, strides=stride, name=f"{name}_shortcut"
            )(x)
    else:
        shortcut = convolve(
            x, 4 * filters, stride=stride, name=f"{name}_shortcut"
        )
    x = convolve(x, filters, name=f"{name}_conv1")
    x = tf.keras.layers.Activation("relu", name=f"{name}_relu1")(x)
    x = convolve(x, filters, kernel_size=3, stride=stride, name=f"{name}_conv2")
    x = tf.keras.layers.Activation("relu", name=f"{name}_relu2")(x)
    x = convolve(x, 4 * filters, name=f"{name}_conv3")
    x = tf.keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return tf.keras.layers.Activation("relu", name=f"{name}_relu3")(x)


def _convolution(
    x: tf.Tensor,
    filters: int,
    *,
    momentum: float,
    kernel_size: int = 1,
    stride: int = 1,
    name: str,
) -> tf.Tensor:
    """Convolution without bias and batch normalisation.

    A convolution that strides is padded alike on both sides (TF-Slim's
    conv2d_same), whatever the size of the input.
    """
    padding = "same"
    if stride > 1 and kernel_size > 1:
        before = (kernel_size - 1) // 2
        x = tf.keras.layers.ZeroPadding2D(
            ((before, kernel_size - 1 - before),) * 2, name=f"{name}_pad"
        )(x)
        padding = "valid"
    x = tf.keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=stride,
        padding=padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return tf.keras.layers.BatchNormalization(
        momentum=momentum, epsilon=_EPSILON, name=f"{name}_bn"
    )(x)
