"""Adds a loss on the embeddings to a model.

With a shared space the loss compares the embeddings of both sensors, otherwise
the one embedding of each patch with those of the other patches of the batch (of
a device's part of the batch, under a distribution strategy).

The trained network keeps its one output. What is compiled is a second model on
the same layers, which also gives the embeddings and adds their loss.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

from ben_tf import config as config_lib
from ben_tf.data import layer_names
from ben_tf.training import losses


class ModelWithEmbeddingLoss(tf.keras.Model):
    """Trains probabilities (B, C) and embeddings of a network.

    Embeddings are (B, 2, D) by sensor with a shared space, else (B, D).

    Metrics see the probabilities alone, as for every other model. `fit` reports
    the classifier's loss as "loss" and the other as "embedding_loss". Not a
    functional model: Keras would rename the metrics of one with two outputs.
    """

    def __init__(
        self,
        network: tf.keras.Model,
        *,
        loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        weight: float,
    ):
        """Wraps a network with two outputs.

        Args:
          network: From inputs to [probabilities, embeddings].
          loss: Of labels and embeddings.
          weight: Weight of that loss next to the classifier's.
        """
        super().__init__()
        self._network = network
        self._embedding_loss = loss
        self._weight = weight
        self._tracker = tf.keras.metrics.Mean(name="embedding_loss")

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool | None = None
    ) -> list[tf.Tensor]:
        """Returns [probabilities, embeddings]."""
        return self._network(inputs, training=training)

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """All metrics; `fit` resets them every epoch."""
        return [*super().metrics, self._tracker]

    def compute_loss(
        self,
        x: dict[str, tf.Tensor],
        y: tf.Tensor,
        y_pred: list[tf.Tensor],
        sample_weight: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Classification loss + weight x embedding loss."""
        probabilities, embeddings = y_pred
        extra = self._embedding_loss(y, embeddings)
        self._tracker.update_state(extra)
        loss = super().compute_loss(x, y, probabilities, sample_weight)
        # The replicas' losses are added up, and Keras has scaled its own.
        num_replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return loss + self._weight * extra / num_replicas

    def compute_metrics(
        self,
        x: dict[str, tf.Tensor],
        y: tf.Tensor,
        y_pred: list[tf.Tensor],
        sample_weight: tf.Tensor | None,
    ) -> dict[str, tf.Tensor]:
        """Scores the probabilities."""
        logs = super().compute_metrics(x, y, y_pred[0], sample_weight)
        return {**logs, self._tracker.name: self._tracker.result()}


def with_embedding_loss(
    model: tf.keras.Model,
    inputs: dict[str, tf.Tensor],
    ready: dict[str, tf.Tensor],
    config: config_lib.Config,
) -> ModelWithEmbeddingLoss:
    """Makes the model to compile, on the layers of a network.

    Args:
      model: From `configured_model.make_model(config)`.
      inputs: Keras inputs of the new model.
      ready: What the network takes, made of them.
      config: Names the loss, its weight and what it compares.
    """
    is_shared = config.fusion == "shared"
    compared = (
        [layer_names.embedding_of(sensor) for sensor in ("S1", "S2")]
        if is_shared
        else [layer_names.EMBEDDING]
    )
    network = tf.keras.Model(
        model.input,
        [model.output, *(model.get_layer(name).output for name in compared)],
    )
    probabilities, *embeddings = network(ready)
    joined = tf.keras.layers.Lambda(
        lambda tensors: tf.stack(tensors, axis=1) if is_shared else tensors[0],
        dtype="float32",
        name="embeddings",
    )(embeddings)
    loss = (
        functools.partial(losses.embedding_loss, binary=config.hash_bits > 0)
        if is_shared
        else losses.single_embedding_loss
    )
    return ModelWithEmbeddingLoss(
        tf.keras.Model(inputs, [probabilities, joined]),
        loss=functools.partial(loss, config.embedding_loss),
        weight=config.embedding_loss_weight,
    )
