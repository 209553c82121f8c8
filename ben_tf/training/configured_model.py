"""The network that a configuration describes, and the model to compile."""

import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import config as config_lib
from ben_tf import models
from ben_tf.data import layer_names
from ben_tf.data import preprocessing as preprocessing_lib
from ben_tf.models import branches
from ben_tf.training import embedding_loss_model


def preprocessing_of(
    config: config_lib.Config,
) -> preprocessing_lib.Preprocessing:
    """The preprocessing in front of the network of a configuration."""
    return models.preprocessing_of(
        config.model,
        modality=config.modality,
        bands_60m={"auto": None, "on": True, "off": False}[config.bands_60m],
        duplicate_vv=config.duplicate_vv,
        statistics=config.statistics,
    )


def make_model(config: config_lib.Config) -> tf.keras.Model:
    """Builds the network that a configuration describes, with new weights."""
    model = models.make_model(
        config.model,
        fusion=config.fusion,
        num_classes=config.num_classes,
        preprocessing=preprocessing_of(config),
        embedding_size=config.hash_bits or config.embedding_size,
        binary_embedding=config.hash_bits > 0,
    )
    if not config.head_dropout:
        return model
    # Another classifier on the same features.
    probabilities = branches.classify(
        model.get_layer(layer_names.EMBEDDING).input,
        num_classes=config.num_classes,
        dropout=config.head_dropout,
        normalise=config.fusion == "shared",
    )
    return tf.keras.Model(model.input, probabilities, name=model.name)


def freeze_features(model: tf.keras.Model) -> None:
    """Freezes all but what comes after the embedding.

    Frozen batch normalisation uses its stored statistics, in training too.
    """
    for layer in model.layers:
        layer.trainable = layer.name in (
            layer_names.LOGITS,
            layer_names.HEAD_NORM,
        )


def make_fitted(
    model: tf.keras.Model, config: config_lib.Config
) -> tf.keras.Model:
    """The model to compile, on the layers of the network.

    It is the network itself, unless preprocessing runs in front of it or a loss
    on its embeddings is added.
    """
    inputs, ready = model.input, model.input
    if config.preprocessing == "device":
        preprocessing = preprocessing_of(config)
        inputs = {
            name: tf.keras.Input(
                bigearthnet.GRIDS[name].shape,
                dtype=bigearthnet.GRIDS[name].dtype,
                name=name,
            )
            for name in preprocessing.raw_grids
        }
        # float32 whatever the network's precision: raw values reach 20,000,
        # where half precision has steps of 16.
        ready = tf.keras.layers.Lambda(
            preprocessing, dtype="float32", name="preprocessing"
        )(inputs)
    if config.embedding_loss != "none":
        return embedding_loss_model.with_embedding_loss(
            model, inputs, ready, config
        )
    if config.preprocessing == "device":
        return tf.keras.Model(inputs, model(ready))
    return model
