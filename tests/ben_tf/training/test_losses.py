"""Losses on embeddings agree with TensorFlow Addons and with NumPy."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import errors
from ben_tf.training import losses

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


def test_class_weighted_equals_numpy():
    random = np.random.default_rng(1)
    labels = (random.random((6, 3)) < 0.5).astype(np.float32)
    p = random.uniform(0.05, 0.95, (6, 3)).astype(np.float32)
    weights = np.float32([1, 5, 100])
    expected = -(weights * labels * np.log(p) + (1 - labels) * np.log(1 - p))
    loss = losses.classification_loss(
        "class_weighted", positive_weights=weights.tolist()
    )
    np.testing.assert_allclose(
        loss(tf.constant(labels), tf.constant(p)),
        expected.mean(axis=1),
        rtol=1e-4,
    )


def test_focal_equals_numpy():
    labels = np.float32([[1, 0]])
    p = np.float32([[0.9, 0.4]])
    expected = -(0.1**2 * np.log(0.9) + 0.4**2 * np.log(0.6)) / 2
    loss = losses.classification_loss("focal")(labels, p)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_unknown_classification_loss_is_refused():
    with pytest.raises(ValueError, match="'hinge'"):
        losses.classification_loss("hinge")


@needs_addons
def test_single_n_pairs_by_hand():
    """Strangers at right angles; a patch without a label counts as its own."""
    labels = tf.constant(np.float32([[1, 0], [0, 1], [0, 0]]))
    loss = losses.single_embedding_loss(
        "n_pairs", labels, tf.constant(3 * np.eye(3, dtype=np.float32))
    )
    assert float(loss) == pytest.approx(np.log1p(2 * np.exp(-10)), abs=1e-5)


@needs_addons
def test_triplets_compare_whole_sets_of_labels():
    """Two of 43 classes beyond float32's integers; margin 1."""
    labels = np.zeros((4, 43), np.float32)
    labels[:, 42] = 1
    labels[2:, 0] = 1
    near = np.float32([[1, 0], [1, 0], [-1, 0], [-1, 0]])
    mixed = near[[0, 2, 1, 3]]
    apart, together = (
        float(
            losses.single_embedding_loss(
                "triplet", tf.constant(labels), tf.constant(x)
            )
        )
        for x in (near, mixed)
    )
    assert apart == pytest.approx(0, abs=1e-5)
    # Distance 2 to the partner and to the farthest stranger.
    assert together == pytest.approx(1, abs=1e-5)
    # No two patches alike.
    lonely = losses.single_embedding_loss(
        "triplet", tf.eye(2), tf.constant(near[:2])
    )
    assert float(lonely) == 0


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_addons") is not None,
    reason="TensorFlow Addons is there",
)
def test_missing_addons_are_one_sentence(batch):
    labels, embeddings = batch
    with pytest.raises(errors.UserError, match="needs TensorFlow Addons"):
        losses.single_embedding_loss("n_pairs", labels, embeddings[:, 0])


def test_unknown_single_loss_is_refused(batch):
    with pytest.raises(ValueError, match="'contrastive'"):
        losses.single_embedding_loss("contrastive", *batch)
