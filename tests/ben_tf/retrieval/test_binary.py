"""Codes keep the order of angles, whatever the shape of the embeddings."""

import numpy as np
import pytest

from ben_tf.retrieval import binary


@pytest.mark.parametrize(
    ("num_rows", "num_axes", "num_bits"),
    [(1000, 6, 64), (1000, 32, 24), (20, 32, 64)],
    ids=["frame", "iterative_quantisation", "random_planes"],
)
def test_hamming_distance_follows_the_angle(num_rows, num_axes, num_bits):
    random = np.random.default_rng(0)
    rows = random.normal(size=(num_rows, num_axes)) @ random.normal(
        size=(num_axes, 32)
    )
    rows = rows.astype(np.float32) + 5
    projection, mean = binary.train(rows, num_bits=num_bits)
    assert projection.shape == (32, num_bits)
    np.testing.assert_allclose(mean, rows.mean(axis=0), rtol=1e-5)
    codes = np.unpackbits(binary.encode(rows, projection, mean), axis=1)
    first = rows[:10] - mean
    cosines = first @ (rows - mean).T
    cosines /= np.linalg.norm(first, axis=1)[:, None]
    cosines /= np.linalg.norm(rows - mean, axis=1)
    hamming = (codes[:10, None] != codes).sum(axis=2)
    assert np.corrcoef(cosines.ravel(), hamming.ravel())[0, 1] < -0.7


def test_a_frame_keeps_lengths_on_few_axes():
    random = np.random.default_rng(0)
    rows = random.normal(size=(500, 3)) @ random.normal(size=(3, 32))
    rows = rows.astype(np.float32)
    projection, _ = binary.train(rows, num_bits=64)
    # Three axes may hold all of it, two may hold 95 %.
    lengths = np.linalg.svd(projection, compute_uv=False)
    assert np.count_nonzero(lengths > 1e-4) <= 3
    np.testing.assert_allclose(lengths[lengths > 1e-4], 1, rtol=1e-5)


def test_all_patches_alike():
    rows = np.ones((300, 32), np.float32)
    projection, mean = binary.train(rows, num_bits=64)
    assert not binary.encode(rows, projection, mean).any()
