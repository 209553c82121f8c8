"""Adds a loss on the embeddings of both sensors to a model with a shared space.

The trained network keeps its one output. What is compiled is a second model on
the same layers, which also gives the embeddings and adds their loss.
"""

import tensorflow as tf

from ben_tf import losses


class ModelWithEmbeddingLoss(tf.keras.Model):
    """Trains probabilities (B, C) and embeddings (B, 2, D) of a network.

    Metrics see the probabilities alone, as for every other model. `fit` reports
    the classifier's loss as "loss" and the other as "embedding_loss". Not a
    functional model: Keras would rename the metrics of one with two outputs.
    """

    def __init__(
        self, network: tf.keras.Model, *, loss: str, weight: float, binary: bool
    ):
        super().__init__()
        self._network = network
        self._embedding_loss = loss
        self._weight = weight
        self._binary = binary
        self._tracker = tf.keras.metrics.Mean(name="embedding_loss")

    def call(self, inputs, training=None):
        """Returns [probabilities, embeddings]."""
        return self._network(inputs, training=training)

    @property
    def metrics(self):
        """All metrics; `fit` resets them with every epoch."""
        return [*super().metrics, self._tracker]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        """Classification loss + weight x embedding loss."""
        probabilities, embeddings = y_pred
        extra = losses.embedding_loss(
            self._embedding_loss, y, embeddings, binary=self._binary
        )
        self._tracker.update_state(extra)
        loss = super().compute_loss(x, y, probabilities, sample_weight)
        return loss + self._weight * extra

    def compute_metrics(self, x, y, y_pred, sample_weight):
        """Scores the probabilities."""
        logs = super().compute_metrics(x, y, y_pred[0], sample_weight)
        return {**logs, self._tracker.name: self._tracker.result()}


def with_embedding_loss(
    model: tf.keras.Model,
    inputs: dict[str, tf.Tensor],
    ready: dict[str, tf.Tensor],
    *,
    loss: str,
    weight: float,
    binary: bool,
) -> ModelWithEmbeddingLoss:
    """Makes the model to compile, on the layers of a network.

    Args:
      model: From `models.make_model` with fusion "shared".
      inputs: Keras inputs of the new model.
      ready: What the network takes, made of them.
      loss: One of `losses.EMBEDDING_LOSSES`.
      weight: Weight of that loss beside the classifier's.
      binary: Whether signs of the embeddings are a code.
    """
    network = tf.keras.Model(
        model.input,
        [
            model.output,
            model.get_layer("s1_embedding").output,
            model.get_layer("s2_embedding").output,
        ],
    )
    probabilities, *by_sensor = network(ready)
    embeddings = tf.keras.layers.Lambda(
        lambda tensors: tf.stack(tensors, axis=1),
        dtype="float32",
        name="embeddings",
    )(by_sensor)
    return ModelWithEmbeddingLoss(
        tf.keras.Model(inputs, [probabilities, embeddings]),
        loss=loss,
        weight=weight,
        binary=binary,
    )
