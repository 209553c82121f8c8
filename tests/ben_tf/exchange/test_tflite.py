"""TensorFlow's TFLite interpreter answers as the SavedModel does."""

import msgspec
import numpy as np
import pytest
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import saved_model
from ben_tf.exchange import tflite
from tests import json_files

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def written(served, tmp_path_factory):
    path = tmp_path_factory.mktemp("tflite") / "new" / "model.tflite"
    return path, tflite.write(served, path)


def test_answers_equal_the_saved_model(written, raw, expected):
    path, difference = written
    assert 0 < difference < 1e-3
    run = tf.lite.Interpreter(str(path)).get_signature_runner()
    answers = run(**{name: x.astype(np.float32) for name, x in raw.items()})
    assert answers.keys() == expected.keys()
    for name, answer in answers.items():
        np.testing.assert_allclose(answer, expected[name], atol=1e-3)


def test_inputs_are_the_raw_grids_as_float32(written):
    run = tf.lite.Interpreter(str(written[0])).get_signature_runner()
    inputs = {
        name: (list(x["shape_signature"]), x["dtype"])
        for name, x in run.get_input_details().items()
    }
    assert inputs == {
        name: ([-1, *grid.shape], np.float32)
        for name, grid in bigearthnet.GRIDS.items()
    }


def test_it_needs_no_operations_of_tensorflow(written):
    """Runtimes of phones have those of TFLite alone."""
    interpreter = tf.lite.Interpreter(str(written[0]))
    names = {x["op_name"] for x in interpreter._get_ops_details()}
    assert "CONV_2D" in names
    assert not any(name.startswith("Flex") for name in names)


def test_the_file_next_to_it_says_what_it_is(written, served):
    content = json_files.read(written[0].with_suffix(".json"))
    assert content["class_names"] == list(bigearthnet.CLASSES_19)
    assert content["trained_on_synthetic"] is False
    assert content["fingerprint"] == served.fingerprint
    assert (
        msgspec.convert(content["description"], saved_model.Description)
        == served.description
    )


def test_a_conversion_that_differs_is_not_written(
    served, tmp_path, monkeypatch
):
    monkeypatch.setattr(tflite, "TOLERANCE", 0.0)
    with pytest.raises(errors.UserError, match="was not written as TFLite"):
        tflite.write(served, tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())
