"""The distances between embeddings: the one home of their formulas.

Smaller is nearer. The fast searches find candidates in other ways, by blocks,
matrix products or compressed vectors; then this module gives the final
distances and their order, so every search of an index answers with the same
numbers. The exported `serving.Retriever` evaluates the same formulas in
TensorFlow: equal up to rounding.
"""

import types

import numpy as np

from ben_tf import errors

CHI_SQUARE = "chi_square"
EUCLIDEAN = "euclidean"
COSINE = "cosine"
HAMMING = "hamming"
DISTANCES = (CHI_SQUARE, EUCLIDEAN, COSINE)

# How many candidates more than asked for a fast search should propose, because
# its rounding may reorder the last few.
SPARE_CANDIDATES = 32

_TINY = np.finfo(np.float32).tiny
# Small enough for the processor's cache.
_ROWS_AT_ONCE_BYTES = 1 << 20


def distance(
    name: str,
    queries: np.ndarray,
    candidates: np.ndarray,
    *,
    xp: types.ModuleType = np,
) -> np.ndarray:
    """Distances along the last axis.

    - "chi_square": sum of (a - b)^2 / (a + b), 0 / 0 counting 0. The distance
      of the paper (section III), without the factor 1/2 that some authors
      add; features must not be negative.
    - "euclidean": square root of the sum of (a - b)^2.
    - "cosine": 1 - a.b / (|a| |b|), between 0 and 2; the distance from or to
      a zero vector is 1.

    Args:
      name: One of `DISTANCES`.
      queries: (..., D) float32.
      candidates: (..., D) float32, broadcast against `queries`.
      xp: What computes: NumPy, or `tf.experimental.numpy` for tensors.

    Returns:
      (...) float32.
    """
    if name == CHI_SQUARE:
        quotient = xp.square(queries - candidates) / xp.maximum(
            queries + candidates, _TINY
        )
        return xp.sum(quotient, axis=-1)
    if name == EUCLIDEAN:
        return xp.sqrt(xp.sum(xp.square(queries - candidates), axis=-1))
    if name == COSINE:
        product = unit_length(queries, xp=xp) * unit_length(candidates, xp=xp)
        return xp.clip(1 - xp.sum(product, axis=-1), 0, 2)
    raise ValueError(
        f"Unknown distance. Expected one of {DISTANCES}. Received: {name!r}"
    )


def unit_length(
    vectors: np.ndarray, *, xp: types.ModuleType = np
) -> np.ndarray:
    """(..., D) -> (..., D) of length 1; zero vectors stay zero."""
    squares = xp.sum(xp.square(vectors), axis=-1, keepdims=True)
    return vectors / xp.maximum(xp.sqrt(squares), _TINY)


def rank(
    name: str,
    queries: np.ndarray,
    embeddings: np.ndarray,
    candidates: np.ndarray,
    *,
    k: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Orders candidates by exact distance, equal distances by row.

    Args:
      name: One of `DISTANCES`.
      queries: (Q, D) float32.
      embeddings: (N, D) float32; may be memory-mapped.
      candidates: (Q, M) integer rows of `embeddings`; -1 marks an empty slot.
      k: How many to keep.

    Returns:
      (distances, rows), (Q, min(k, M)) float32 and int64; empty slots come
      last, with distance infinity and row -1.
    """
    num_queries, num_candidates = candidates.shape
    found = np.full(candidates.shape, np.inf, np.float32)
    row_bytes = embeddings.shape[1] * 4
    # A block of queries and of candidates whose rows fit the buffer.
    width = max(1, min(num_candidates, _ROWS_AT_ONCE_BYTES // row_bytes))
    height = max(1, _ROWS_AT_ONCE_BYTES // (row_bytes * width))
    for top in range(0, num_queries, height):
        lines = slice(top, top + height)
        for left in range(0, num_candidates, width):
            columns = slice(left, left + width)
            found[lines, columns] = distance(
                name,
                queries[lines, None, :],
                embeddings[candidates[lines, columns]],
            )
    return order(found, candidates, k=k)


def order(
    found: np.ndarray, rows: np.ndarray, *, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k smallest of (Q, M) distances, equal distances by row.

    A row of -1 is an empty slot: it comes last, with distance infinity.

    Returns:
      (distances, rows), (Q, min(k, M)); rows are int64.
    """
    found = np.where(rows < 0, np.asarray(np.inf, found.dtype), found)
    # The last key counts first.
    places = np.lexsort((rows, found), axis=1)[:, :k]
    return (
        np.take_along_axis(found, places, axis=1),
        np.take_along_axis(rows, places, axis=1).astype(np.int64),
    )


def check_non_negative(smallest: float, *, what: str) -> None:
    """Refuses values for which chi-square is not defined.

    Raises:
      UserError: `smallest` is negative.
    """
    if smallest < 0:
        raise errors.UserError(
            "The chi-square distance needs embeddings without negative "
            f"values. Received: {what} with a smallest value of {smallest:g}. "
            "Use `distance=euclidean` or `distance=cosine`."
        )
