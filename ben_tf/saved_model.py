"""The exported model: raw bands in, probabilities or an embedding out.

A SavedModel holds preprocessing, network and a description of itself, so that
whoever serves it needs TensorFlow alone and cannot forget a step. Endpoints:

- `serve(inputs)`: (B, classes) float32 probabilities,
- `embed(inputs)`: (B, D) float32 features for retrieval,
- `embed_s1(inputs)`, `embed_s2(inputs)`: features from one sensor alone, if the
  model maps both sensors into one space,
- `describe()`: a JSON text with class names, inputs and fingerprint,

where `inputs` is a dict of raw native grids. Servers call signatures, whose
outputs have names: "serving_default" is the first and returns `probabilities`;
"embed", "embed_s1" and "embed_s2" return `embedding`; "class_names" returns the
names of the classes in the order of the probabilities. Exports of earlier
versions lack that one and call every output `output_0`.
"""

import functools
import hashlib
import logging
import os
import pathlib
import queue
import threading
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping

import msgspec
import numpy as np
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf import finite
from ben_tf import saved_model_check
from ben_tf.cards import description as description_lib
from ben_tf.cards import model_card
from ben_tf.data import layer_names
from ben_tf.data import preprocessing as preprocessing_lib

# What signatures call their outputs.
PROBABILITIES = "probabilities"
EMBEDDING = "embedding"
CLASS_NAMES = "class_names"

Description = description_lib.Description

# For one batch; ResNet152 takes 8 s for 256 pairs on two cores.
ANSWER_WITHIN_S = 600.0


class ServedModel(Description, frozen=True, kw_only=True):
    """A loaded SavedModel and what it says of itself.

    Attributes:
      loaded: TensorFlow's object; use `serve` and `embed` instead.
    """

    loaded: tf.Module

    @property
    def description(self) -> Description:
        """What it says of itself, without the model."""
        return Description(
            **{
                name: getattr(self, name)
                for name in Description.__struct_fields__
            }
        )

    @property
    def num_parameters(self) -> int:
        """How many numbers the weights are."""
        return _num_parameters(self.loaded.variables_of_model)

    def serve(self, inputs: Mapping[str, tf.Tensor | np.ndarray]) -> tf.Tensor:
        """Raw grids (B, size, size, bands) -> (B, classes) probabilities.

        Raises:
          errors.NoAnswerError: None came in `ANSWER_WITHIN_S`.
        """
        return _answer(
            self.loaded.serve, self._select(inputs, self.input_names)
        )

    def embed(
        self,
        inputs: Mapping[str, tf.Tensor | np.ndarray],
        *,
        modality: str | None = None,
    ) -> tf.Tensor:
        """Raw grids (B, size, size, bands) -> (B, embedding_size) features.

        Args:
          inputs: Raw grids by name.
          modality: One of `embeddings`; by default all that the model takes.

        Raises:
          errors.NoAnswerError: None came in `ANSWER_WITHIN_S`.
        """
        modality = modality or self.modality
        names = self.inputs_of(modality)
        endpoint = _embed_endpoint(modality, self.modality)
        return _answer(
            getattr(self.loaded, endpoint), self._select(inputs, names)
        )

    def inputs_of(self, modality: str) -> tuple[str, ...]:
        """Raw grids that `embed` needs for a modality.

        Raises:
          ValueError: The model has no embedding of that modality.
        """
        if modality not in self.embeddings:
            raise ValueError(
                f"The model has no embedding of {modality}. Expected one of "
                f"{self.embeddings}; a model trained with `fusion=shared` "
                "embeds each sensor alone."
            )
        sensors = bigearthnet.MODALITIES[modality]
        return tuple(
            name
            for name in self.input_names
            if bigearthnet.GRIDS[name].sensor in sensors
        )

    def _select(
        self,
        inputs: Mapping[str, tf.Tensor | np.ndarray],
        names: tuple[str, ...],
    ) -> dict[str, tf.Tensor]:
        missing = [name for name in names if name not in inputs]
        if missing:
            raise ValueError(
                f"Expected the raw grids {names}. Missing: {missing}"
            )
        return {
            name: tf.convert_to_tensor(
                inputs[name], bigearthnet.GRIDS[name].dtype
            )
            for name in names
        }


def _answer(
    endpoint: Callable[[dict[str, tf.Tensor]], tf.Tensor],
    inputs: dict[str, tf.Tensor],
) -> tf.Tensor:
    """What an endpoint returns, if it does so in time.

    What a stranger's model may do is known before it runs, but not how long it
    takes. TensorFlow cannot stop an operation that it has begun, so that the
    call is left behind in its thread.
    """
    if not tf.executing_eagerly():
        # Part of a larger graph: nothing is computed yet.
        return endpoint(inputs)
    answers: queue.SimpleQueue[tf.Tensor | BaseException] = queue.SimpleQueue()

    def compute() -> None:
        try:
            answers.put(endpoint(inputs))
        except BaseException as error:
            answers.put(error)

    threading.Thread(target=compute, daemon=True).start()
    try:
        answer = answers.get(timeout=ANSWER_WITHIN_S)
    except queue.Empty:
        raise errors.NoAnswerError(
            f"The model has not answered within {ANSWER_WITHIN_S:g} s, which "
            "is longer than any network of this package needs. Pass a "
            "smaller `batch_size` if the machine is slow; otherwise do not "
            "use this model."
        ) from None
    if isinstance(answer, BaseException):
        raise answer
    return answer


