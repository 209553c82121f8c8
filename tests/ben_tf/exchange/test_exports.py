"""A folder is whole or as it was before, and nobody's files are replaced."""

import msgspec
import onnxruntime
import pytest
import tensorflow as tf

from ben_tf import errors
from ben_tf import saved_model
from ben_tf import workdir as workdir_lib
from ben_tf.exchange import exports
from ben_tf.exchange import tflite

pytestmark = pytest.mark.slow


def _files(folder) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file()
    }


def _write(folder, target) -> exports.Export:
    return exports.write(
        folder, target, workdir=workdir_lib.Workdir(target.folder.parent)
    )


_SAVED_MODEL = {
    "saved_model.pb",
    "fingerprint.pb",
    "variables/variables.index",
    "variables/variables.data-00000-of-00001",
}


@pytest.mark.parametrize(
    ("model_format", "server", "expected"),
    [
        ("saved_model", None, _SAVED_MODEL),
        ("onnx", None, {"model.onnx"}),
        ("tflite", None, {"model.tflite", "model.json"}),
        (
            "saved_model",
            "tensorflow_serving",
            {"model.config", "request.json"}
            | {f"small_cnn/1/{name}" for name in _SAVED_MODEL},
        ),
        (
            "saved_model",
            "triton",
            {"small_cnn/config.pbtxt", "small_cnn/labels.txt"}
            | {f"small_cnn/1/model.savedmodel/{x}" for x in _SAVED_MODEL},
        ),
        (
            "onnx",
            "triton",
            {"small_cnn/config.pbtxt", "small_cnn/labels.txt"}
            | {"small_cnn/1/model.onnx"},
        ),
    ],
)
def test_layouts(folder, served, tmp_path, model_format, server, expected):
    target = exports.Target(tmp_path / "x", model_format, server)
    export = _write(folder, target)
    assert export.path == tmp_path / "x"
    assert _files(export.path) == {"README.md"} | expected
    assert (export.difference is None) == (model_format == "saved_model")
    assert list(tmp_path.iterdir()) == [export.path]
    model = export.path / target.model_path("small_cnn")
    assert (
        f'("{target.model_path("small_cnn")}")'
        in (export.path / "README.md").read_text()
    )
    # What others find there by its name is the model.
    if model_format == "saved_model":
        assert saved_model.load(model).fingerprint == served.fingerprint
    elif model_format == "onnx":
        assert onnxruntime.InferenceSession(model).get_outputs()
    else:
        assert tf.lite.Interpreter(str(model)).get_output_details()


@pytest.mark.parametrize(
    ("server", "model_format", "expected"),
    [
        ("tensorflow_serving", "onnx", "saved_model"),
        ("tensorflow_serving", "tflite", "saved_model"),
        ("triton", "tflite", "saved_model or onnx"),
    ],
)
def test_a_server_that_does_not_run_the_format(
    tmp_path, server, model_format, expected
):
    target = exports.Target(tmp_path / "x", model_format, server)
    with pytest.raises(errors.UserError, match=f"Expected {expected}\\."):
        target.check()


@pytest.mark.parametrize("name", ["README.md", "model.onnx", "thesis.tex"])
def test_what_is_no_export_is_not_replaced(folder, tmp_path, name):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / name).write_text("mine")
    target = exports.Target(tmp_path / "x", "saved_model")
    with pytest.raises(errors.UserError, match="holds no export that could"):
        _write(folder, target)
    assert (tmp_path / "x" / name).read_text() == "mine"


def test_a_file_is_not_replaced(folder, tmp_path):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(errors.UserError, match="holds no export that could"):
        exports.Target(tmp_path / "x", "saved_model").check()


def test_an_export_is_replaced_by_another_one(folder, tmp_path):
    path = tmp_path / "x"
    for server in (None, "tensorflow_serving", "triton"):
        _write(folder, exports.Target(path, "saved_model", server))
        names = {file.name for file in path.iterdir()}
        assert ("saved_model.pb" in names) == (server is None)
        assert ("model.config" in names) == (server == "tensorflow_serving")


def test_an_empty_folder_is_taken(folder, tmp_path):
    (tmp_path / "x").mkdir()
    export = _write(folder, exports.Target(tmp_path / "x", "saved_model"))
    assert (export.path / "saved_model.pb").is_file()


@pytest.mark.parametrize("name", ["../../x", "/etc", "", "a b", "x.y", "ü"])
def test_a_name_that_leads_elsewhere_is_refused(
    folder, served, tmp_path, monkeypatch, name
):
    hostile = msgspec.structs.replace(served, model=name)
    monkeypatch.setattr(saved_model, "load", lambda path: hostile)
    with pytest.raises(errors.UserError, match="calls its network"):
        _write(folder, exports.Target(tmp_path / "x", "onnx", "triton"))
    assert not list(tmp_path.iterdir())


def test_a_refused_conversion_leaves_the_older_export(
    folder, tmp_path, monkeypatch
):
    target = exports.Target(tmp_path / "x", "tflite")
    _write(folder, target)
    before = {
        name: (tmp_path / "x" / name).read_bytes()
        for name in _files(tmp_path / "x")
    }
    monkeypatch.setattr(tflite, "TOLERANCE", 0.0)
    with pytest.raises(errors.UserError, match="was not written as TFLite"):
        _write(folder, target)
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]
    for name, content in before.items():
        assert (tmp_path / "x" / name).read_bytes() == content
