"""Losses on embeddings, for retrieval across sensors.

All take the embeddings of a batch of pairs, one by each sensor, and know that
patches share labels in degrees: two patches are alike to the extent that their
label sets overlap.
"""

import tensorflow as tf

EMBEDDING_LOSSES = ("n_pairs", "contrastive")

# Keeps values away from 0, where their signs would lose most.
_HASHING_WEIGHT = 4.0


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
      margin: Distance from which on strangers are left alone.

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
    """Makes signs of embeddings good binary codes.

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
    """The loss that `--embedding_loss` names, with the hashing terms if asked.

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
        raise ValueError(
            f"Unknown loss. Expected one of {EMBEDDING_LOSSES}. "
            f"Received: {name!r}"
        )
    return loss + _HASHING_WEIGHT * hashing(embeddings) if binary else loss