def save(
    model: tf.keras.Model,
    path: str | os.PathLike,
    *,
    preprocessing: preprocessing_lib.Preprocessing,
    name: str,
    trained_on_synthetic: bool,
    trained_on: tuple[str, ...] = (),
    epoch: int = 0,
) -> pathlib.Path:
    """Writes a trained model, its preprocessing and its card to a new folder.

    The card is written with the model, so that it is never that of another one.
    It shows no scores: evaluation adds them.

    Args:
      model: Takes what `preprocessing` returns, and has layers with the names
        of `layer_names`.
      path: Folder to create; one that exists is replaced at the end.
      preprocessing: What stood in front of the model in training.
      name: Name of the architecture, for the description.
      trained_on_synthetic: Whether the training data were synthetic.
      trained_on: Names of the datasets of the training.
      epoch: Epoch of the weights.

    Returns:
      The path.

    Raises:
      finite.NotFinite: A weight is NaN or infinite.
    """
    path = pathlib.Path(path)
    finite.check(model.variables, f"The weights for {path}")
    modality = preprocessing.modality
    layers = {modality: layer_names.EMBEDDING} | {
        sensor: layer_names.embedding_of(sensor)
        for sensor in ("S1", "S2")
        if layer_names.embedding_of(sensor) in {x.name for x in model.layers}
    }
    embedding = model.get_layer(layer_names.EMBEDDING).output
    description = Description(
        format=2,
        class_names=bigearthnet.CLASSES[model.output_shape[-1]],
        modality=modality,
        input_names=preprocessing.raw_grids,
        embedding_size=embedding.shape[-1],
        embeddings=tuple(layers),
        fingerprint=fingerprint(model),
        model=name,
        trained_on_synthetic=trained_on_synthetic,
        statistics=preprocessing.statistics,
        trained_on=trained_on,
        epoch=epoch,
    )
    text = msgspec.json.encode(description).decode()

    # A plain module, not a Keras object: loading it needs TensorFlow alone.
    module = tf.Module()
    module.variables_of_model = model.variables
    module.serve = _endpoint(model, layer_names.PROBABILITIES, preprocessing)
    signatures = {
        "serving_default": _named(PROBABILITIES, module.serve),
        CLASS_NAMES: _names_of_classes(description.class_names),
    }
    for embedded, layer in layers.items():
        name_of_endpoint = _embed_endpoint(embedded, modality)
        compute = _endpoint(model, layer, preprocessing.of(embedded))
        signatures[name_of_endpoint] = _named(EMBEDDING, compute)
        setattr(module, name_of_endpoint, compute)
    module.describe = tf.function(lambda: tf.constant(text), input_signature=[])
    write(
        module,
        path,
        signatures=signatures,
        card=model_card.render(
            description, num_parameters=_num_parameters(model.variables)
        ),
    )
    return path


def _endpoint(
    model: tf.keras.Model,
    layer: str,
    preprocessing: preprocessing_lib.Preprocessing,
) -> Callable[[dict[str, tf.Tensor]], tf.Tensor]:
    """A function from raw grids to what a layer of the model returns."""
    network = tf.keras.Model(
        {name: model.input[name] for name in preprocessing.input_shapes},
        model.get_layer(layer).output,
    )
    specs = {
        name: tf.TensorSpec(
            (None, *bigearthnet.GRIDS[name].shape),
            bigearthnet.GRIDS[name].dtype,
            name=name,
        )
        for name in preprocessing.raw_grids
    }

    @tf.function(input_signature=[specs])
    def compute(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        ready = preprocessing(inputs)
        return tf.cast(network(ready, training=False), tf.float32)

    return compute


def _named(
    name: str, endpoint: tf.types.experimental.GenericFunction
) -> tf.types.experimental.GenericFunction:
    """The same function with a name for what it returns."""
    return tf.function(
        lambda inputs: {name: endpoint(inputs)},
        input_signature=endpoint.input_signature,
    )


def _names_of_classes(
    names: tuple[str, ...],
) -> tf.types.experimental.GenericFunction:
    """A signature that returns the names of the classes.

    Its argument has no effect: the REST interface of TensorFlow Serving
    refuses a signature without inputs.
    """

    def name_classes(unused: tf.Tensor) -> dict[str, tf.Tensor]:
        del unused
        return {CLASS_NAMES: tf.constant(names)}

    return tf.function(
        name_classes,
        input_signature=[tf.TensorSpec((), tf.float32, name="unused")],
    )


def _num_parameters(variables: Iterable[tf.Variable]) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)


