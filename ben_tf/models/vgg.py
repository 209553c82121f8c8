"""VGG-16 and VGG-19 in the layout of TF-Slim.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", ICLR 2015. As in the authors' code the fully connected layers are
convolutions with SAME padding, whose output is averaged over the image, so any
input size works. A patch of 120 pixels shrinks to 60, 30, 15, 7, 3 pixels.
"""

import tensorflow as tf

# Share of features that TF-Slim drops in front of the classifier.
HEAD_DROPOUT = 0.5

_FILTERS = (64, 128, 256, 512, 512)


def vgg(
    x: tf.Tensor, *, num_convolutions: tuple[int, ...], name: str
) -> tf.Tensor:
    """Stacked bands -> features, a backbone for `branches.fuse_stacks`.

    Args:
      x: (B, 120, 120, bands) standardised bands.
      num_convolutions: Convolutions in each of the five blocks.
      name: Prefix of the names of layers.

    Returns:
      (B, 4096) float32, not negative.
    """
    for block, (repeats, filters) in enumerate(
        zip(num_convolutions, _FILTERS, strict=True), start=1
    ):
        for i in range(1, repeats + 1):
            x = _convolution(
                x, filters, kernel_size=3, name=f"{name}_conv{block}_{i}"
            )
        x = tf.keras.layers.MaxPooling2D(name=f"{name}_pool{block}")(x)
    x = _convolution(x, 4096, kernel_size=7, name=f"{name}_fc6")
    x = tf.keras.layers.Dropout(0.5, name=f"{name}_dropout6")(x)
    x = _convolution(x, 4096, kernel_size=1, name=f"{name}_fc7")
    return tf.keras.layers.GlobalAveragePooling2D(name=f"{name}_pool")(x)


def _convolution(
    x: tf.Tensor, filters: int, *, kernel_size: int, name: str
) -> tf.Tensor:
    """Convolution with bias, ReLU."""
    return tf.keras.layers.Conv2D(
        filters, kernel_size, padding="same", activation="relu", name=name
    )(x)
