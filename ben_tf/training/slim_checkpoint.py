"""Reads TensorFlow 1 checkpoints of TF-Slim networks into ours.

Our VGG and ResNet have TF-Slim's layers, so every variable of one side has
exactly one counterpart on the other. Two sources come this way: the models
that the authors released (`read_model`), and TF-Slim's own ImageNet weights
(`read_backbone`).
"""

import os
import pathlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf.data import layer_names
from ben_tf.data import preprocessing

if TYPE_CHECKING:
    # TensorFlow exports the function that returns a reader, not its class.
    from tensorflow.python.training import py_checkpoint_reader

# How the authors stack bands (models/main_model.py), Sentinel-1 last.
AUTHORS_BANDS = (
    *("B04", "B03", "B02", "B08"),
    *("B05", "B06", "B07", "B8A", "B11", "B12"),
    *bigearthnet.S1_BANDS,
)

# Variables of a training graph that a network for inference does not have.
_TRAINING_STATE = re.compile(
    r"global_step|beta[12]_power|.*/(Adam|Adam_1|Momentum|RMSProp|RMSProp_1)"
)
_LAYER = re.compile(
    r"(?:block(?P<block>\d)_unit(?P<unit>\d+)_)?"
    r"(?P<name>conv(?P<group>\d)(_\d)?|shortcut|fc[67])(?P<norm>_bn)?"
)
_MAX_NAMES = 12


def read_model(
    path: str | os.PathLike, model: tf.keras.Model, *, modality: str
) -> None:
    """Loads a checkpoint of the authors into a model with early fusion.

    The first kernel's input channels are brought from the authors' order of
    bands to ours; nothing else is changed.

    Args:
      path: Checkpoint; see `open_checkpoint`.
      model: From `models.make_model`, a VGG or ResNet without the 60 m bands.
      modality: "S2" or "MM".

    Raises:
      UserError: A damaged checkpoint, a variable without a counterpart on
        either side, or one of another shape. The model is unchanged then.
    """
    backbone = {"S1": "s1", "S2": "s2", "MM": "s2_s1"}[modality]
    variables = backbone_variables(model, backbone=backbone)
    variables |= _layer_variables(
        _head_scope(model.name), model.get_layer(layer_names.LOGITS)
    )
    values = _read_all(
        path, {name: tuple(x.shape) for name, x in variables.items()}
    )
    stem = stem_name(model.name)
    values[stem] = values[stem][:, :, _order_of_bands(modality)]
    assign(variables, values)


def read_backbone(
    path: str | os.PathLike,
    model_name: str,
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, np.ndarray]:
    """Reads the variables of a backbone; the classifier's are left out.

    Args:
      path: Checkpoint; see `open_checkpoint`.
      model_name: Key of `models.MODELS`, for messages.
      shapes: Variable -> expected shape, names as in `backbone_variables`.

    Raises:
      UserError: A damaged checkpoint, or one without some of the variables.
    """
    # Some of TF-Slim's networks keep the mean pixel next to the weights.
    ignored = re.compile(rf"{_head_scope(model_name)}/.*|(.*/)?mean_rgb")
    return _read_all(path, shapes, ignored)


def _read_all(
    path: str | os.PathLike,
    shapes: Mapping[str, tuple[int, ...]],
    ignored: re.Pattern[str] = _TRAINING_STATE,
) -> dict[str, np.ndarray]:
    """Reads a checkpoint whose other variables are all to be ignored."""
    reader = open_checkpoint(path)
    found = {
        name
        for name in reader.get_variable_to_shape_map()
        if not _TRAINING_STATE.fullmatch(name) and not ignored.fullmatch(name)
    }
    if found != shapes.keys():
        missing = sorted(shapes.keys() - found)
        unknown = sorted(found - shapes.keys())
        raise errors.UserError(
            f"The checkpoint {path} is of another network. Variables that it "
            f"lacks: {', '.join(missing) or 'none'}. Variables that the "
            f"network lacks: {', '.join(unknown) or 'none'}. Check `model`."
        )
    return read_values(reader, shapes, path)


def backbone_variables(
    model: tf.keras.Model, *, backbone: str
) -> dict[str, tf.Variable]:
    """Name in TF-Slim -> variable, for one backbone of a model.

    Args:
      model: From `models.make_model`; a VGG or ResNet.
      backbone: Prefix of its layers: "s1", "s2" or, of early fusion, "s2_s1".
    """
    scope = network_name(model.name)
    variables: dict[str, tf.Variable] = {}
    for layer in model.layers:
        if not layer.weights or not layer.name.startswith(f"{backbone}_"):
            continue
        match = _LAYER.fullmatch(layer.name.removeprefix(f"{backbone}_"))
        if match is None:  # Another backbone, "s2" being a prefix of "s2_s1".
            continue
        parts = [scope]
        if match["block"]:
            unit = f"block{match['block']}/unit_{match['unit']}"
            parts += [unit, "bottleneck_v1"]
        elif scope.startswith("vgg") and match["group"]:
            parts.append(f"conv{match['group']}")
        parts.append(match["name"])
        if match["norm"]:
            parts.append("BatchNorm")
        variables |= _layer_variables("/".join(parts), layer)
    return variables


def stem_name(model_name: str) -> str:
    """Name in TF-Slim of the first kernel, (height, width, bands, filters)."""
    scope = network_name(model_name)
    layer = "conv1/conv1_1" if scope.startswith("vgg") else "conv1"
    return f"{scope}/{layer}/weights"


