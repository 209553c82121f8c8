"""Our exports pass; whatever is not in them is refused before it can run."""

import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import models
from ben_tf import saved_model
from ben_tf import saved_model_check


def export(path, name, *, modality="MM", num_classes=19, **kwargs):
    bands = {
        key: kwargs.pop(key)
        for key in ("bands_60m", "duplicate_vv")
        if key in kwargs
    }
    preprocessing = models.preprocessing_of(name, modality=modality, **bands)
    model = models.make_model(
        name, preprocessing=preprocessing, num_classes=num_classes, **kwargs
    )
    return saved_model.save(
        model,
        path,
        preprocessing=preprocessing,
        name=name,
        trained_on_synthetic=True,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("export") / "saved_model"
    return export(path, "small_cnn", modality="S1")


@pytest.fixture
def copy(folder, tmp_path) -> pathlib.Path:
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.fixture
def graph(copy):
    """The graph of `copy`, to be changed and written with `write`."""
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((copy / "saved_model.pb").read_bytes())
    return message


def write(graph, copy) -> None:
    (copy / "saved_model.pb").write_bytes(graph.SerializeToString())


def function_of(graph, endpoint="serve"):
    """The graph of an endpoint."""
    (meta_graph,) = graph.meta_graphs
    nodes = meta_graph.object_graph_def.nodes
    (number,) = (
        child.node_id
        for child in nodes[0].children
        if child.local_name == endpoint
    )
    (name,) = nodes[number].function.concrete_functions
    (function,) = (
        function
        for function in meta_graph.graph_def.library.function
        if function.signature.name == name
    )
    return function


@pytest.fixture
def refused(copy, monkeypatch):
    """Loads the copy; returns why it is refused, before TensorFlow sees it."""
    monkeypatch.setattr(
        tf.saved_model, "load", lambda *_: pytest.fail("it was loaded")
    )

    def load() -> str:
        with pytest.raises(errors.UserError) as error:
            saved_model.load(copy)
        return str(error.value)

    return load


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(
            ("small_cnn", {"fusion": fusion, "binary_embedding": binary})
            for fusion, binary in (
                ("early", False),
                ("late", False),
                ("shared", False),
                ("shared", True),
            )
        ),
        ("small_cnn", {"bands_60m": False, "duplicate_vv": True}),
        ("small_cnn", {"modality": "S2", "num_classes": 43}),
        ("k_branch_cnn", {"fusion": "late"}),
        ("resnet50", {"modality": "S1"}),
        ("vgg16", {"modality": "S1"}),
        *(
            pytest.param(name, {"modality": "S1"}, marks=pytest.mark.slow)
            for name in ("resnet101", "resnet152", "vgg19", "timm_resnet101")
        ),
        # With the 20 m bands, which are repeated.
        ("timm_resnet50", {"modality": "S2"}),
    ],
)
def test_every_network_can_be_exported_and_opened(name, options, tmp_path):
    served = saved_model.load(export(tmp_path / "x", name, **options))
    assert served.model == name


def test_every_network_of_the_table_is_tried():
    """The list above names them all."""
    mark = test_every_network_can_be_exported_and_opened.pytestmark[0]
    tried = {getattr(case, "values", case)[0] for case in mark.args[1]}
    assert tried == set(models.MODELS)


def test_the_description_is_read_without_running_anything(folder):
    text = saved_model_check.read_description(folder)
    assert text == tf.saved_model.load(str(folder)).describe().numpy().decode()


def test_every_other_operation_of_tensorflow_is_refused(graph, copy, refused):
    operations = set(dir(tf.raw_ops)) - saved_model_check.NETWORK_OPERATIONS
    operations = {name for name in operations if name[0].isupper()}
    assert len(operations) > 1000
    node = function_of(graph).node_def.add(name="added")
    for operation in sorted(operations):
        node.op = operation
        write(graph, copy)
        assert f"its operation {operation} is not one of" in refused()


@pytest.mark.parametrize("where", ["describe", "nested", "top", "unused"])
def test_operations_are_found_wherever_they_are(graph, copy, refused, where):
    (meta_graph,) = graph.meta_graphs
    library = meta_graph.graph_def.library
    if where == "describe":
        nodes = function_of(graph, "describe").node_def
    elif where == "top":
        nodes = meta_graph.graph_def.node
    else:
        nodes = library.function.add().node_def
        library.function[-1].signature.name = "added"
        if where == "nested":
            call = function_of(graph).node_def.add(
                name="call", op="StatefulPartitionedCall"
            )
            call.attr["f"].func.name = "added"
    nodes.add(name="bad", op="ReadFile")
    write(graph, copy)
    assert "its operation ReadFile is not one of" in refused()


def test_savers_are_not_to_be_called(graph, copy, refused):
    (meta_graph,) = graph.meta_graphs
    (saver,) = (
        function.signature.name
        for function in meta_graph.graph_def.library.function
        if "traced_save" in function.signature.name
    )
    call = function_of(graph).node_def.add(
        name="call", op="StatefulPartitionedCall"
    )
    call.attr["f"].func.name = saver
    write(graph, copy)
    assert "is not one of our networks'" in refused()


