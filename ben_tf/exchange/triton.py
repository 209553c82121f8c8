"""A model repository of NVIDIA Triton.

    REPOSITORY/NAME/config.pbtxt
    REPOSITORY/NAME/labels.txt
    REPOSITORY/NAME/1/model.onnx or model.savedmodel/

`model_config.proto` of Triton defines the configuration. It is made from the
signature: a client sees the names, types and shapes that are in the model.
"""

import pathlib
from collections.abc import Mapping

import tensorflow as tf

from ben_tf import files
from ben_tf import saved_model as saved_model_lib
from ben_tf.cards import templates
from ben_tf.exchange import network

# What lies in the folder of a version, and the platform that runs it.
_MODELS = {
    "saved_model": ("model.savedmodel", "tensorflow_savedmodel"),
    "onnx": ("model.onnx", "onnxruntime_onnx"),
}
_DATA_TYPES = {tf.float32: "TYPE_FP32", tf.uint16: "TYPE_UINT16"}
# Patches that Triton joins to a batch at most. A batch of ResNet152 of this
# size takes 2 s on two cores.
MAX_BATCH_SIZE = 64
_LABELS = "labels.txt"

Specs = Mapping[str, tf.TensorSpec]


def model_path(name: str, model_format: str) -> pathlib.PurePath:
    """Where in the repository the model itself lies."""
    return pathlib.PurePath(name, "1", _MODELS[model_format][0])


def write(
    served: saved_model_lib.ServedModel,
    repository: pathlib.Path,
    *,
    model_format: str,
) -> None:
    """Writes what goes with the model.

    Args:
      served: The model.
      repository: The folder of the repository.
      model_format: "saved_model" or "onnx".
    """
    folder = repository / served.model
    files.write(
        folder / "config.pbtxt",
        configuration(
            served.model,
            *_signature(served, model_format),
            platform=_MODELS[model_format][1],
        ),
    )
    files.write(
        folder / _LABELS, "".join(f"{name}\n" for name in served.class_names)
    )


def configuration(
    name: str, inputs: Specs, outputs: Specs, *, platform: str
) -> str:
    """Makes the text of config.pbtxt.

    Args:
      name: Of the model; Triton wants that of its folder.
      inputs: Name -> spec, whose first dimension is the batch.
      outputs: The same.
      platform: What runs the model.
    """
    return templates.render(
        "exchange/config.pbtxt",
        name=name,
        platform=platform,
        max_batch_size=MAX_BATCH_SIZE,
        inputs=_tensors(inputs),
        outputs=_tensors(outputs),
        labelled=saved_model_lib.PROBABILITIES,
        label_filename=_LABELS,
    )


def _signature(
    served: saved_model_lib.ServedModel, model_format: str
) -> tuple[Specs, Specs]:
    """Inputs and outputs; of a SavedModel Triton runs one signature."""
    if model_format == "saved_model":
        function = served.loaded.signatures["serving_default"]
        inputs = function.structured_input_signature[1]
    else:
        function = network.function_of(served).get_concrete_function()
        (inputs,) = function.structured_input_signature[0]
    return inputs, function.structured_outputs


def _tensors(specs: Specs) -> list[dict[str, object]]:
    return [
        {
            "name": name,
            "data_type": _DATA_TYPES[spec.dtype],
            "dims": list(spec.shape[1:]),
        }
        for name, spec in sorted(specs.items())
    ]
