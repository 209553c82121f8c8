"""Reads the weights that were released with BigEarthNet v2.0.

They are of a ResNet of timm, written by PyTorch: `model.safetensors` with the
tensors and `config.json` with what the network is. Read by ConfigILM's names,
their conventions are others than ours: (out, in, height, width), bands in
another order, which changed between two versions, classes by the alphabet.
"""

import itertools
import os
import pathlib
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import numpy as np
import safetensors
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf.data import layer_names
from ben_tf.data import preprocessing

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
# Network of their description -> ours.
NETWORKS = {"resnet50": "timm_resnet50", "resnet101": "timm_resnet101"}
# Number of channels -> sensors.
_MODALITIES = {"2": "S1", "10": "S2", "12": "MM"}
# Version of the weights -> bands in the order of the network's input, of a
# model of both sensors; those of one sensor are a part of them.
BAND_ORDERS = {
    "0.2.0": (
        *("VV", "VH", "B02", "B03", "B04", "B05", "B06", "B07", "B08"),
        *("B8A", "B11", "B12"),
    ),
    "0.1.1": (
        *("B02", "B03", "B04", "B08", "B05", "B06", "B07", "B11", "B12"),
        *("B8A", "VH", "VV"),
    ),
}
_PREFIX = "model.vision_encoder."
_COUNTER = "num_batches_tracked"  # Of PyTorch's, which Keras does not need.
_MAX_NAMES = 6


class Described(NamedTuple):
    """What config.json says.

    Attributes:
      model: Our name of the network.
      modality: Its sensors.
    """

    model: str
    modality: str


def read_description(folder: pathlib.Path) -> Described:
    """What network the weights in a folder are of.

    Raises:
      errors.UserError: A file is missing or damaged, or it describes another
        network than those that can be imported.
    """
    path = folder / CONFIG_FILE
    found = files.read_json(
        path, dict[str, Any], remedy=f"Expected that of {_release()}."
    )
    # Its hub keeps the arguments of the model, of which one is the network.
    nested = found.get("config", found)
    if not isinstance(nested, dict):
        nested = {}
    network, channels, classes, size_px = (
        nested.get(key)
        for key in ("timm_model_name", "channels", "classes", "image_size")
    )
    # By their text, since what stands there may be anything.
    model = NETWORKS.get(str(network))
    modality = _MODALITIES.get(str(channels))
    is_known = classes == 19 and size_px in (120, None)
    if not (model and modality and is_known):
        raise errors.UserError(
            f"{path} describes timm_model_name={network!r}, "
            f"channels={channels!r}, classes={classes!r}, "
            f"image_size={size_px!r}. Expected one of {', '.join(NETWORKS)}, "
            f"{', '.join(_MODALITIES)} channels, 19 classes and 120 "
            "pixels."
        )
    names = nested.get("class_names")
    if names is not None and names != sorted(bigearthnet.CLASSES_19):
        raise errors.UserError(
            f"{path} names other classes, or in another order, than the 19 of "
            "BigEarthNet by the alphabet. Expected those."
        )
    return Described(model, modality)


def read_model(
    folder: str | os.PathLike,
    model: tf.keras.Model,
    *,
    modality: str,
    weights_version: str,
) -> None:
    """Gives a network the weights of a folder.

    Args:
      folder: Holds `WEIGHTS_FILE`.
      model: Of `NETWORKS`, with 19 classes and fusion="early".
      modality: Its sensors.
      weights_version: One of `BAND_ORDERS`.

    Raises:
      errors.UserError: The file is missing or damaged, or its tensors are not
        those of the network.
    """
    path = pathlib.Path(folder) / WEIGHTS_FILE
    if not path.is_file():
        raise errors.UserError(
            f"No file {path}. Expected the weights of {_release()}."
        )
    variables = dict(_variables(model))
    bands = _permutation(modality, weights_version)
    classes = [
        sorted(bigearthnet.CLASSES_19).index(name)
        for name in bigearthnet.CLASSES_19
    ]
    try:
        with safetensors.safe_open(os.fspath(path), framework="numpy") as file:
            theirs = {
                name for name in file.keys() if not name.endswith(_COUNTER)
            }
            _check_names({f"{_PREFIX}{name}" for name in variables}, theirs)
            values = {
                name: file.get_tensor(f"{_PREFIX}{name}").T
                for name in variables
            }
    except (OSError, TypeError, safetensors.SafetensorError) as error:
        raise errors.UserError(
            f"{path} cannot be read: {errors.first_line(error)}. Fetch it once "
            "more."
        ) from error
    # (out, in, height, width), reversed by .T, to (height, width, in, out).
    values = {
        name: x.swapaxes(0, 1) if x.ndim == 4 else x
        for name, x in values.items()
    }
    # Before anything is picked out of them: what is too much would be dropped.
    _check_values(variables, values, path)
    values["conv1.weight"] = values["conv1.weight"][:, :, bands]
    for name in ("fc.weight", "fc.bias"):
        values[name] = values[name][..., classes]
    for name, variable in variables.items():
        variable.assign(values[name])