def test_assets_are_refused(copy, refused, graph):
    graph.meta_graphs[0].asset_file_def.add(filename="../../etc/passwd")
    write(graph, copy)
    assert "it has assets" in refused()


@pytest.mark.parametrize(
    ("kind", "identifier"),
    [
        ("resource", ""),
        ("asset", ""),
        ("constant", ""),
        ("captured_tensor", ""),
        ("user_object", "_tf_keras_model"),
        ("user_object", "_tf_keras_layer"),
        ("user_object", "anything"),
    ],
)
def test_objects_that_run_something_are_refused(
    graph, copy, refused, kind, identifier
):
    node = graph.meta_graphs[0].object_graph_def.nodes.add()
    getattr(node, kind).SetInParent()
    if identifier:
        node.user_object.identifier = identifier
    write(graph, copy)
    assert f"it has an object of the kind {identifier or kind}" in refused()


def test_savers_of_objects_are_refused(graph, copy, refused):
    (node, *_) = graph.meta_graphs[0].object_graph_def.nodes
    node.saveable_objects["x"].save_function = 1
    write(graph, copy)
    assert "savers of their own" in refused()


def test_a_lookup_table_of_a_stranger_is_refused(tmp_path):
    """Its initializer reads a file as soon as it is loaded."""
    (tmp_path / "words").write_text("secret")
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(tmp_path / "words"),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        -1,
    )
    tf.saved_model.save(module, str(tmp_path / "x"))
    with pytest.raises(errors.UserError, match="nothing of it was run"):
        saved_model.load(tmp_path / "x")


def test_devices_elsewhere_are_refused(graph, copy, refused):
    function_of(graph).node_def[0].device = "/job:worker/device:CPU:0"
    write(graph, copy)
    assert "it asks for the device '/job:worker" in refused()


@pytest.mark.parametrize("length", [1, 2, 50])
def test_functions_that_never_end_are_refused(graph, copy, refused, length):
    library = graph.meta_graphs[0].graph_def.library
    for number in range(length):
        function = library.function.add()
        function.signature.name = f"f{number}"
        call = function.node_def.add(name="c", op="StatefulPartitionedCall")
        call.attr["f"].func.name = f"f{(number + 1) % length}"
    write(graph, copy)
    assert "its functions call themselves" in refused()


def test_functions_that_hardly_end_are_refused(graph, copy, refused):
    """Thirty functions, each of which calls the next one ten times."""
    library = graph.meta_graphs[0].graph_def.library
    for number in range(30):
        function = library.function.add()
        function.signature.name = f"f{number}"
        for call in range(10):
            node = function.node_def.add(
                name=f"c{call}", op="StatefulPartitionedCall"
            )
            node.attr["f"].func.name = f"f{number + 1}"
    write(graph, copy)
    assert "runs more than 1,048,576 operations" in refused()


def test_two_functions_of_one_name_are_refused(graph, copy, refused):
    library = graph.meta_graphs[0].graph_def.library
    library.function.add().CopyFrom(library.function[0])
    write(graph, copy)
    assert "two of its functions have one name" in refused()


def test_a_graph_of_tensorflow_1_is_refused(graph, copy, refused):
    graph.meta_graphs[0].ClearField("object_graph_def")
    write(graph, copy)
    assert "it is of TensorFlow 1" in refused()


@pytest.mark.parametrize("suffix", [".pbtxt", ".cpb"])
def test_a_second_graph_is_refused(copy, refused, suffix):
    (copy / f"saved_model{suffix}").touch()
    assert "holds two graphs" in refused()


def test_a_stranger_does_not_say_what_it_is(graph, copy, refused):
    (meta_graph,) = graph.meta_graphs
    for child in meta_graph.object_graph_def.nodes[0].children:
        if child.local_name == "describe":
            child.local_name = "tell"
    write(graph, copy)
    assert "it does not say what it is" in refused()


def test_no_folder(tmp_path):
    with pytest.raises(errors.UserError, match="No SavedModel found"):
        saved_model.load(tmp_path)


@pytest.mark.parametrize("content", [b"\xff" * 100, b""])
def test_no_graph(copy, refused, content):
    (copy / "saved_model.pb").write_bytes(content)
    assert "is damaged: it is not a SavedModel" in refused()


def test_a_graph_larger_than_any_of_ours_is_not_read(copy, refused):
    os.truncate(copy / "saved_model.pb", 1 << 30)
    assert "is damaged: it is not a SavedModel" in refused()


def test_the_copy_itself_would_pass(copy):
    served = saved_model.load(copy)
    shape = (1, *bigearthnet.GRIDS["s1"].shape)
    assert served.serve({"s1": np.zeros(shape, np.float32)}).shape == (1, 19)
