import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies
from sklearn import metrics

from ben_tf.retrieval import chi_square
from ben_tf.retrieval import distances
from ben_tf.retrieval import exact_search


def oracle(name, queries, embeddings):
    """All distances in float64, by scikit-learn."""
    queries, embeddings = np.float64(queries), np.float64(embeddings)
    if name == distances.CHI_SQUARE:
        return -metrics.pairwise.additive_chi2_kernel(queries, embeddings)
    return metrics.pairwise_distances(queries, embeddings, metric=name)


def features(shape, seed=0):
    """Like features behind a ReLU: about half of them zero."""
    values = np.random.default_rng(seed).standard_normal(shape, np.float32)
    return np.maximum(values, 0)


@pytest.mark.parametrize("name", distances.DISTANCES)
def test_finds_nothing_among_nothing(name):
    found, rows = exact_search.nearest(
        name, features((3, 8)), np.empty((0, 8), np.float32), k=5
    )
    assert found.shape == rows.shape == (3, 0)


@pytest.mark.parametrize("name", distances.DISTANCES)
@pytest.mark.parametrize("num_rows", [1, 70, 1500])
def test_finds_the_nearest(name, num_rows, monkeypatch):
    # Small blocks, so that several, and an incomplete last one, are merged.
    monkeypatch.setattr(exact_search, "_CHI_SQUARE_TILES", 2)
    monkeypatch.setattr(chi_square, "_TILE_BYTES", 256 * 24 * 4)
    monkeypatch.setattr(exact_search, "_COPY_BYTES", 512 * 24 * 4)
    queries, embeddings = features((67, 24)), features((num_rows, 24), seed=1)
    found, rows = exact_search.nearest(name, queries, embeddings, k=40)
    expected = oracle(name, queries, embeddings)
    order = np.argsort(expected, axis=1)[:, :40]
    np.testing.assert_allclose(
        found,
        np.take_along_axis(expected, order, axis=1),
        rtol=1e-4,
        atol=1e-5,
    )
    # Every row is named once, with its own distance.
    np.testing.assert_allclose(
        found,
        np.take_along_axis(expected, rows, axis=1),
        rtol=1e-4,
        atol=1e-5,
    )
    assert all(len(set(line)) == len(line) for line in rows)


@pytest.mark.parametrize("name", distances.DISTANCES)
@pytest.mark.parametrize("num_queries", [0, 1, 2, 3, 67])
@pytest.mark.parametrize("num_chosen", [1, 30, 900])
def test_finds_the_nearest_of_some_rows(name, num_queries, num_chosen):
    queries = features((num_queries, 24))
    embeddings = features((1000, 24), seed=1)
    rng = np.random.default_rng(2)
    chosen = np.sort(rng.choice(1000, num_chosen, replace=False))
    found, rows = exact_search.nearest_of_rows(
        name, queries, embeddings, chosen, k=40
    )
    k = min(40, num_chosen)
    assert found.shape == rows.shape == (num_queries, k)
    assert np.isin(rows, chosen).all()
    assert all(len(set(line)) == len(line) for line in rows)
    if num_queries:
        expected = np.sort(oracle(name, queries, embeddings[chosen]))[:, :k]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_threshold_of_faiss_stays_as_it_is():
    before = faiss.cvar.distance_compute_blas_threshold
    for num_queries in (1, 30):
        exact_search.nearest(
            distances.EUCLIDEAN,
            features((num_queries, 8)),
            features((100, 8)),
            k=2,
        )
        assert faiss.cvar.distance_compute_blas_threshold == before


@pytest.mark.parametrize("name", distances.DISTANCES)
def test_equal_distances_come_in_row_order(name):
    # 300 rows, only 3 different ones: far more ties than spare candidates.
    embeddings = np.repeat(np.eye(3, 8, dtype=np.float32), 100, axis=0)
    embeddings = embeddings[np.random.default_rng(0).permutation(300)]
    query = np.eye(1, 8, dtype=np.float32)
    _, rows = exact_search.nearest(name, query, embeddings, k=150)
    expected = np.argsort(oracle(name, query, embeddings)[0], kind="stable")
    np.testing.assert_array_equal(rows[0], expected[:150])


@pytest.mark.parametrize("name", distances.DISTANCES)
def test_answer_does_not_depend_on_the_batch(name):
    queries, embeddings = features((40, 64)), features((500, 64), seed=1)
    found, rows = exact_search.nearest(name, queries, embeddings, k=10)
    for number in (0, 39):
        alone = exact_search.nearest(
            name, queries[number : number + 1], embeddings, k=10
        )
        np.testing.assert_array_equal(alone[0][0], found[number])
        np.testing.assert_array_equal(alone[1][0], rows[number])


@settings(max_examples=25, deadline=None)
@given(strategies.integers(0, 2**32 - 1))
def test_whole_numbers_give_exact_order(seed):
    # Few distinct values, so most distances have company.
    generator = np.random.default_rng(seed)
    queries = generator.integers(0, 3, (3, 4)).astype(np.float32)
    embeddings = generator.integers(0, 3, (60, 4)).astype(np.float32)
    for name in distances.DISTANCES:
        _, rows = exact_search.nearest(name, queries, embeddings, k=20)
        full = distances.distance(name, queries[:, None], embeddings)
        expected = np.argsort(full, axis=1, kind="stable")[:, :20]
        np.testing.assert_array_equal(rows, expected)


def test_chi_square_of_zeros_is_zero():
    zeros = np.zeros((1, 4), np.float32)
    found, _ = exact_search.nearest("chi_square", zeros, zeros, k=1)
    assert found == 0
