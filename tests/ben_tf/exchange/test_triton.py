"""config.pbtxt, read by protobuf with the fields of Triton's own schema."""

import pathlib

import onnx as onnx_lib
import pytest
from google.protobuf import descriptor_pb2
from google.protobuf import descriptor_pool
from google.protobuf import message_factory
from google.protobuf import text_format

from ben_tf import bigearthnet
from ben_tf.exchange import onnx
from ben_tf.exchange import triton

# Names, numbers and types as in model_config.proto of Triton.
_TYPES = {"TYPE_UINT16": 3, "TYPE_FP32": 11}
_INT, _STRING, _MESSAGE, _ENUM = 5, 9, 11, 14
_REPEATED = 3
_SCHEMA = {
    "ModelDynamicBatching": [],
    "ModelInput": [
        ("name", 1, _STRING, ""),
        ("data_type", 2, _ENUM, "DataType"),
        ("dims", 4, _INT, "repeated"),
    ],
    "ModelOutput": [
        ("name", 1, _STRING, ""),
        ("data_type", 2, _ENUM, "DataType"),
        ("dims", 3, _INT, "repeated"),
        ("label_filename", 4, _STRING, ""),
    ],
    "ModelConfig": [
        ("name", 1, _STRING, ""),
        ("platform", 2, _STRING, ""),
        ("max_batch_size", 4, _INT, ""),
        ("input", 5, _MESSAGE, "ModelInput"),
        ("output", 6, _MESSAGE, "ModelOutput"),
        ("dynamic_batching", 11, _MESSAGE, "ModelDynamicBatching"),
    ],
}


def _parse(text: str):
    file = descriptor_pb2.FileDescriptorProto(
        name="model_config.proto", package="inference", syntax="proto3"
    )
    enum = file.enum_type.add(name="DataType")
    enum.value.add(name="TYPE_INVALID", number=0)
    for name, number in _TYPES.items():
        enum.value.add(name=name, number=number)
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for field, number, kind, more in fields:
            added = message.field.add(name=field, number=number, type=kind)
            added.label = 1
            if kind in (_MESSAGE, _ENUM):
                added.type_name = f".inference.{more}"
            if more in ("repeated", "ModelInput", "ModelOutput"):
                added.label = _REPEATED
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    config = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("inference.ModelConfig")
    )
    return text_format.Parse(text, config())


def _tensors(tensors) -> dict[str, tuple[int, list[int]]]:
    return {x.name: (x.data_type, list(x.dims)) for x in tensors}


# Worked by hand: no batch dimension.
_INPUTS = {
    "s1": (11, [120, 120, 2]),
    "s2_10m": (3, [120, 120, 4]),
    "s2_20m": (3, [60, 60, 6]),
    "s2_60m": (3, [20, 20, 2]),
}


@pytest.mark.parametrize(
    ("model_format", "platform", "outputs"),
    [
        (
            "saved_model",
            "tensorflow_savedmodel",
            {"probabilities": (11, [19])},
        ),
        (
            "onnx",
            "onnxruntime_onnx",
            {
                "probabilities": (11, [19]),
                "embedding": (11, [128]),
                "embedding_s1": (11, [128]),
                "embedding_s2": (11, [128]),
            },
        ),
    ],
)
def test_the_configuration(served, tmp_path, model_format, platform, outputs):
    triton.write(served, tmp_path, model_format=model_format)
    config = _parse((tmp_path / "small_cnn" / "config.pbtxt").read_text())
    assert config.name == "small_cnn"
    assert config.platform == platform
    assert config.max_batch_size == 64
    assert config.HasField("dynamic_batching")
    assert _tensors(config.input) == _INPUTS
    assert _tensors(config.output) == outputs
    labels = {x.name: x.label_filename for x in config.output}
    assert labels.pop("probabilities") == "labels.txt"
    assert set(labels.values()) <= {""}


def test_labels_are_the_classes_a_line_each(served, tmp_path):
    triton.write(served, tmp_path, model_format="onnx")
    text = (tmp_path / "small_cnn" / "labels.txt").read_text()
    assert text.splitlines() == list(bigearthnet.CLASSES_19)


@pytest.mark.slow
def test_the_configuration_is_that_of_the_file(served, tmp_path):
    """Triton refuses a model whose tensors differ from its configuration."""
    triton.write(served, tmp_path, model_format="onnx")
    config = _parse((tmp_path / "small_cnn" / "config.pbtxt").read_text())
    path = tmp_path / triton.model_path("small_cnn", "onnx")
    onnx.write(served, path)
    types = {onnx_lib.TensorProto.FLOAT: 11, onnx_lib.TensorProto.UINT16: 3}
    graph = onnx_lib.load(path).graph
    for configured, tensors in (
        (config.input, graph.input),
        (config.output, graph.output),
    ):
        assert _tensors(configured) == {
            tensor.name: (
                types[tensor.type.tensor_type.elem_type],
                [x.dim_value for x in tensor.type.tensor_type.shape.dim[1:]],
            )
            for tensor in tensors
        }


def test_where_the_model_is():
    assert triton.model_path("x", "onnx") == pathlib.PurePath("x/1/model.onnx")
    assert triton.model_path("x", "saved_model") == pathlib.PurePath(
        "x/1/model.savedmodel"
    )
