"""Writes a served model as TFLite, a file for phones and small computers.

Its inputs are float32, digital numbers as well: TFLite of TensorFlow 2.15 does
not take arrays of uint16 from Python, and float32 holds them exactly.
"""

import pathlib

import tensorflow as tf

from ben_tf import files
from ben_tf import saved_model as saved_model_lib
from ben_tf.exchange import metadata
from ben_tf.exchange import network

TOLERANCE = 1e-3
INPUT_DTYPE = "float32"


def write(served: saved_model_lib.ServedModel, path: pathlib.Path) -> float:
    """Converts a model, tries it and writes it, and next to it its metadata.

    Args:
      served: The model.
      path: The file to write; the metadata go to a file with the ending .json.

    Returns:
      The largest difference from the model; see `network.check_conversion`.

    Raises:
      UserError: The outputs differ.
    """
    function = network.function_of(served, dtype=INPUT_DTYPE)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], served.loaded
    )
    content = converter.convert()
    run = tf.lite.Interpreter(model_content=content).get_signature_runner()

    def convert(patches: network.Arrays) -> network.Arrays:
        return run(
            **{name: x.astype(INPUT_DTYPE) for name, x in patches.items()}
        )

    difference = network.check_conversion(
        served, convert, what="TFLite", tolerance=TOLERANCE
    )
    files.write(path, content)
    files.write_json(path.with_suffix(".json"), metadata.of(served.description))
    return difference
