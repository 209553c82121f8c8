"""From raw bands on native grids to what a model takes: XLA-compilable.

The one home of every transformation between a record and a model. The same
functions run inside tf.data, in front of the model on the device, and in the
exported SavedModel, so training and serving cannot disagree.

Order of operations as in the authors' code (models/main_model.py): bands are
standardised on their own grid, then coarse bands are upsampled, then bands are
stacked.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import errors

# What a model takes. "stacked": S1 as is and one (120, 120, 10) volume of the
# 10 m and 20 m Sentinel-2 bands (paper, section III). "native": every grid by
# itself (K-Branch CNN, which has a branch for each).
LAYOUTS = ("stacked", "native")

# The order in which Sentinel-2 grids are stacked.
_S2_GRIDS = ("s2_10m", "s2_20m", "s2_60m")
# Bands of the stack; those of 60 m come last and only if they are asked for.
S2_STACK_BANDS = tuple(
    band for grid in _S2_GRIDS for band in bigearthnet.GRIDS[grid].bands
)


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """What stands between the raw grids of a patch and a network.

    Attributes:
      modality: Sensors: "S1", "S2" or "MM".
      layout: One of `LAYOUTS`.
      bands_60m: Whether bands 1 and 9 take part. None: as the authors have it,
        with them for "native" and without them for "stacked".
      duplicate_vv: Whether to overwrite VH by VV before VH's statistics
        standardise it, as the authors' reader did (bigearthnet-models-tf
        1.1.1, BigEarthNet.py).
      statistics: What standardises the bands.
      upsampling: How coarse bands reach 120 pixels, one of `UPSAMPLINGS`:
        "cubic", the paper's, or "nearest", that of the weights released with
        v2.0.

    Raises:
      ValueError: Unknown layout, modality or upsampling.
    """

    modality: str = "MM"
    layout: str = "stacked"
    bands_60m: bool | None = None
    duplicate_vv: bool = False
    statistics: bigearthnet.Statistics = bigearthnet.PAPER_STATISTICS
    upsampling: str = "cubic"

    def __post_init__(self) -> None:
        for what, value, allowed in (
            ("layout", self.layout, LAYOUTS),
            ("modality", self.modality, bigearthnet.MODALITIES),
            ("upsampling", self.upsampling, UPSAMPLINGS),
        ):
            if value not in allowed:
                raise errors.unknown(what, value, allowed)

    def of(self, modality: str) -> "Preprocessing":
        """The part for one sensor, or for all of them."""
        return dataclasses.replace(self, modality=modality)

    @property
    def raw_grids(self) -> tuple[str, ...]:
        """Names of the raw grids to read, keys of `bigearthnet.GRIDS`."""
        sensors = bigearthnet.MODALITIES[self.modality]
        with_60m = self.bands_60m
        if with_60m is None:
            with_60m = self.layout == "native"
        return tuple(
            name
            for name, grid in bigearthnet.GRIDS.items()
            if grid.sensor in sensors and (with_60m or name != "s2_60m")
        )

    @property
    def input_shapes(self) -> dict[str, tuple[int, int, int]]:
        """(height, width, bands) of each array that the network takes."""
        shapes = {
            name: bigearthnet.GRIDS[name].shape for name in self.raw_grids
        }
        if self.layout == "stacked" and "s2_10m" in shapes:
            stack = [shapes.pop(name) for name in _S2_GRIDS if name in shapes]
            shapes["s2"] = (*stack[0][:2], sum(bands for *_, bands in stack))
        return shapes

    def __call__(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Standardises, upsamples and stacks a batch.

        Args:
          inputs: The `raw_grids`, each (B, size, size, bands) of any numeric
            dtype: "s1" in dB, the others in reflectance x 10,000.

        Returns:
          float32 tensors without unit: "s1" (B, 120, 120, 2) and, for
          "stacked", "s2" (B, 120, 120, 10 or, with the 60 m bands, 12) with
          bands in the order of `S2_STACK_BANDS`; for "native", the grids under
          their own names.
        """
        inputs = {name: inputs[name] for name in self.raw_grids}
        if self.duplicate_vv and "s1" in inputs:
            vv = inputs["s1"][..., :1]
            inputs["s1"] = tf.concat([vv, vv], axis=-1)
        outputs = {
            name: standardise(raw, grid=name, statistics=self.statistics)
            for name, raw in inputs.items()
        }
        if self.layout == "stacked" and "s2_10m" in outputs:
            size_px = bigearthnet.GRIDS["s2_10m"].size_px
            upsample = UPSAMPLINGS[self.upsampling]
            outputs["s2"] = tf.concat(
                [
                    upsample(outputs.pop(name), size=size_px)
                    for name in _S2_GRIDS
                    if name in outputs
                ],
                axis=-1,
            )
        return outputs


