"""VGG-16 and VGG-19 in the layout of TF-Slim.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", ICLR 2015. As in the authors' code the fully connected layers are
convolutions with SAME padding, whose output is averaged over the image, so any
input size works. A patch of 120 pixels shrinks to 60, 30, 15, 7, 3 pixels.
"""

import tensorflow as tf

from ben_tf.models import branches

# Share of features that TF-Slim drops in front of the classifier.
HEAD_DROPOUT = 0.5

_FILTERS = (64, 128, 256, 512, 512)


def vgg(
    inputs: dict[str, tf.Tensor],
    *,
    num_convolutions: tuple[int, int, int, int, int],
    fusion: str,
    name: str = "",
) -> tf.Tensor:
    """Stacked bands -> features.

    Args:
      inputs: Standardised "s1" (B, 120, 120, 2), "s2" (B, 120, 120, 10).
      num_convolutions: Convolutions in each of the five blocks.
      fusion: "early" or "late"; see `branches.fuse_stacks`.
      name: Prefix of the names of layers; backbones are named by sensor.

    Returns:
      (B, 4096) float32 for each backbone, not negative.
    """
    del name  # No layer comes after the backbones.

    def backbone(x: tf.Tensor, *, name: str) -> tf.Tensor:
        return _backbone(x, num_convolutions=num_convolutions, name=name)

    return branches.fuse_stacks(inputs, fusion=fusion, backbone=backbone)


def _backbone(
    x: tf.Tensor, *, num_convolutions: tuple[int, ...], name: str
) -> tf.Tensor:
    """(B, 120, 120, bands) -> (B, 4096)."""
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