def write(
    module: tf.Module,
    path: pathlib.Path,
    *,
    signatures: dict[str, object],
    card: str,
) -> None:
    """Writes a module as a SavedModel; an older one stays until it is whole.

    Args:
      module: What to save, with its variables and functions.
      path: Folder to write, replaced if it exists.
      signatures: Names, and the `tf.function` that a server calls by each.
      card: What it says of itself to people, Markdown.
    """
    # TensorFlow reports the folder that it wrote, which is gone a line later.
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    with files.replacing_folder(path) as part:
        try:
            tf.saved_model.save(module, os.fspath(part), signatures=signatures)
        finally:
            logger.setLevel(level)
        files.write(part / model_card.FILE_NAME, card)


def read_description(path: str | os.PathLike) -> Description:
    """Reads what a folder says that `save` wrote; loads nothing of it.

    Raises:
      UserError: No SavedModel there, one that is damaged, was not exported by
        this package or has operations that reach outside the model.
    """
    path = pathlib.Path(path)
    return _parse_description(saved_model_check.read_description(path), path)


def load(path: str | os.PathLike) -> ServedModel:
    """Loads a folder that `save` wrote.

    Raises:
      UserError: No SavedModel there, one that is damaged or was not exported
        by this package, one with operations that reach outside the model, or
        with weights that are NaN, infinite or not those of its fingerprint.
    """
    path = pathlib.Path(path)
    description = read_description(path)
    try:
        for file in (path / "variables").glob("*"):
            files.check_regular(file)
        loaded = tf.saved_model.load(os.fspath(path))
    except Exception as error:  # TensorFlow raises many unrelated types here.
        raise errors.UserError(
            f"The SavedModel in {path} is damaged: "
            f"{errors.first_line(error)}. Export it again with python -m "
            "ben_tf.export."
        ) from error
    _check_endpoints(loaded, description, path)
    weights = list(loaded.variables_of_model)
    finite.check(weights, f"The weights in {path}")
    if _fingerprint(weights) != description.fingerprint:
        raise errors.UserError(
            f"The weights in {path} are not those that the model was exported "
            "with: their SHA-256 is another one. Export it again with python "
            "-m ben_tf.export."
        )
    return ServedModel(**msgspec.structs.asdict(description), loaded=loaded)


@functools.lru_cache(maxsize=1)
def load_once(path: str, fingerprint: str) -> ServedModel:
    """As `load`; a process that asks again gets the same one.

    Args:
      path: Folder of the model, which workers of a cluster see as well.
      fingerprint: Of the model that is meant.

    Raises:
      UserError: As of `load`; or another model lies there.
    """
    model = load(path)
    if model.fingerprint != fingerprint:
        raise errors.UserError(
            f"The model in {path} was replaced meanwhile. Run the same command "
            "again."
        )
    return model


def fingerprint(model: tf.keras.Model) -> str:
    """SHA-256 over all weights in order: equal only for equal models."""
    return _fingerprint(model.variables)


def _fingerprint(variables: Iterable[tf.Variable]) -> str:
    digest = hashlib.sha256()
    for variable in variables:
        value = variable.numpy()
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def _parse_description(text: str, path: pathlib.Path) -> Description:
    """Checks what the model says of itself."""
    try:
        description = msgspec.json.decode(text, type=Description)
        if description.class_names not in bigearthnet.CLASSES.values():
            raise ValueError("unknown class names")
        if not set(description.input_names) <= set(bigearthnet.GRIDS):
            raise ValueError("unknown inputs")
        if not (
            {description.modality}
            <= set(description.embeddings)
            <= set(bigearthnet.MODALITIES)
        ):
            raise ValueError("unknown embeddings")
    except ValueError as error:
        raise _of_another_version(path, error) from error
    return description


def _check_endpoints(
    loaded: tf.Module, description: Description, path: pathlib.Path
) -> None:
    """Compares what the model has with what it says that it has."""
    endpoints = ["serve"] + [
        _embed_endpoint(modality, description.modality)
        for modality in description.embeddings
    ]
    for name in (*endpoints, "variables_of_model"):
        if not hasattr(loaded, name):
            raise _of_another_version(path, ValueError(f"it has no {name}"))


def _of_another_version(
    path: pathlib.Path, error: ValueError
) -> errors.UserError:
    return errors.UserError(
        f"The SavedModel in {path} is not one that this version of ben_tf "
        f"exported ({errors.first_line(error)}). Export it again with "
        "python -m ben_tf.export."
    )


def _embed_endpoint(embedded: str, modality: str) -> str:
    """Name of the endpoint that embeds one of a model's modalities."""
    return "embed" if embedded == modality else f"embed_{embedded.lower()}"
