"""ResNet-50, -101 and -152, version 1, in the layout of TF-Slim.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. As in
TF-Slim's resnet_v1, which the authors used, the last unit of a block strides,
in its 3 x 3 convolution, and padding is explicit; Keras' own ResNet strides in
the first unit. A patch of 120 pixels shrinks to 60, 30, 15, 8, 4 pixels.
"""

import tensorflow as tf

# TF-Slim's resnet_arg_scope.
_BATCH_NORM = {"momentum": 0.997, "epsilon": 1e-5}

# (filters of the bottleneck, stride of the last unit) for each block.
_BLOCKS = ((64, 2), (128, 2), (256, 2), (512, 1))


def resnet(x: tf.Tensor, *, num_units: tuple[int, ...], name: str) -> tf.Tensor:
    """Stacked bands -> features, a backbone for `branches.fuse_stacks`.

    Args:
      x: (B, 120, 120, bands) standardised bands.
      num_units: Bottleneck units in each of the four blocks.
      name: Prefix of the names of layers.

    Returns:
      (B, 2048) float32, not negative.
    """
    x = _convolution(x, 64, kernel_size=7, stride=2, name=f"{name}_conv1")
    x = tf.keras.layers.Activation("relu", name=f"{name}_conv1_relu")(x)
    x = tf.keras.layers.MaxPooling2D(
        3, strides=2, padding="same", name=f"{name}_pool1"
    )(x)
    for block, ((filters, block_stride), last) in enumerate(
        zip(_BLOCKS, num_units, strict=True), start=1
    ):
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
            x, 4 * filters, stride=stride, name=f"{name}_shortcut"
        )
    x = _convolution(x, filters, name=f"{name}_conv1")
    x = tf.keras.layers.Activation("relu", name=f"{name}_relu1")(x)
    x = _convolution(
        x, filters, kernel_size=3, stride=stride, name=f"{name}_conv2"
    )
    x = tf.keras.layers.Activation("relu", name=f"{name}_relu2")(x)
    x = _convolution(x, 4 * filters, name=f"{name}_conv3")
    x = tf.keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return tf.keras.layers.Activation("relu", name=f"{name}_relu3")(x)


def _convolution(
    x: tf.Tensor,
    filters: int,
    *,
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
    return tf.keras.layers.BatchNormalization(name=f"{name}_bn", **_BATCH_NORM)(
        x
    )
