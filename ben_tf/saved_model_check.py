"""Decides from its bytes whether a SavedModel may be loaded.

A SavedModel is a program: its graph can read and write files and dial out, as
soon as it is loaded. So a stranger's is held against what this package exports:
the operations of our networks, variables, and a text that describes it. That
text is read here as well; nothing has to be run to learn what a model is.
"""

import os
import pathlib
import re
from collections.abc import Iterator
from collections.abc import Mapping

from google.protobuf import message
from tensorflow.core.framework import function_pb2
from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.core.protobuf import saved_object_graph_pb2

from ben_tf import errors

# What the graphs of our exports consist of; a test exports every network. None
# of them reaches outside the model, none repeats others.
NETWORK_OPERATIONS = frozenset(
    "AddV2 BiasAdd Cast ConcatV2 Const Conv2D FusedBatchNormV3 Identity MatMul "
    "Max MaxPool Maximum Mean Mul NoOp Pack Pad PartitionedCall ReadVariableOp "
    "RealDiv Relu Reshape Rsqrt Shape Sigmoid Square StatefulPartitionedCall "
    "StridedSlice Sub Sum Tanh".split()
)
# TensorFlow adds functions that read and write weights. It runs them for
# graphs of its first version only, and never in ours: nothing may call them.
_SAVER_OPERATIONS = frozenset(
    "AssignVariableOp Const DisableCopyOnRead Identity MergeV2Checkpoints NoOp "
    "Pack ReadVariableOp RestoreV2 SaveV2 Select ShardedFilename "
    "StaticRegexFullMatch StringJoin".split()
)
_SAVER_FUNCTION = re.compile(r"__inference__traced_(save|restore)_\d+")
# Outside functions: weights, and calls with placeholders for servers.
_TOP_LEVEL_OPERATIONS = NETWORK_OPERATIONS | {"Placeholder", "VarHandleOp"}
_TEXT_OPERATIONS = {"Const", "Identity", "NoOp"}
_OBJECTS = {"bare_concrete_function", "function", "user_object", "variable"}
_USER_OBJECTS = {
    "_generic_user_object",
    "signature_map",
    "trackable_list_wrapper",
}
_DEVICE = re.compile(
    r"(/job:localhost)?(/replica:0)?(/task:0)?(/device:(CPU|GPU):(\d+|\*))?"
)
# ResNet152 has 3 MiB and 20,000 operations.
_MAX_BYTES = 1 << 27
_MAX_OPERATIONS = 1 << 20

_Functions = Mapping[str, function_pb2.FunctionDef]
# Function -> those that its nodes name, once a mention.
_Calls = Mapping[str, list[str]]


def read_description(path: str | os.PathLike) -> str:
    """Returns what the model says of itself, its `describe`.

    Args:
      path: Folder of the SavedModel, which may be loaded afterwards.

    Raises:
      UserError: No SavedModel, a damaged one, or one with parts that no export
        of this package has.
    """
    path = pathlib.Path(path)
    graph = _read(path)
    try:
        return _check(graph)
    except ValueError as error:
        raise errors.UserError(
            f"The SavedModel in {path} was refused, and nothing of it was run: "
            f"{error}. Expected a model exported by python -m ben_tf.export."
        ) from error


def _read(path: pathlib.Path) -> meta_graph_pb2.MetaGraphDef:
    file = path / "saved_model.pb"
    if not file.is_file():
        raise errors.UserError(
            f"No SavedModel found in {path}. Expected a folder with "
            "saved_model.pb, such as WORKDIR/saved_model; python -m "
            "ben_tf.export writes it."
        )
    # TensorFlow may take one of them in place of what is checked here.
    for suffix in (".pbtxt", ".cpb"):
        if file.with_suffix(suffix).exists():
            raise errors.UserError(
                f"{path} holds two graphs, {file.name} and "
                f"{file.with_suffix(suffix).name}. Expected the first alone, "
                "as python -m ben_tf.export writes it."
            )
    model = saved_model_pb2.SavedModel()
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise ValueError(f"larger than {_MAX_BYTES:,} bytes")
        model.ParseFromString(file.read_bytes())
        (graph,) = model.meta_graphs
    except (message.DecodeError, OSError, ValueError) as error:
        raise errors.UserError(
            f"{file} is damaged: it is not a SavedModel. Export it again with "
            "python -m ben_tf.export."
        ) from error
    return graph


