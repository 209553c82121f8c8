"""A shallow ResNet as timm computes it, from its tensors alone.

PyTorch is too large to be installed for a test. This follows the definition of
timm 0.9.16 in tensors of NumPy and agreed with it to 1e-5 when both were at
hand; where timm is installed, test_timm_checkpoint.py compares with itself.
"""

import contextlib
import functools
import json
import pathlib

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from ben_tf import models
from ben_tf.models import branches
from ben_tf.models import resnet

PREFIX = "model.vision_encoder."
# Typed from the published statistics of v2.0: band -> mean, deviation.
STATISTICS = {
    "B02": (438.3721, 607.0269),
    "B03": (614.0557, 603.2968),
    "B04": (588.4096, 684.5688),
    "B05": (942.8433, 738.4327),
    "B06": (1769.9316, 1100.4561),
    "B07": (2049.5515, 1275.8054),
    "B08": (2193.2920, 1369.3717),
    "B8A": (2235.5566, 1356.5441),
    "B11": (1568.2268, 1070.1613),
    "B12": (997.7325, 813.5276),
    "VV": (-12.6439, 5.1335),
    "VH": (-19.3526, 5.5905),
}
GRIDS = {
    "s1": ("VV", "VH"),
    "s2_10m": ("B02", "B03", "B04", "B08"),
    "s2_20m": ("B05", "B06", "B07", "B8A", "B11", "B12"),
}
# (filters, stride of the first unit)
_BLOCKS = ((64, 1), (128, 2), (256, 2), (512, 2))


@contextlib.contextmanager
def small():
    """One unit in each block of the network that is called timm_resnet50."""
    backbone = functools.partial(
        resnet.resnet, num_units=(1, 1, 1, 1), layout=resnet.TIMM
    )
    with pytest.MonkeyPatch.context() as patches:
        patches.setitem(
            models.MODELS,
            "timm_resnet50",
            models.Architecture(
                functools.partial(branches.fuse_stacks, backbone=backbone),
                layout="stacked",
                upsampling="nearest",
            ),
        )
        yield


def draw(num_bands: int) -> dict[str, np.ndarray]:
    """Random tensors by their names in timm, as PyTorch shapes them."""
    random = np.random.default_rng(3)
    tensors = {}

    def convolution(name, out, into, size):
        scale = (2 / (into * size**2)) ** 0.5
        tensors[f"{name}.weight"] = random.normal(
            0, scale, (out, into, size, size)
        )

    def norm(name, size):
        tensors[f"{name}.weight"] = random.uniform(0.5, 1, size)
        tensors[f"{name}.bias"] = random.normal(0, 0.1, size)
        tensors[f"{name}.running_mean"] = random.normal(0, 0.2, size)
        tensors[f"{name}.running_var"] = random.uniform(0.5, 1.5, size)

    convolution("conv1", 64, num_bands, 7)
    norm("bn1", 64)
    into = 64
    for number, (filters, _) in enumerate(_BLOCKS, start=1):
        unit = f"layer{number}.0"
        for index, (out, width, size) in enumerate(
            [
                (filters, into, 1),
                (filters, filters, 3),
                (4 * filters, filters, 1),
            ],
            start=1,
        ):
            convolution(f"{unit}.conv{index}", out, width, size)
            norm(f"{unit}.bn{index}", out)
        convolution(f"{unit}.downsample.0", 4 * filters, into, 1)
        norm(f"{unit}.downsample.1", 4 * filters)
        into = 4 * filters
    tensors["fc.weight"] = random.normal(0, 0.01, (19, into))
    tensors["fc.bias"] = random.normal(0, 0.5, 19)
    return {name: x.astype(np.float32) for name, x in tensors.items()}


def write(
    folder: pathlib.Path, tensors: dict[str, np.ndarray], **config: object
) -> None:
    """The two files of a release."""
    folder.mkdir(exist_ok=True)
    counters = {
        f"{name.removesuffix('running_mean')}num_batches_tracked": np.array(7)
        for name in tensors
        if name.endswith("running_mean")
    }
    safetensors.numpy.save_file(
        {
            PREFIX + name: np.ascontiguousarray(x)
            for name, x in (tensors | counters).items()
        },
        folder / "model.safetensors",
    )
    described = {
        "timm_model_name": "resnet50",
        "channels": tensors["conv1.weight"].shape[1],
        "classes": 19,
        "image_size": 120,
    }
    (folder / "config.json").write_text(
        json.dumps({"config": described | config, "lr": 0.001})
    )


def stack(raw: dict[str, np.ndarray], bands: tuple[str, ...]) -> np.ndarray:
    """(B, 120, 120, bands) standardised, pixels repeated."""
    layers = []
    for band in bands:
        grid = next(x for x in GRIDS if band in GRIDS[x])
        values = raw[grid][..., GRIDS[grid].index(band)].astype(np.float64)
        factor = 120 // values.shape[1]
        mean, std = STATISTICS[band]
        values = values.repeat(factor, axis=1).repeat(factor, axis=2)
        layers.append((values - mean) / std)
    return np.stack(layers, axis=-1).astype(np.float32)


def logits(tensors: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """(B, 120, 120, bands) -> (B, 19), classes by the alphabet."""

    def convolve(x, name, norm, *, stride=1, padding=0):
        kernel = tensors[f"{name}.weight"].transpose(2, 3, 1, 0)
        around = (padding, padding)
        x = tf.nn.conv2d(x, kernel, stride, [(0, 0), around, around, (0, 0)])
        weight, bias, mean, variance = (
            tensors[f"{norm}.{part}"]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias

    x = tf.nn.relu(convolve(images, "conv1", "bn1", stride=2, padding=3))
    x = tf.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
    x = tf.nn.max_pool2d(x, 3, 2, "VALID")
    for number, (_, stride) in enumerate(_BLOCKS, start=1):
        unit = f"layer{number}.0"
        y = tf.nn.relu(convolve(x, f"{unit}.conv1", f"{unit}.bn1"))
        y = convolve(
            y, f"{unit}.conv2", f"{unit}.bn2", stride=stride, padding=1
        )
        y = convolve(tf.nn.relu(y), f"{unit}.conv3", f"{unit}.bn3")
        down = f"{unit}.downsample"
        x = tf.nn.relu(y + convolve(x, f"{down}.0", f"{down}.1", stride=stride))
    features = tf.reduce_mean(x, (1, 2))
    return (features @ tensors["fc.weight"].T + tensors["fc.bias"]).numpy()
