"""The exported model: raw bands in, probabilities or an embedding out.

A SavedModel holds preprocessing, network and a description of itself, so that
whoever serves it needs TensorFlow alone and cannot forget a step. Endpoints:

- `serve(inputs)`: (B, classes) float32 probabilities,
- `embed(inputs)`: (B, D) float32 features for retrieval,
- `describe()`: a JSON text with class names, inputs and fingerprint,

where `inputs` is a dict of raw native grids. `serve` and `embed` are also the
signatures "serving_default" and "embed".
"""

import dataclasses
import hashlib
import json
import os
import pathlib

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from ben_tf import bigearthnet
from ben_tf import command_line
from ben_tf import preprocessing

_FORMAT = 1
# Operations that reach outside the model. No export of this package has them;
# a foreign SavedModel that does is refused before anything runs.
_FORBIDDEN_OPERATIONS = frozenset(
    {
        "EagerPyFunc",
        "FixedLengthRecordReaderV2",
        "LMDBReader",
        "MatchingFiles",
        "PyFunc",
        "PyFuncStateless",
        "ReadFile",
        "TextLineDatasetV2",
        "TFRecordDatasetV2",
        "WholeFileReaderV2",
        "WriteFile",
    }
)


@dataclasses.dataclass(frozen=True)
class Description:
    """What a SavedModel says of itself.

    Attributes:
      class_names: Meaning of the columns of `serve`.
      modality: "S1", "S2" or "MM".
      input_names: Raw grids that the model takes, keys of `bigearthnet.GRIDS`.
      embedding_size: D of `embed`.
      fingerprint: SHA-256 of all weights, hexadecimal.
      model: Name of the architecture.
      trained_on_synthetic: Whether the weights come from synthetic data.
    """

    class_names: tuple[str, ...]
    modality: str
    input_names: tuple[str, ...]
    embedding_size: int
    fingerprint: str
    model: str
    trained_on_synthetic: bool


