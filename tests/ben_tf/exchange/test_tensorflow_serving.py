"""The request is one that TensorFlow Serving's REST interface describes."""

import json

import numpy as np
import pytest
import tensorflow as tf

from ben_tf.exchange import network
from ben_tf.exchange import tensorflow_serving


@pytest.fixture(scope="module")
def written(served, tmp_path_factory):
    path = tmp_path_factory.mktemp("serving")
    tensorflow_serving.write(served, path)
    return path


def test_the_configuration_names_the_model_and_its_place(written):
    words = (written / "model.config").read_text().split()
    assert words == [
        *("model_config_list", "{", "config", "{"),
        *("name:", '"small_cnn"'),
        *("base_path:", '"/models/small_cnn"'),
        *("model_platform:", '"tensorflow"'),
        *("}", "}"),
    ]


def test_the_request_suits_the_signature(served, written, folder):
    """Row format: "instances" is a list with an object of inputs a patch.

    The server stacks what the objects have under the name of an input, and
    gives it the type that the signature has for it.
    """
    body = json.loads((written / "request.json").read_text())
    assert body.keys() == {"signature_name", "instances"}
    signature = tf.saved_model.load(str(folder)).signatures[
        body["signature_name"]
    ]
    specs = signature.structured_input_signature[1]
    (instance,) = body["instances"]
    assert instance.keys() == specs.keys()
    inputs = {}
    for name, spec in specs.items():
        array = np.array([instance[name]])
        spec.shape.assert_is_compatible_with(array.shape)
        inputs[name] = tf.constant(array.astype(spec.dtype.as_numpy_dtype))
        # No digit after the point where the model takes integers.
        assert spec.dtype.is_floating or array.dtype.kind == "i"
    (answer,) = signature(**inputs).values()
    expected = served.serve(network.random_patches(served, 1))
    # Decibels are rounded to two digits.
    np.testing.assert_allclose(answer, expected, atol=1e-3)


def test_the_answer_is_a_list_of_lists(folder):
    """The server leaves out the name of an output that is the only one."""
    signatures = tf.saved_model.load(str(folder)).signatures
    for name, signature in signatures.items():
        assert len(signature.structured_outputs) == 1, name


def test_every_signature_has_an_input(folder):
    """The REST interface refuses one without."""
    signatures = tf.saved_model.load(str(folder)).signatures
    assert "class_names" in signatures
    for name, signature in signatures.items():
        assert signature.structured_input_signature[1], name