def standardise(
    raw: tf.Tensor, *, grid: str, statistics: bigearthnet.Statistics
) -> tf.Tensor:
    """(raw - mean) / std for each band.

    Args:
      raw: (..., bands), bands as in `bigearthnet.GRIDS[grid]`.
      grid: Name of the grid.
      statistics: Means and standard deviations.

    Returns:
      (..., bands) float32.
    """
    bands = bigearthnet.GRIDS[grid].bands
    mean = np.array([statistics.mean[x] for x in bands], np.float32)
    std = np.array([statistics.std[x] for x in bands], np.float32)
    return (tf.cast(raw, tf.float32) - mean) / std


def upsample_cubic(images: tf.Tensor, *, size: int) -> tf.Tensor:
    """Brings images to `size` pixels by cubic interpolation, as TensorFlow 1.

    Equal to `tf.compat.v1.image.resize_bicubic` with its defaults, the one the
    authors used: of `factor` times the pixels, output pixel i samples the input
    at i / factor (no half-pixel centres), Keys' kernel with a = -0.75, edges
    repeated. Doubling thus copies even pixels, and odd pixels are a fixed mean
    of four neighbours.

    Args:
      images: (B, height, height, channels) float32, `size` a multiple of
        height; returned as they are where the size is already right.
      size: Pixels along one side of the result.

    Returns:
      (B, size, size, channels) float32.
    """
    factor = size // images.shape[1]
    if factor == 1:
        return images
    for axis in (2, 1):
        images = _interpolate(images, factor=factor, axis=axis)
    return images


def upsample_nearest(images: tf.Tensor, *, size: int) -> tf.Tensor:
    """Repeats each pixel; arguments and result as of `upsample_cubic`."""
    factor = size // images.shape[1]
    for axis in (2, 1):
        images = _interleave([images] * factor, axis=axis)
    return images


UPSAMPLINGS = {"cubic": upsample_cubic, "nearest": upsample_nearest}


def _interpolate(images: tf.Tensor, *, factor: int, axis: int) -> tf.Tensor:
    """Cubic interpolation along one axis, to `factor` times the pixels.

    The pixels between two neighbours are fixed means of four shifted images,
    which XLA fuses with what comes before and after. A product with the matrix
    of all weights, most of them 0, takes 1.4 to 2 times as long.
    """
    length = images.shape[axis]
    before = (slice(None),) * axis
    first = images[(*before, slice(1))]
    last = images[(*before, slice(length - 1, length))]
    padded = tf.concat([first, images, last, last], axis)
    neighbours = [
        padded[(*before, slice(tap, tap + length))] for tap in range(4)
    ]
    between = []
    for step in range(factor):
        # TensorFlow takes the kernel from a table of 1,024 steps a pixel.
        offset = round(step / factor * 1024) / 1024
        weights = [_keys_kernel(abs(tap - 1 - offset)) for tap in range(4)]
        between.append(
            sum(w * x for w, x in zip(weights, neighbours, strict=True) if w)
        )
    return _interleave(between, axis=axis)


def _interleave(images: list[tf.Tensor], *, axis: int) -> tf.Tensor:
    """The first pixel of each along an axis, then the second, and so on."""
    shape = [-1, *images[0].shape[1:]]
    shape[axis] *= len(images)
    return tf.reshape(tf.stack(images, axis + 1), shape)


def _keys_kernel(distance: float, a: float = -0.75) -> float:
    """Weight of a pixel at a distance in pixels (Keys, 1981)."""
    if distance <= 1:
        return ((a + 2) * distance - (a + 3)) * distance**2 + 1
    return ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a


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
