"""Exact search: every embedding is looked at, block by block.

Chi-square runs as an XLA-compiled TensorFlow function, Euclidean and cosine
in FAISS. Both give candidates only; `distances.rank` orders them, and where
the last candidate does not clearly lie beyond the k-th, more are fetched. So
rounding and equal distances cannot change an answer.
"""

import atexit
import functools
from collections.abc import Callable

import numpy as np

from ben_tf.retrieval import distances

# More candidates than asked for: rounding may reorder the last few.
_SPARE_CANDIDATES = 32
# A chi-square block of embeddings stays in the processor's cache.
_CHI_SQUARE_BLOCK_BYTES = 8 << 20
_CHI_SQUARE_QUERIES = 64
# Cosine needs a copy of unit length: of a block, not of the whole archive.
_COSINE_BLOCK_BYTES = 256 << 20

Candidates = tuple[np.ndarray, np.ndarray]


def nearest(
    name: str, queries: np.ndarray, embeddings: np.ndarray, *, k: int
) -> Candidates:
    """Finds the k nearest rows of each query.

    Memory beyond the arguments is bounded by blocks of a fixed size.

    Args:
      name: One of `distances.DISTANCES`.
      queries: (Q, D) float32.
      embeddings: (N, D) float32, C order; may be memory-mapped. For chi-square
        neither array holds negative values; the caller has checked that with
        `distances.check_non_negative`.
      k: Number of rows wanted.

    Returns:
      (distances, rows), (Q, min(k, N)) float32 and int64: ascending distance,
      equal distances by ascending row.
    """
    scan: Callable[..., Candidates] = {
        distances.CHI_SQUARE: _scan_chi_square,
        distances.EUCLIDEAN: _scan_euclidean,
        distances.COSINE: _scan_cosine,
    }[name]
    num_rows = len(embeddings)
    k = min(k, num_rows)
    best = np.empty((len(queries), k), np.float32)
    best_rows = np.empty((len(queries), k), np.int64)
    open_queries = np.arange(len(queries))
    wanted = min(num_rows, k + _SPARE_CANDIDATES)
    while len(open_queries):
        part = queries[open_queries]
        rough, candidates = scan(part, embeddings, wanted)
        exact, rows = distances.rank(
            name, part, embeddings, candidates, k=wanted
        )
        best[open_queries] = exact[:, :k]
        best_rows[open_queries] = rows[:, :k]
        if wanted == num_rows:
            break
        # How far rounding moved the candidates bounds how far it moved the
        # rows that were left out.
        rounding = np.abs(np.sort(rough) - exact).max(axis=1)
        unclear = exact[:, k - 1] + 2 * rounding >= rough.max(axis=1)
        open_queries = open_queries[unclear]
        wanted = min(num_rows, 4 * wanted)
    return best, best_rows


def _scan_euclidean(queries, embeddings, wanted) -> Candidates:
    import faiss

    squared, rows = faiss.knn(queries, embeddings, wanted)
    return np.sqrt(np.maximum(squared, 0)), rows


def _scan_cosine(queries, embeddings, wanted) -> Candidates:
    import faiss

    queries = distances.unit_length(queries)
    rows_at_once = max(1, _COSINE_BLOCK_BYTES // (4 * embeddings.shape[1]))

    def scan_block(start: int) -> Candidates:
        block = distances.unit_length(embeddings[start : start + rows_at_once])
        product, rows = faiss.knn(
            queries,
            block,
            min(wanted, len(block)),
            metric=faiss.METRIC_INNER_PRODUCT,
        )
        return 1 - product, rows + start

    blocks = range(0, len(embeddings), rows_at_once)
    return _merge((scan_block(start) for start in blocks), wanted)


def _scan_chi_square(queries, embeddings, wanted) -> Candidates:
    num_rows, size = embeddings.shape
    rows_at_once = max(64, _CHI_SQUARE_BLOCK_BYTES // (4 * size))
    rows_at_once = min(rows_at_once, num_rows)
    parts = []
    for top in range(0, len(queries), _CHI_SQUARE_QUERIES):
        part = queries[top : top + _CHI_SQUARE_QUERIES]
        # A power of two, so that few shapes are ever compiled.
        padding = (1 << (len(part) - 1).bit_length()) - len(part)
        padded = np.pad(part, ((0, padding), (0, 0)))
        blocks = (
            _scan_chi_square_block(
                padded, embeddings, wanted, start=start, rows=rows_at_once
            )
            for start in range(0, num_rows, rows_at_once)
        )
        found, rows = _merge(blocks, wanted)
        parts.append((found[: len(part)], rows[: len(part)]))
    return (
        np.concatenate([found for found, _ in parts]),
        np.concatenate([rows for _, rows in parts]),
    )


def _scan_chi_square_block(
    queries, embeddings, wanted, *, start, rows
) -> Candidates:
    import tensorflow as tf

    # The last block is moved back to have the common shape; rows that an
    # earlier block has seen are hidden.
    moved = min(start, len(embeddings) - rows)
    values, found = _chi_square_function()(
        tf.convert_to_tensor(queries),
        tf.convert_to_tensor(embeddings[moved : moved + rows]),
        tf.constant(start - moved),
        tf.constant(min(wanted, rows)),
    )
    values, found = values.numpy(), found.numpy()
    return values, np.where(np.isinf(values), -1, found + moved)


def _merge(blocks, wanted: int) -> Candidates:
    """Keeps the best candidates of all blocks."""
    best = None
    for found, rows in blocks:
        if best is not None:
            found = np.concatenate([best[0], found], axis=1)
            rows = np.concatenate([best[1], rows], axis=1)
        best = distances.order(found, rows, k=wanted)
    return best


@functools.cache
def _chi_square_function():
    """The compiled search of one block, made when first needed."""
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def pairwise(queries, block):
        a, b = queries[:, None, :], block[None, :, :]
        quotient = tf.math.divide_no_nan(tf.square(a - b), a + b)
        return tf.reduce_sum(quotient, axis=-1)

    # Top-k stays outside: XLA would sort whole rows.
    @tf.function
    def search(queries, block, num_hidden, k):
        found = pairwise(queries, block)
        hidden = tf.range(tf.shape(found)[1]) < num_hidden
        found = tf.where(hidden, float("inf"), found)
        values, rows = tf.math.top_k(-found, k)
        return -values, rows

    # Compiled functions must go before the interpreter does.
    atexit.register(_chi_square_function.cache_clear)
    return search