def _check(graph: meta_graph_pb2.MetaGraphDef) -> str:
    """Returns the description.

    Raises:
      ValueError: A part is not one of ours; the message is a clause.
    """
    functions = {
        function.signature.name: function
        for function in graph.graph_def.library.function
    }
    if len(functions) < len(graph.graph_def.library.function):
        raise ValueError("two of its functions have one name")
    if graph.asset_file_def:
        raise ValueError("it has assets, files that are read when it is loaded")
    _check_objects(graph.object_graph_def)
    calls = {name: _calls(function) for name, function in functions.items()}
    called = _reachable(_entry_points(graph.object_graph_def), calls)
    for name, function in functions.items():
        operations = NETWORK_OPERATIONS
        if _SAVER_FUNCTION.fullmatch(name) and name not in called:
            operations = _SAVER_OPERATIONS
        _check_nodes(function.node_def, operations)
    _check_nodes(graph.graph_def.node, _TOP_LEVEL_OPERATIONS)
    _check_size(functions, calls)
    return _description(graph.object_graph_def, functions)


def _check_objects(graph: saved_object_graph_pb2.SavedObjectGraph) -> None:
    """Lets pass what is restored without running anything."""
    if not graph.nodes:
        raise ValueError("it is of TensorFlow 1, which runs it to load it")
    for node in graph.nodes:
        kind = node.WhichOneof("kind")
        if kind not in _OBJECTS or (
            kind == "user_object"
            and node.user_object.identifier not in _USER_OBJECTS
        ):
            raise ValueError(
                f"it has an object of the kind "
                f"{node.user_object.identifier[:80] or kind}"
            )
        if node.saveable_objects or node.registered_name:
            raise ValueError("it has objects with savers of their own")


def _entry_points(
    graph: saved_object_graph_pb2.SavedObjectGraph,
) -> Iterator[str]:
    """Functions that a caller of the loaded model can reach by itself."""
    yield from graph.concrete_functions
    for node in graph.nodes:
        yield from node.function.concrete_functions
        yield node.bare_concrete_function.concrete_function_name


def _reachable(names: Iterator[str], calls: _Calls) -> set[str]:
    """All that is run when functions are called, by name."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in calls and name not in found:
            found.add(name)
            waiting += calls[name]
    return found


def _calls(function: function_pb2.FunctionDef) -> list[str]:
    """Functions that the nodes of a function name, once a mention."""
    names = []
    for node in function.node_def:
        for value in node.attr.values():
            # Which it is takes half as long as to look into both.
            kind = value.WhichOneof("value")
            if kind == "func":
                names.append(value.func.name)
            elif kind == "list":
                names += [func.name for func in value.list.func]
    return names


def _check_nodes(
    nodes: list[node_def_pb2.NodeDef], operations: frozenset[str]
) -> None:
    for node in nodes:
        if node.op not in operations:
            raise ValueError(
                f"its operation {node.op[:80]} is not one of our networks'"
            )
        if not _DEVICE.fullmatch(node.device):
            raise ValueError(f"it asks for the device {node.device[:80]!r}")


def _check_size(functions: _Functions, calls: _Calls) -> None:
    """Refuses functions that call each other without end, or nearly so."""
    sizes: dict[str, int] = {}
    open_: set[str] = set()

    # Not recursive: a stranger's functions may be nested at any depth.
    for start in functions:
        waiting = [start]
        while waiting:
            name = waiting[-1]
            if name in sizes:
                waiting.pop()
                continue
            called = [x for x in calls[name] if x in functions]
            new = {x for x in called if x not in sizes}
            if new & (open_ | {name}):
                raise ValueError("its functions call themselves")
            if new:
                open_.add(name)
                waiting += new
                continue
            waiting.pop()
            open_.discard(name)
            sizes[name] = len(functions[name].node_def) + sum(
                sizes[x] for x in called
            )
            if sizes[name] > _MAX_OPERATIONS:
                raise ValueError(
                    f"a call of it runs more than {_MAX_OPERATIONS:,} "
                    "operations"
                )


def _description(
    graph: saved_object_graph_pb2.SavedObjectGraph, functions: _Functions
) -> str:
    """The constant that `describe` returns."""
    try:
        (number,) = (
            child.node_id
            for child in graph.nodes[0].children
            if child.local_name == "describe"
        )
        (name,) = graph.nodes[number].function.concrete_functions
        function = functions[name]
        (text,) = (
            node.attr["value"].tensor.string_val[0]
            for node in function.node_def
            if node.op == "Const"
        )
        if not {node.op for node in function.node_def} <= _TEXT_OPERATIONS:
            raise ValueError
        return text.decode()
    except (IndexError, KeyError, ValueError) as error:
        raise ValueError("it does not say what it is") from error
