"""Draws labels and pixels of synthetic patches after `signatures.py`."""

import numpy as np

from ben_tf import bigearthnet
from tfrecords_builder import signatures


def draw_labels(
    random: np.random.Generator, *, only_dropped: bool
) -> list[str]:
    """Draws 43-class labels of one landscape, in CORINE order."""
    if only_dropped:
        dropped = [
            name
            for name, parent in bigearthnet.CLASS_43_TO_19.items()
            if parent is None
        ]
        return [dropped[random.integers(len(dropped))]]
    names = list(signatures.LANDSCAPES)
    landscape = signatures.LANDSCAPES[names[random.integers(len(names))]]
    while True:
        labels = {
            name
            for name, probability in landscape.items()
            if random.random() < probability
        }
        if bigearthnet.labels_43_to_19(labels):
            return [name for name in bigearthnet.CLASSES_43 if name in labels]


def draw_pixels(
    labels: list[str], random: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draws the bands of one patch.

    Args:
      labels: 43-class labels, which share the patch with some background.
      random: Source of randomness.

    Returns:
      Band name -> (size, size) array in the dtype and unit of its grid; and
      "reference_map", the code of the label that each pixel was drawn with,
      `bigearthnet.CLC_UNLABELLED` for the background.
    """
    size_px = bigearthnet.GRIDS["s1"].size_px
    regions = draw_regions(len(labels) + 1, size_px=size_px, random=random)
    # Illumination and moisture: all bands of a sensor vary together.
    common = {
        sensor: random.normal(0.0, 0.15) for sensor in bigearthnet.MODALITIES
    }
    shift = {
        band: np.full((size_px, size_px), common[grid.sensor])
        for grid in bigearthnet.GRIDS.values()
        for band in grid.bands
    }
    contrast = np.zeros((size_px, size_px))
    for label, region in zip(labels, regions[1:], strict=True):
        signature, strength = signatures.signature_of(label)
        strength *= random.uniform(0.8, 1.2)
        for band, amount in signature.shift.items():
            shift[band] += strength * amount * region
        texture = strength * _texture(signature, size_px=size_px, random=random)
        contrast += np.clip(texture, -0.95, 0.95) * region
        if signature.points_db:
            points = random.random((size_px, size_px)) < 0.06
            for band in bigearthnet.S1_BANDS:
                shift[band] += (
                    strength
                    * signature.points_db
                    / bigearthnet.PAPER_STATISTICS.std[band]
                    * (points * region)
                )
    pixels = {band: _measure(band, shift[band], random) for band in shift}
    for band in bigearthnet.GRIDS["s2_10m"].bands:
        # Multiplied, so that rows and blocks leave the mean as it is.
        pixels[band] *= 1 + contrast
    return {
        band: _quantise(band, values) for band, values in pixels.items()
    } | {"reference_map": _codes(labels, regions)}


def _codes(labels: list[str], regions: np.ndarray) -> np.ndarray:
    """Which class a pixel has: (regions, size, size) bool -> (size, size)."""
    code_of = dict(
        zip(bigearthnet.CLASSES_43, bigearthnet.CLC_CODES_43, strict=True)
    )
    codes = [bigearthnet.CLC_UNLABELLED, *map(code_of.__getitem__, labels)]
    return np.array(codes, bigearthnet.REFERENCE_MAP.dtype)[
        regions.argmax(axis=0)
    ]


def draw_regions(
    num_regions: int, *, size_px: int, random: np.random.Generator
) -> np.ndarray:
    """Draws a smooth partition of a patch: (regions, size, size) bool.

    Each region covers a similar area, at random places.
    """
    coarse = random.normal(size=(num_regions, 5, 5))
    position = np.linspace(0, 4, size_px)
    weight = np.transpose(
        [np.interp(position, range(5), point) for point in np.eye(5)]
    )
    fields = weight @ coarse @ weight.T
    # Raise the fields of regions that are too small until all are visible.
    offsets = np.zeros((num_regions, 1, 1))
    for _ in range(30):
        raised = fields + offsets
        regions = raised == raised.max(axis=0)
        share = regions.mean(axis=(1, 2), keepdims=True)
        offsets += 0.5 * (1 / num_regions - share)
    return regions


def _texture(
    signature: signatures.Signature,
    *,
    size_px: int,
    random: np.random.Generator,
) -> np.ndarray:
    """Draws a (size, size) contrast with mean zero."""
    pattern = np.zeros((size_px, size_px))
    if signature.rows:
        y, x = np.mgrid[:size_px, :size_px]
        angle, phase = random.uniform(0, np.pi), random.uniform(0, 2 * np.pi)
        across = x * np.cos(angle) + y * np.sin(angle)
        pattern += signature.rows * np.sin(2 * np.pi * across / 4 + phase)
    if signature.blocks:
        blocks = random.choice((-1, 1), (size_px // 3, size_px // 3))
        pattern += signature.blocks * np.kron(blocks, np.ones((3, 3)))
    return pattern


def _measure(
    band: str, shift: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Returns what the sensor would record, on its grid, with its noise."""
    grid = bigearthnet.grid_of_band(band)
    factor = shift.shape[0] // grid.size_px
    # A coarse pixel is the mean of what it covers.
    shift = shift.reshape(grid.size_px, factor, grid.size_px, factor).mean(
        axis=(1, 3)
    )
    mean, std = (
        bigearthnet.PAPER_STATISTICS.mean[band],
        bigearthnet.PAPER_STATISTICS.std[band],
    )
    if grid.sensor == "S1":
        # Speckle of a product with 4.4 looks, multiplicative in power.
        looks = 4.4
        speckle = random.gamma(looks, 1 / looks, shift.shape)
        return mean + std * shift + 10 * np.log10(speckle)
    shift = shift + random.normal(0.0, 0.2, shift.shape)
    # Reflectance is positive; low values are compressed, not cut.
    return mean * np.exp(np.minimum(shift * std / mean, 0)) + std * np.maximum(
        shift, 0
    )


def _quantise(band: str, values: np.ndarray) -> np.ndarray:
    """Rounds to the dtype of the archive; Sentinel-2 starts at 1."""
    grid = bigearthnet.grid_of_band(band)
    if grid.sensor == "S2":
        values = np.clip(np.rint(values), 1, 20_000)
    return values.astype(grid.dtype)
