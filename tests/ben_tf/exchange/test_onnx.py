"""ONNX Runtime answers as the SavedModel does; the file says what it is."""

import json
import sys

import msgspec
import numpy as np
import onnx as onnx_lib
import onnxruntime
import pytest

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import saved_model
from ben_tf.exchange import onnx

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def written(served, tmp_path_factory):
    """The file, and the difference that was measured."""
    path = tmp_path_factory.mktemp("onnx") / "new" / "model.onnx"
    return path, onnx.write(served, path)


@pytest.fixture(scope="module")
def session(written) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        written[0], providers=["CPUExecutionProvider"]
    )


def test_answers_equal_the_saved_model(session, raw, expected):
    names = [output.name for output in session.get_outputs()]
    assert set(names) == expected.keys()
    for name, answer in zip(names, session.run(names, raw), strict=True):
        np.testing.assert_allclose(answer, expected[name], atol=1e-5)


@pytest.mark.parametrize("num_patches", [1, 2])
def test_the_batch_is_dynamic(session, raw, num_patches):
    (answer,) = session.run(
        ["probabilities"], {k: x[:num_patches] for k, x in raw.items()}
    )
    assert answer.shape == (num_patches, 19)


def test_inputs_are_the_raw_grids(session):
    types = {"tensor(float)": "float32", "tensor(uint16)": "uint16"}
    inputs = {x.name: (x.shape, types[x.type]) for x in session.get_inputs()}
    assert inputs == {
        name: (["batch", *grid.shape], grid.dtype)
        for name, grid in bigearthnet.GRIDS.items()
    }
    shapes = {x.name: x.shape for x in session.get_outputs()}
    assert shapes["probabilities"] == ["batch", 19]


def test_the_difference_is_that_of_rounding(written):
    assert 0 < written[1] < 1e-5


def test_the_file_says_what_it_is(written, served):
    model = onnx_lib.load(written[0])
    properties = {x.key: x.value for x in model.metadata_props}
    assert json.loads(properties["class_names"]) == list(bigearthnet.CLASSES_19)
    assert properties["trained_on_synthetic"] == "false"
    assert properties["fingerprint"] == served.fingerprint
    assert (
        msgspec.json.decode(
            properties["description"], type=saved_model.Description
        )
        == served.description
    )


def test_a_conversion_that_differs_is_not_written(
    served, tmp_path, monkeypatch
):
    monkeypatch.setattr(onnx, "TOLERANCE", 0.0)
    with pytest.raises(errors.UserError, match="was not written as ONNX"):
        onnx.write(served, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["onnx", "onnxruntime", "tf2onnx"])
def test_a_package_that_is_missing_is_named(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        errors.UserError, match=rf"extra \[export\]: .*\b{name}\b"
    ):
        onnx.packages()