def _variables(
    model: tf.keras.Model,
) -> Iterator[tuple[str, tf.Variable]]:
    """Yields their name, without the prefix, of each of our variables."""
    layers = {layer.name: layer for layer in model.layers}
    # The prefix is that of the stack of bands.
    backbone = next(
        name.removesuffix("_pool5") for name in layers if "_pool5" in name
    )
    pairs = [("conv1", "bn1", f"{backbone}_conv1")]
    for block in itertools.count(1):
        prefix = f"{backbone}_block{block}"
        if f"{prefix}_unit1_conv1" not in layers:
            break
        for unit in itertools.count(1):
            ours = f"{prefix}_unit{unit}"
            theirs = f"layer{block}.{unit - 1}"
            if f"{ours}_conv1" not in layers:
                break
            pairs += [
                (f"{theirs}.conv{x}", f"{theirs}.bn{x}", f"{ours}_conv{x}")
                for x in (1, 2, 3)
            ]
            if f"{ours}_shortcut_bn" in layers:
                down = f"{theirs}.downsample"
                pairs.append((f"{down}.0", f"{down}.1", f"{ours}_shortcut"))
    for convolution, norm, ours in pairs:
        yield f"{convolution}.weight", layers[ours].kernel
        norm_layer = layers[f"{ours}_bn"]
        yield f"{norm}.weight", norm_layer.gamma
        yield f"{norm}.bias", norm_layer.beta
        yield f"{norm}.running_mean", norm_layer.moving_mean
        yield f"{norm}.running_var", norm_layer.moving_variance
    yield "fc.weight", layers[layer_names.LOGITS].kernel
    yield "fc.bias", layers[layer_names.LOGITS].bias


def _permutation(modality: str, weights_version: str) -> list[int]:
    """Position among their bands of each of ours."""
    sensors = bigearthnet.MODALITIES[modality]
    theirs = [
        band
        for band in BAND_ORDERS[weights_version]
        if bigearthnet.grid_of_band(band).sensor in sensors
    ]
    ours = (*preprocessing.S2_STACK_BANDS, *bigearthnet.S1_BANDS)
    return [theirs.index(band) for band in ours if band in theirs]


def _check_names(ours: set[str], theirs: set[str]) -> None:
    """Raises TypeError unless each tensor has its counterpart."""
    for what, left_over in (
        ("tensors that the network lacks", theirs - ours),
        ("no tensors", ours - theirs),
    ):
        if left_over:
            names = ", ".join(sorted(left_over)[:_MAX_NAMES])
            more = len(left_over) - _MAX_NAMES
            raise TypeError(
                f"it has {what}: {names}"
                + (f" and {more} more" if more > 0 else "")
            )


def _check_values(
    variables: Mapping[str, tf.Variable],
    values: Mapping[str, np.ndarray],
    path: pathlib.Path,
) -> None:
    for name, variable in variables.items():
        value = values[name]
        if value.shape != tuple(variable.shape) or value.dtype.kind != "f":
            raise errors.UserError(
                f"{path}: {_PREFIX}{name} has, in our order of axes, shape "
                f"{value.shape} and type {value.dtype}. Expected "
                f"{tuple(variable.shape)} and floating-point numbers."
            )


def _release() -> str:
    return (
        "BigEarthNet v2.0's weights, such as "
        "BIFOLD-BigEarthNetv2-0/resnet50-all-v0.2.0 on Hugging Face"
    )