@dataclasses.dataclass(frozen=True)
class ServedModel(Description):
    """A loaded SavedModel and what it says of itself.

    Attributes:
      loaded: TensorFlow's object; use `serve` and `embed` instead.
    """

    loaded: tf.Module

    def serve(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Raw grids (B, size, size, bands) -> (B, classes) probabilities."""
        return self.loaded.serve(self._select(inputs))

    def embed(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Raw grids (B, size, size, bands) -> (B, embedding_size) features."""
        return self.loaded.embed(self._select(inputs))

    def _select(self, inputs):
        missing = [name for name in self.input_names if name not in inputs]
        if missing:
            raise ValueError(
                f"Expected the raw grids {self.input_names}. Missing: {missing}"
            )
        return {
            name: tf.convert_to_tensor(
                inputs[name], bigearthnet.GRIDS[name].dtype
            )
            for name in self.input_names
        }


def save(
    model: tf.keras.Model,
    path: str | os.PathLike,
    *,
    name: str,
    layout: str,
    modality: str,
    trained_on_synthetic: bool,
) -> pathlib.Path:
    """Writes a trained model with its preprocessing to a new folder `path`.

    Args:
      model: Takes what `preprocessing.to_model_inputs` returns and has layers
        named "embedding" and "probabilities".
      path: Folder to create; one that exists is replaced at the end.
      name: Name of the architecture, for the description.
      layout: One of `preprocessing.LAYOUTS`.
      modality: "S1", "S2" or "MM".
      trained_on_synthetic: Whether the training data were synthetic.

    Returns:
      The path.
    """
    path = pathlib.Path(path)
    num_classes = model.output_shape[-1]
    input_names = preprocessing.raw_grids(layout, modality=modality)
    specs = {
        grid: tf.TensorSpec(
            (None, *bigearthnet.GRIDS[grid].shape),
            bigearthnet.GRIDS[grid].dtype,
            name=grid,
        )
        for grid in input_names
    }
    embedding = model.get_layer("embedding").output
    embedding_model = tf.keras.Model(model.inputs, embedding)
    description = Description(
        class_names=bigearthnet.CLASSES[num_classes],
        modality=modality,
        input_names=input_names,
        embedding_size=embedding.shape[-1],
        fingerprint=fingerprint(model),
        model=name,
        trained_on_synthetic=trained_on_synthetic,
    )
    text = json.dumps({"format": _FORMAT, **dataclasses.asdict(description)})

    def endpoint(network: tf.keras.Model):
        @tf.function(input_signature=[specs])
        def compute(inputs):
            ready = preprocessing.to_model_inputs(inputs, layout=layout)
            return tf.cast(network(ready, training=False), tf.float32)

        return compute

    # A plain module, not a Keras object: loading it needs TensorFlow alone.
    module = tf.Module()
    module.variables_of_model = model.variables
    module.serve = endpoint(model)
    module.embed = endpoint(embedding_model)
    module.describe = tf.function(lambda: tf.constant(text), input_signature=[])
    part = path.with_name(path.name + ".part")
    _remove(part)
    tf.saved_model.save(
        module,
        os.fspath(part),
        signatures={"serving_default": module.serve, "embed": module.embed},
    )
    _remove(path)
    os.replace(part, path)
    return path


def load(path: str | os.PathLike) -> ServedModel:
    """Loads a folder that `save` wrote.

    Raises:
      UserError: No SavedModel there, one that is damaged or was not exported
        by this package, or one with operations that reach outside the model.
    """
    path = pathlib.Path(path)
    _refuse_forbidden_operations(path)
    try:
        loaded = tf.saved_model.load(os.fspath(path))
    except Exception as error:  # TensorFlow raises many unrelated types here.
        raise command_line.UserError(
            f"The SavedModel in {path} is damaged: {_first_line(error)} "
            "Export it again with python -m ben_tf.export."
        ) from error
    description = _read_description(loaded, path)
    return ServedModel(**dataclasses.asdict(description), loaded=loaded)


def fingerprint(model: tf.keras.Model) -> str:
    """SHA-256 over all weights in order: equal only for equal models."""
    digest = hashlib.sha256()
    for variable in model.variables:
        value = variable.numpy()
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def _refuse_forbidden_operations(path: pathlib.Path) -> None:
    """Reads the graph without running it."""
    graph_file = path / "saved_model.pb"
    if not graph_file.is_file():
        raise command_line.UserError(
            f"No SavedModel found in {path}. Expected a folder with "
            "saved_model.pb, such as WORKDIR/saved_model; python -m "
            "ben_tf.export writes it."
        )
    message = saved_model_pb2.SavedModel()
    try:
        message.ParseFromString(graph_file.read_bytes())
    except Exception as error:  # protobuf's DecodeError has several homes.
        raise command_line.UserError(
            f"{graph_file} is damaged: it is no SavedModel. Export it again "
            "with python -m ben_tf.export."
        ) from error
    found = {
        node.op
        for meta_graph in message.meta_graphs
        for nodes in (
            meta_graph.graph_def.node,
            *(f.node_def for f in meta_graph.graph_def.library.function),
        )
        for node in nodes
    } & _FORBIDDEN_OPERATIONS
    if found:
        raise command_line.UserError(
            f"The SavedModel in {path} was refused: its operations "
            f"{sorted(found)} reach outside the model. Expected a model "
            "exported by python -m ben_tf.export."
        )


def _read_description(loaded, path: pathlib.Path) -> Description:
    """Checks what the model says of itself."""
    try:
        fields = json.loads(loaded.describe().numpy())
        if fields.pop("format") != _FORMAT:
            raise ValueError("another format version")
        fields["class_names"] = tuple(fields["class_names"])
        fields["input_names"] = tuple(fields["input_names"])
        description = Description(**fields)
        if description.class_names not in bigearthnet.CLASSES.values():
            raise ValueError("unknown class names")
        if not set(description.input_names) <= set(bigearthnet.GRIDS):
            raise ValueError("unknown inputs")
        if not (callable(loaded.serve) and callable(loaded.embed)):
            raise ValueError("no endpoints serve and embed")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise command_line.UserError(
            f"The SavedModel in {path} is not one that this version of ben_tf "
            f"exported ({_first_line(error)}). Export it again with python -m "
            "ben_tf.export."
        ) from error
    return description


def _first_line(error: Exception) -> str:
    """The first line of a message; TensorFlow's run over pages."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _remove(path: pathlib.Path) -> None:
    """Deletes a folder if it is there."""
    if path.exists():
        tf.io.gfile.rmtree(os.fspath(path))
