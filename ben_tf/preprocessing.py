"""From raw bands on native grids to what a model takes: XLA-compilable.

The one home of every transformation between a record and a model. The same
functions run inside tf.data, in front of the model on the device, and in the
exported SavedModel, so training and serving cannot disagree.

Order of operations as in the authors' code (models/main_model.py): bands are
standardised on their own grid, then the 20 m bands are upsampled, then bands
are stacked.
"""

import numpy as np
import tensorflow as tf

from ben_tf import bigearthnet

# What a model takes. "stacked": S1 as is and one (120, 120, 10) volume of the
# 10 m and 20 m Sentinel-2 bands (paper, section III). "native": every grid by
# itself (K-Branch CNN, which has a branch for each).
LAYOUTS = ("stacked", "native")

_STACKED_GRIDS = ("s2_10m", "s2_20m")
S2_STACK_BANDS = tuple(
    band for grid in _STACKED_GRIDS for band in bigearthnet.GRIDS[grid].bands
)


def raw_grids(layout: str, *, modality: str) -> tuple[str, ...]:
    """Names of the raw grids that a model of this layout and modality needs.

    The 60 m bands are left out of the stack, as in the paper.

    Raises:
      ValueError: Unknown layout or modality.
    """
    if layout not in LAYOUTS or modality not in bigearthnet.MODALITIES:
        raise ValueError(
            f"Expected a layout of {LAYOUTS} and a modality of "
            f"{tuple(bigearthnet.MODALITIES)}. "
            f"Received: layout={layout!r}, modality={modality!r}"
        )
    sensors = bigearthnet.MODALITIES[modality]
    return tuple(
        name
        for name, grid in bigearthnet.GRIDS.items()
        if grid.sensor in sensors
        and not (layout == "stacked" and name == "s2_60m")
    )


def model_input_shapes(
    layout: str, *, modality: str
) -> dict[str, tuple[int, int, int]]:
    """(height, width, bands) of each input that `to_model_inputs` returns."""
    grids = raw_grids(layout, modality=modality)
    shapes = {name: bigearthnet.GRIDS[name].shape for name in grids}
    if layout == "stacked" and "s2_10m" in shapes:
        size_px = bigearthnet.GRIDS["s2_10m"].size_px
        for name in _STACKED_GRIDS:
            del shapes[name]
        shapes["s2"] = (size_px, size_px, len(S2_STACK_BANDS))
    return shapes


def to_model_inputs(
    inputs: dict[str, tf.Tensor], *, layout: str
) -> dict[str, tf.Tensor]:
    """Standardises, upsamples and stacks a batch.

    Args:
      inputs: Raw grids, each (B, size, size, bands): "s1" in dB; "s2_10m",
        "s2_20m", "s2_60m" in reflectance x 10,000. Any subset that `raw_grids`
        returns, any numeric dtype.
      layout: One of `LAYOUTS`.

    Returns:
      float32 tensors without unit: "s1" (B, 120, 120, 2) and, for "stacked",
      "s2" (B, 120, 120, 10) with bands in the order of `S2_STACK_BANDS`; for
      "native", the grids under their own names.
    """
    outputs = {
        name: standardise(raw, grid=name) for name, raw in inputs.items()
    }
    if layout == "stacked" and "s2_10m" in outputs:
        coarse = upsample_cubic(outputs.pop("s2_20m"))
        outputs["s2"] = tf.concat([outputs.pop("s2_10m"), coarse], axis=-1)
    return outputs


def standardise(raw: tf.Tensor, *, grid: str) -> tf.Tensor:
    """(raw - mean) / std for each band, with the authors' statistics.

    Args:
      raw: (..., bands), bands as in `bigearthnet.GRIDS[grid]`.
      grid: Name of the grid.

    Returns:
      (..., bands) float32.
    """
    bands = bigearthnet.GRIDS[grid].bands
    mean = np.float32([bigearthnet.BAND_MEAN[band] for band in bands])
    std = np.float32([bigearthnet.BAND_STD[band] for band in bands])
    return (tf.cast(raw, tf.float32) - mean) / std


def upsample_cubic(images: tf.Tensor) -> tf.Tensor:
    """Doubles height and width by cubic interpolation, as TensorFlow 1 did.

    Equal to `tf.compat.v1.image.resize_bicubic` with its defaults, the one the
    authors used: output pixel i samples the input at i / 2 (no half-pixel
    centres), Keys' kernel with a = -0.75, edges repeated. Even pixels are thus
    copies and odd pixels a fixed mean of four neighbours.

    Args:
      images: (B, height, width, channels) float32.

    Returns:
      (B, 2 * height, 2 * width, channels) float32.
    """
    _, height, width, channels = images.shape
    rows = tf.constant(_doubling_matrix(height))
    columns = tf.constant(_doubling_matrix(width))
    # Two plain matrix products on reshaped tensors; einsum is much slower.
    tall = rows @ tf.reshape(images, (-1, height, width * channels))
    wide = columns @ tf.reshape(tall, (-1, width, channels))
    return tf.reshape(wide, (-1, 2 * height, 2 * width, channels))


def _doubling_matrix(size: int) -> np.ndarray:
    """(2 * size, size) float32 weights of cubic interpolation at i / 2."""
    # Keys' kernel with a = -0.75 at distances 1.5, 0.5, 0.5, 1.5.
    weights = (-0.09375, 0.59375, 0.59375, -0.09375)
    matrix = np.zeros((2 * size, size), np.float32)
    for i in range(size):
        matrix[2 * i, i] = 1.0
        for tap, weight in enumerate(weights):
            source = min(max(i - 1 + tap, 0), size - 1)
            matrix[2 * i + 1, source] += weight
    return matrix


def augment(
    inputs: dict[str, tf.Tensor], *, seed: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Flips and quarter turns, each of the 8 symmetries equally likely.

    Land cover has no up or down, so the labels stay true. All grids of a patch
    move together.

    Args:
      inputs: Arrays (B, size, size, bands) of one batch.
      seed: (2,) integers; the same seed gives the same symmetries.

    Returns:
      Arrays of the same shapes and dtypes.
    """
    batch_size = tf.shape(next(iter(inputs.values())))[0]
    # A flip along each axis and a transposition generate all 8 symmetries.
    choices = tf.random.stateless_uniform(
        (3, batch_size, 1, 1, 1), seed, maxval=2, dtype=tf.int32
    )
    upside_down, mirrored, transposed = tf.unstack(choices == 1)

    def move(images: tf.Tensor) -> tf.Tensor:
        images = tf.where(upside_down, tf.reverse(images, axis=[1]), images)
        images = tf.where(mirrored, tf.reverse(images, axis=[2]), images)
        return tf.where(transposed, tf.transpose(images, (0, 2, 1, 3)), images)

    return {name: move(images) for name, images in inputs.items()}
