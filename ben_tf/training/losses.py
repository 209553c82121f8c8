"""Losses on probabilities, and on the embeddings of each or of both sensors.

Those across sensors take the embeddings of a batch of pairs, one by each
sensor, and know that patches share labels in degrees: two patches are alike to
the extent that their label sets overlap.
"""

from collections.abc import Callable
from collections.abc import Sequence

import tensorflow as tf

from ben_tf import errors
from ben_tf.training import addons
from ben_tf.training import keras_internals

# Across the two sensors of a shared space; on the one embedding of others.
EMBEDDING_LOSSES = ("n_pairs", "contrastive")
SINGLE_EMBEDDING_LOSSES = ("n_pairs", "triplet")

# Keeps values away from 0, where their signs would lose most.
_HASHING_WEIGHT = 4.0


def classification_loss(
    name: str, *, positive_weights: Sequence[float] | None = None
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The loss on probabilities that `loss` names.

    Args:
      name: "sigmoid_cross_entropy" (paper); "focal", Lin et al., "Focal Loss
        for Dense Object Detection", ICCV 2017, eq. 4 with gamma 2; or
        "class_weighted".
      positive_weights: (classes,) factors of the positives for the last:
        mean over patches and classes of
        -(w_c y log p + (1 - y) log(1 - p)).

    Returns:
      A Keras loss of multi-hot labels and probabilities, (B, classes) each.

    Raises:
      ValueError: Unknown name.
    """
    if name not in CLASSIFICATION_LOSSES:
        raise errors.unknown("loss", name, CLASSIFICATION_LOSSES)
    return CLASSIFICATION_LOSSES[name](positive_weights)


def _class_weighted(
    positive_weights: Sequence[float] | None,
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    def class_weighted(
        labels: tf.Tensor, probabilities: tf.Tensor
    ) -> tf.Tensor:
        terms = keras_internals.cross_entropy(labels, probabilities)
        weights = tf.where(labels > 0, tf.constant(positive_weights), 1.0)
        return tf.reduce_mean(weights * terms, axis=-1)

    return class_weighted


CLASSIFICATION_LOSSES = {
    "sigmoid_cross_entropy": lambda _: tf.keras.losses.BinaryCrossentropy(),
    "focal": lambda _: tf.keras.losses.BinaryFocalCrossentropy(gamma=2.0),
    "class_weighted": _class_weighted,
}


def single_embedding_loss(
    name: str, labels: tf.Tensor, embeddings: tf.Tensor
) -> tf.Tensor:
    """The loss on one embedding per patch, from TensorFlow Addons.

    "n_pairs" (Sohn, NeurIPS 2016, for several labels): each patch is to pick
    those that share its labels, by the inner product of unit vectors / 0.1.
    "triplet" (Schroff et al., CVPR 2015, semi-hard negatives, margin 1): a
    patch is to be nearer to those with the same set of labels than to others.

    Args:
      name: One of `SINGLE_EMBEDDING_LOSSES`.
      labels: (B, classes) float32 multi-hot.
      embeddings: (B, D).

    Returns:
      A scalar.

    Raises:
      UserError: No TensorFlow Addons for this Python.
      ValueError: Unknown name.
    """
    if name not in SINGLE_EMBEDDING_LOSSES:
        raise errors.unknown("loss", name, SINGLE_EMBEDDING_LOSSES)
    tensorflow_addons = addons.load(
        f"embedding_loss={name}", instead="`fusion=shared`, whose losses do not"
    )
    unit = tf.math.l2_normalize(tf.cast(embeddings, tf.float32), axis=-1)
    if name == "n_pairs":
        # Addons divides by the number of labels: "no label" is one, too.
        none = 1.0 - tf.reduce_max(labels, axis=1, keepdims=True)
        return tensorflow_addons.losses.npairs_multilabel_loss(
            tf.concat([labels, none], axis=1),
            tf.matmul(unit, unit, transpose_b=True) / 0.1,
        )
    # One number for each set of labels: its bits.
    bits = tf.constant([2**i for i in range(labels.shape[1])], tf.int64)
    label_set = tf.reduce_sum(tf.cast(labels, tf.int64) * bits, axis=1)
    num_equal = tf.math.count_nonzero(label_set[:, tf.newaxis] == label_set)
    # Addons divides by the number of pairs, of which small batches may have
    # none.
    return tf.cond(
        num_equal > tf.size(label_set, tf.int64),
        lambda: tensorflow_addons.losses.triplet_semihard_loss(label_set, unit),
        lambda: 0.0 * tf.reduce_sum(unit),
    )


def cross_modal_n_pairs(
    labels: tf.Tensor, embeddings: tf.Tensor, *, temperature: float = 0.1
) -> tf.Tensor:
    """N-pairs loss for multi-label data between two sensors.

    Each patch, seen by one sensor, is to pick the patches that share its
    labels among all patches of the batch, seen by the other:

      mean over i of -sum_j t_ij log softmax_j(a_i . b_j / temperature),
      t_ij = |y_i and y_j| / sum_k |y_i and y_k|,

    averaged over both directions. Sohn, "Improved Deep Metric Learning with
    Multi-class N-pair Loss Objective", NeurIPS 2016, with the soft targets of
    TensorFlow Addons' `npairs_multilabel_loss`.

    Args:
      labels: (B, classes) float32 multi-hot.
      embeddings: (B, 2, D) float32 of length 1, by sensor.
      temperature: Smaller values separate more sharply.

    Returns:
      A scalar.
    """
    first, second = tf.unstack(tf.cast(embeddings, tf.float32), axis=1)
    shared = tf.matmul(labels, labels, transpose_b=True)
    targets = tf.math.divide_no_nan(
        shared, tf.reduce_sum(shared, axis=1, keepdims=True)
    )
    logits = tf.matmul(first, second, transpose_b=True) / temperature
    return 0.5 * sum(
        tf.reduce_mean(
            tf.nn.softmax_cross_entropy_with_logits(targets, direction)
        )
        for direction in (logits, tf.transpose(logits))
    )


def cross_modal_contrastive(
    labels: tf.Tensor, embeddings: tf.Tensor, *, margin: float = 0.5
) -> tf.Tensor:
    """Contrastive loss for multi-label data between two sensors.

    With the cosine distance d and w the Jaccard index of two label sets:

      mean of w d^2 over pairs that share a label
      + mean of max(0, margin - d)^2 over pairs that share none.

    Hadsell et al., "Dimensionality Reduction by Learning an Invariant
    Mapping", CVPR 2006.

    Args:
      labels: (B, classes) float32 multi-hot.
      embeddings: (B, 2, D) float32, by sensor.
      margin: Distance up to which pairs without a common label are pushed
        apart.

    Returns:
      A scalar.
    """
    unit = tf.math.l2_normalize(tf.cast(embeddings, tf.float32), axis=-1)
    first, second = tf.unstack(unit, axis=1)
    distance = 1.0 - tf.matmul(first, second, transpose_b=True)
    shared = tf.matmul(labels, labels, transpose_b=True)
    count = tf.reduce_sum(labels, axis=1)
    union = count[:, tf.newaxis] + count[tf.newaxis, :] - shared
    jaccard = tf.math.divide_no_nan(shared, union)
    alike = tf.cast(shared > 0, tf.float32)
    attract = jaccard * distance**2
    repel = (1.0 - alike) * tf.maximum(0.0, margin - distance) ** 2
    return tf.math.divide_no_nan(
        tf.reduce_sum(attract), tf.reduce_sum(alike)
    ) + tf.math.divide_no_nan(tf.reduce_sum(repel), tf.reduce_sum(1.0 - alike))


def hashing(embeddings: tf.Tensor) -> tf.Tensor:
    """Penalises embeddings whose signs make poor binary codes.

    Quantisation, the mean of (|h| - 1)^2, keeps values away from 0, so that
    signs lose little; balance, the mean over bits of (mean of h)^2, lets each
    bit split the patches in halves. As in Roy et al., "Metric-Learning-Based
    Deep Hashing Network for Content-Based Retrieval of Remote Sensing Images",
    IEEE GRSL 2021.

    Args:
      embeddings: (B, sensors, bits) float32 in (-1, 1).

    Returns:
      A scalar.
    """
    embeddings = tf.cast(embeddings, tf.float32)
    quantisation = tf.reduce_mean((tf.abs(embeddings) - 1.0) ** 2)
    balance = tf.reduce_mean(tf.reduce_mean(embeddings, axis=0) ** 2)
    return quantisation + balance


def embedding_loss(
    name: str, labels: tf.Tensor, embeddings: tf.Tensor, *, binary: bool
) -> tf.Tensor:
    """The loss on the embeddings of both sensors, with hashing terms for codes.

    Args:
      name: One of `EMBEDDING_LOSSES`.
      labels: (B, classes) float32 multi-hot.
      embeddings: (B, 2, D) float32, by sensor.
      binary: Whether signs of the embeddings are the code.

    Returns:
      A scalar.

    Raises:
      ValueError: Unknown name.
    """
    compared = tf.cast(embeddings, tf.float32)
    if binary:
        # Straight-through: the loss sees the codes that retrieval compares, the
        # gradient passes as if there were no sign.
        codes = tf.sign(compared)
        compared = compared + tf.stop_gradient(codes - compared)
    unit = tf.math.l2_normalize(compared, axis=-1)
    if name == "n_pairs":
        loss = cross_modal_n_pairs(labels, unit)
    elif name == "contrastive":
        loss = cross_modal_contrastive(labels, unit)
    else:
        raise errors.unknown("loss", name, EMBEDDING_LOSSES)
    return loss + _HASHING_WEIGHT * hashing(embeddings) if binary else loss
