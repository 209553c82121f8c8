"""Writes a served model as ONNX, with tf2onnx, and tries it in ONNX Runtime."""

import importlib
import pathlib
import types

import ben_tf
from ben_tf import errors
from ben_tf import files
from ben_tf import saved_model as saved_model_lib
from ben_tf.exchange import metadata
from ben_tf.exchange import network

TOLERANCE = 1e-5
# Of 2022: runtimes of long ago read it, and no later one has anything for us.
_OPSET = 17
_BATCH = "batch"


def packages() -> list[types.ModuleType]:
    """Imports onnx, onnxruntime and tf2onnx.

    Raises:
      UserError: One of them is not installed.
    """
    try:
        return [
            importlib.import_module(name)
            for name in ("onnx", "onnxruntime", "tf2onnx")
        ]
    except ImportError as error:
        raise errors.UserError(
            f"`format=onnx` needs packages of the extra [export]: "
            f"{errors.first_line(error)}. Install it with pip install "
            "'ben-tf[export]', or pip install '.[export]' in the source."
        ) from error


def write(served: saved_model_lib.ServedModel, path: pathlib.Path) -> float:
    """Converts a model, tries it and writes it with its metadata.

    Args:
      served: The model.
      path: The file to write.

    Returns:
      The largest difference from the model; see `network.check_conversion`.

    Raises:
      UserError: The extra [export] is not installed, or the outputs differ.
    """
    onnx, onnxruntime, tf2onnx = packages()
    function = network.function_of(served)
    model, _ = tf2onnx.convert.from_function(
        function, input_signature=function.input_signature, opset=_OPSET
    )
    model.producer_name = "ben_tf"
    model.producer_version = ben_tf.__version__
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = _BATCH
    onnx.helper.set_model_props(model, metadata.texts_of(served.description))
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(
        content, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]

    def convert(patches: network.Arrays) -> network.Arrays:
        return dict(zip(names, session.run(names, dict(patches)), strict=True))

    difference = network.check_conversion(
        served, convert, what="ONNX", tolerance=TOLERANCE
    )
    files.write(path, content)
    return difference
