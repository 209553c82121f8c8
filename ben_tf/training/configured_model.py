"""The network that a configuration describes, and what is compiled of it."""

import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import config as config_lib
from ben_tf import models
from ben_tf.data import preprocessing
from ben_tf.training import embedding_loss_model


def bands_60m(config: config_lib.Config) -> bool | None:
    """Whether the 60 m bands are used; None where the model decides."""
    return {"auto": None, "on": True, "off": False}[config.bands_60m]


def raw_grids(config: config_lib.Config) -> tuple[str, ...]:
    """Names of the raw grids that a configuration's model takes."""
    return preprocessing.raw_grids(
        models.MODELS[config.model].layout,
        modality=config.modality,
        bands_60m=bands_60m(config),
    )


def make_model(config: config_lib.Config) -> tf.keras.Model:
    """Builds the network that a configuration describes, with new weights."""
    return models.make_model(
        config.model,
        modality=config.modality,
        fusion=config.fusion,
        num_classes=config.num_classes,
        bands_60m=bands_60m(config),
        embedding_size=config.hash_bits or config.embedding_size,
        binary_embedding=config.hash_bits > 0,
    )


def freeze_features(model: tf.keras.Model) -> None:
    """Leaves only what comes after the embedding to be trained.

    Frozen batch normalisation uses its stored statistics, in training too.
    """
    for layer in model.layers:
        layer.trainable = layer.name in ("logits", "head_bn")


def make_fitted(
    model: tf.keras.Model, config: config_lib.Config
) -> tf.keras.Model:
    """The model to compile, on the layers of the network.

    It is the network itself, unless preprocessing runs in front of it or a loss
    on its embeddings is added.
    """
    inputs, ready = model.input, model.input
    if config.preprocessing == "device":
        inputs = {
            name: tf.keras.Input(
                bigearthnet.GRIDS[name].shape,
                dtype=bigearthnet.GRIDS[name].dtype,
                name=name,
            )
            for name in raw_grids(config)
        }
        # float32 whatever the network's precision: raw values reach 20,000,
        # where half precision has steps of 16.
        ready = tf.keras.layers.Lambda(
            preprocessing.to_model_inputs,
            arguments={
                "layout": models.MODELS[config.model].layout,
                "duplicate_vv": config.duplicate_vv,
            },
            dtype="float32",
            name="preprocessing",
        )(inputs)
    if config.embedding_loss != "none":
        return embedding_loss_model.with_embedding_loss(
            model,
            inputs,
            ready,
            loss=config.embedding_loss,
            weight=config.embedding_loss_weight,
            binary=config.hash_bits > 0,
        )
    if config.preprocessing == "device":
        return tf.keras.Model(inputs, model(ready))
    return model