def open_checkpoint(
    path: str | os.PathLike,
) -> "py_checkpoint_reader.CheckpointReader":
    """Opens a checkpoint without reading its values.

    Args:
      path: Prefix such as "iteration-53900", one of its files, a folder that
        holds one checkpoint, or a single file of TensorFlow's first format.

    Returns:
      TensorFlow's reader, with names, shapes and types checked for damage.

    Raises:
      UserError: No checkpoint there, several in the folder, or a damaged one.
    """
    prefix = _find_prefix(pathlib.Path(path))
    try:
        reader = tf.train.load_checkpoint(os.fspath(prefix))
        reader.get_variable_to_shape_map()
    except Exception as error:  # TensorFlow raises many unrelated types here.
        raise _damaged(path, error) from error
    return reader


def read_values(
    reader: "py_checkpoint_reader.CheckpointReader",
    shapes: Mapping[str, tuple[int, ...]],
    path: str | os.PathLike,
) -> dict[str, np.ndarray]:
    """Reads variables whose shapes are known.

    Kernels of a Dense layer are convolutions of 1 x 1 pixels in TF-Slim.

    Args:
      reader: From `open_checkpoint`.
      shapes: Name -> shape that the value must have.
      path: Of the checkpoint, for messages.

    Returns:
      Name -> float32 array of that shape.

    Raises:
      UserError: Another shape or type, a damaged value, or one that is not
        finite.
    """
    found = reader.get_variable_to_shape_map()
    types = reader.get_variable_to_dtype_map()
    wrong = []
    for name, shape in shapes.items():
        allowed = [list(shape)]
        if len(shape) == 2:
            allowed.append([1, 1, *shape])
        if found[name] not in allowed:
            wrong.append(f"{name} {found[name]}, expected {list(shape)}")
        elif not types[name].is_floating:
            wrong.append(f"{name} of type {types[name].name}")
    if wrong:
        raise errors.UserError(
            f"The checkpoint {path} is of another network: {_listed(wrong)}. "
            "Check `model`, `modality` and `num_classes`."
        )
    values = {}
    for name, shape in shapes.items():
        try:
            value = reader.get_tensor(name)
        except Exception as error:  # As above.
            raise _damaged(path, error) from error
        values[name] = value.reshape(shape).astype(np.float32)
        if not np.isfinite(values[name]).all():
            raise errors.UserError(
                f"The checkpoint {path} holds values that are not finite, in "
                f"{name}. Expected trained weights; use another checkpoint."
            )
    return values


def assign(
    variables: Mapping[str, tf.Variable], values: Mapping[str, np.ndarray]
) -> None:
    """Gives each variable the value of its name."""
    for name, variable in variables.items():
        variable.assign(values[name])


def network_name(model_name: str) -> str:
    """resnet50 -> resnet_v1_50, vgg16 -> vgg_16.

    Raises:
      ValueError: TF-Slim has no such network.
    """
    match = re.fullmatch(r"(resnet|vgg)(\d+)", model_name)
    if match is None:
        raise ValueError(f"Expected a VGG or ResNet. Received: {model_name!r}")
    return ("resnet_v1_" if match[1] == "resnet" else "vgg_") + match[2]


def _head_scope(model_name: str) -> str:
    """Where TF-Slim keeps the classifier."""
    scope = network_name(model_name)
    return f"{scope}/fc8" if scope.startswith("vgg") else f"{scope}/logits"


def _layer_variables(
    scope: str, layer: tf.keras.layers.Layer
) -> dict[str, tf.Variable]:
    """Name in TF-Slim -> variable, for one layer."""
    variables = {}
    for variable in layer.weights:
        name = variable.name.rpartition("/")[2].removesuffix(":0")
        name = {"kernel": "weights", "bias": "biases"}.get(name, name)
        variables[f"{scope}/{name}"] = variable
    return variables


def _order_of_bands(modality: str) -> list[int]:
    """Position among the authors' bands of each of ours."""
    ours = [
        band
        for band in (*preprocessing.S2_STACK_BANDS, *bigearthnet.S1_BANDS)
        if band in AUTHORS_BANDS
        and bigearthnet.grid_of_band(band).sensor
        in bigearthnet.MODALITIES[modality]
    ]
    theirs = [band for band in AUTHORS_BANDS if band in ours]
    return [theirs.index(band) for band in ours]


def _find_prefix(path: pathlib.Path) -> pathlib.Path:
    """The prefix by which TensorFlow opens a checkpoint."""
    if path.is_dir():
        found = files.listed(path, "*.index")
        if len(found) != 1:
            raise errors.UserError(
                f"Expected one checkpoint in the folder {path}. Found "
                f"{len(found)} *.index files: "
                f"{_listed([x.stem for x in found])}. Name one of them, such "
                f"as {path}/NAME."
            )
        return found[0].with_suffix("")
    prefix = path.with_name(
        re.sub(r"\.(index|meta|data-\d+-of-\d+)$", "", path.name)
    )
    index = prefix.with_name(f"{prefix.name}.index")
    if index.is_file() or prefix.is_file():
        return prefix
    raise errors.UserError(
        f"No checkpoint found. Expected {index} and its data file, or {prefix} "
        "in TensorFlow's first format. Unpack the downloaded archive, or "
        "correct the path."
    )


def _damaged(path: str | os.PathLike, error: Exception) -> errors.UserError:
    return errors.UserError(
        f"The checkpoint {path} is damaged or not one of TensorFlow: "
        f"{errors.first_line(error)}. Fetch it "
        "once more, to another place."
    )


def _listed(items: list[str]) -> str:
    """The first of a list of any length."""
    more = len(items) - _MAX_NAMES
    return "; ".join(items[:_MAX_NAMES]) + (f" and {more} more" * (more > 0))
