"""ResNet-50, -101 and -152, version 1, in the layout of TF-Slim.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. As in
TF-Slim's resnet_v1, which the authors used, the last unit of a block strides,
in its 3 x 3 convolution, and padding is explicit; Keras' own ResNet strides in
the first unit. A patch of 120 pixels shrinks to 60, 30, 15, 8, 4 pixels.
"""

import tensorflow as tf

from ben_tf.models import branches

# TF-Slim's resnet_arg_scope.
_BATCH_NORM = {"momentum": 0.997, "epsilon": 1e-5}

# (filters of the bottleneck, stride of the last unit) for each block.
_BLOCKS = ((64, 2), (128, 2), (256, 2), (512, 1))


def resnet(
    inputs: dict[str, tf.Tensor],
    *,
    num_units: tuple[int, int, int, int],
    fusion: str,
    name: str = "",
) -> tf.Tensor:
    """Stacked bands -> features.

    Args:
      inputs: Standardised "s1" (B, 120, 120, 2), "s2" (B, 120, 120, 10).
      num_units: Bottleneck units in each of the four blocks.
      fusion: "early" or "late"; see `branches.fuse_stacks`.
      name: Prefix of the names of layers; backbones are named by sensor.

    Returns:
      (B, 2048) float32 for each backbone, not negative.
    """
    del name  # No layer comes after the backbones.

    def backbone(x: tf.Tensor, *, name: str) -> tf.Tensor:
        return _backbone(x, num_units=num_units, name=name)

    return branches.fuse_stacks(inputs, fusion=fusion, backbone=backbone)


def _backbone(
    x: tf.Tensor, *, num_units: tuple[int, int, int, int], name: str
) -> tf.Tensor:
    """(B, 120, 120, bands) -> (B, 2048)."""
    x = _convolution(x, 64, kernel_size=7, stride=2, name=f"{name}_conv1")
    x = tf.keras.layers.Activation("relu", name=f"{name}_conv1_relu")(x)
    x = tf.keras.layers.MaxPooling2D(
        3, strides=2, padding="same", name=f"{name}_pool1"
    )(x)
    for block, (filters, block_stride) in enumerate(_BLOCKS, start=1):
        last = num_units[block - 1]
        for unit in range(1, last + 1):
            x = _bottleneck(
                x,
                filters,
                stride=block_stride if unit == last else 1,
                name=f"{name}_block{block}_unit{unit}",
            )
    return tf.keras.layers.GlobalAveragePooling2D(name=f"{name}_pool5")(x)


def _bottleneck(
    x: tf.Tensor, filters: int, *, stride: int, name: str
) -> tf.Tensor:
    """1 x 1, 3 x 3 and 1 x 1 convolutions next to a shortcut."""
    if x.shape[-1] == 4 * filters:
        shortcut = x
        if stride > 1:
            shortcut = tf.keras.layers.MaxPooling2D(
                1, strides=stride, name=f"{name}_shortcut"
            )(x)
    else:
        shortcut = _convolution(
            x,
            4 * filters,
            kernel_size=1,
            stride=stride,
            name=f"{name}_shortcut",
        )
    residual = x
    for i, (width, kernel_size, step) in enumerate(
        ((filters, 1, 1), (filters, 3, stride)), start=1
    ):
        residual = _convolution(
            residual,
            width,
            kernel_size=kernel_size,
            stride=step,
            name=f"{name}_conv{i}",
        )
        residual = tf.keras.layers.Activation("relu", name=f"{name}_relu{i}")(
            residual
        )
    residual = _convolution(
        residual, 4 * filters, kernel_size=1, stride=1, name=f"{name}_conv3"
    )
    x = tf.keras.layers.Add(name=f"{name}_add")([shortcut, residual])
    return tf.keras.layers.Activation("relu", name=f"{name}_relu3")(x)


def _convolution(
    x: tf.Tensor, filters: int, *, kernel_size: int, stride: int, name: str
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
    return tf.keras.layers.BatchNormalization(name=f"{name}_bn", **_BATCH_NORM)(
        x
    )
