"""Losses on embeddings agree with TensorFlow Addons and with NumPy."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import losses

needs_addons = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_addons") is None,
    reason="TensorFlow Addons exists for Python 3.11 only",
)


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    labels = (random.random((12, 5)) < 0.4).astype(np.float32)
    labels[:, 0] = 1  # Addons divides by the number of labels.
    embeddings = random.normal(size=(12, 2, 6)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=-1, keepdims=True)
    return labels, embeddings


@needs_addons
def test_n_pairs_equal_tensorflow_addons(batch):
    import tensorflow_addons

    labels, embeddings = batch
    similarity = embeddings[:, 0] @ embeddings[:, 1].T
    expected = 0.5 * sum(
        float(tensorflow_addons.losses.npairs_multilabel_loss(labels, matrix))
        for matrix in (similarity, similarity.T)
    )
    ours = losses.cross_modal_n_pairs(labels, embeddings, temperature=1.0)
    assert float(ours) == pytest.approx(expected, rel=1e-5)


def test_n_pairs_by_hand():
    """Two strangers, each equal in both sensors: -log(e / (e + 1))."""
    labels = np.eye(2, dtype=np.float32)
    embeddings = np.repeat(np.eye(2, dtype=np.float32)[:, None], 2, axis=1)
    loss = losses.cross_modal_n_pairs(labels, embeddings, temperature=1.0)
    assert float(loss) == pytest.approx(np.log1p(np.exp(-1)))


def test_contrastive_equals_numpy(batch):
    labels, embeddings = batch
    labels[:, 0] = np.arange(12) % 2
    attract, repel = [], []
    for i in range(12):
        for j in range(12):
            distance = 1 - embeddings[i, 0] @ embeddings[j, 1]
            shared = (labels[i] * labels[j]).sum()
            if shared:
                union = np.maximum(labels[i], labels[j]).sum()
                attract.append(shared / union * distance**2)
            else:
                repel.append(max(0, 0.5 - distance) ** 2)
    assert attract
    assert repel
    expected = np.mean(attract) + np.mean(repel)
    ours = losses.cross_modal_contrastive(labels, embeddings, margin=0.5)
    assert float(ours) == pytest.approx(expected, rel=1e-5)


def test_hashing_is_zero_for_balanced_codes_only():
    codes = np.float32([[[1, -1]], [[-1, 1]]])
    assert float(losses.hashing(codes)) == 0
    # Quantisation 1 at 0, balance 0; balance 1 for constant bits.
    assert float(losses.hashing(0 * codes)) == 1
    assert float(losses.hashing(np.ones_like(codes))) == 1


@pytest.mark.parametrize("name", losses.EMBEDDING_LOSSES)
def test_gradients_are_finite_without_labels_or_signal(name):
    """Empty label sets, equal and zero embeddings must not give NaN."""
    labels = tf.constant(np.float32([[0, 0], [0, 0], [1, 0]]))
    embeddings = tf.Variable(np.zeros((3, 2, 4), np.float32))
    with tf.GradientTape() as tape:
        loss = losses.embedding_loss(name, labels, embeddings, binary=True)
    assert np.isfinite(loss)
    assert np.all(np.isfinite(tape.gradient(loss, embeddings)))


def test_unknown_loss_is_refused(batch):
    with pytest.raises(ValueError, match="'triplet'"):
        losses.embedding_loss("triplet", *batch, binary=False)
