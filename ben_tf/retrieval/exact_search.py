"""Exact search: every embedding is looked at, block by block.

Chi-square runs as an XLA-compiled TensorFlow function, Euclidean and cosine
in FAISS. Both give candidates only; `distances.rank` orders them, and where
the last candidate is not clearly farther than the k-th hit, more are fetched,
so that neither rounding nor ties can change an answer.
"""

from collections.abc import Callable
from collections.abc import Iterator

import faiss
import numpy as np

from ben_tf.retrieval import distances

# Queries and tiles that chi-square compares at once.
_CHI_SQUARE_QUERIES = 64
_CHI_SQUARE_TILES = 32
# Cosine needs a copy of unit length, and a search among some rows one of these:
# of a block, not of the whole archive.
_COPY_BYTES = 256 << 20
# Matrix products read the rows once for all queries, and pay from so many on,
# even where the rows must be copied first. FAISS begins later: not with 32
# queries of 2,048 numbers, at 6 times the work. It counts its threshold in
# queries or in their numbers, by its release.
_PRODUCT_FROM_QUERIES = 3
_ALWAYS, _NEVER = 1, np.iinfo(np.int32).max
_THRESHOLD_OF_FAISS = faiss.cvar.distance_compute_blas_threshold

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
    return _complete(
        name,
        queries,
        embeddings,
        lambda part, wanted: scan(part, embeddings, wanted),
        num_rows=len(embeddings),
        k=k,
    )


def _complete(
    name: str,
    queries: np.ndarray,
    embeddings: np.ndarray,
    scan: Callable[[np.ndarray, int], Candidates],
    *,
    num_rows: int,
    k: int,
) -> Candidates:
    """As `nearest`, of a scan whose distances are rounded.

    Args:
      name: As of `nearest`.
      queries: Likewise.
      embeddings: Likewise.
      scan: Takes some of the queries and how many candidates are wanted.
      num_rows: How many rows it looks at.
      k: As of `nearest`.
    """
    k = min(k, num_rows)
    best = np.empty((len(queries), k), np.float32)
    best_rows = np.empty((len(queries), k), np.int64)
    # An archive without embeddings has no block to scan.
    open_queries = np.arange(len(queries) if k else 0)
    wanted = min(num_rows, k + distances.SPARE_CANDIDATES)
    while len(open_queries):
        part = queries[open_queries]
        rough, candidates = scan(part, wanted)
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


def nearest_of_rows(
    name: str,
    queries: np.ndarray,
    embeddings: np.ndarray,
    rows: np.ndarray,
    *,
    k: int,
) -> Candidates:
    """As `nearest`, among some of the rows.

    Args:
      name: One of `distances.DISTANCES`.
      queries: (Q, D) float32.
      embeddings: (N, D) float32, as of `nearest`.
      rows: (M,) int64, at least one, ascending.
      k: Number of rows wanted.

    Returns:
      (distances, rows), (Q, min(k, M)).
    """
    if name == distances.EUCLIDEAN and len(queries) < _PRODUCT_FROM_QUERIES:
        chosen = np.zeros(len(embeddings), bool)
        chosen[rows] = True
        return _complete(
            name,
            queries,
            embeddings,
            lambda part, wanted: _scan_chosen(part, embeddings, wanted, chosen),
            num_rows=len(rows),
            k=k,
        )
    rows_at_once = max(1, _COPY_BYTES // (4 * embeddings.shape[1]))

    def nearest_of(part: np.ndarray) -> Candidates:
        found, places = nearest(name, queries, embeddings[part], k=k)
        return found, part[places]

    return _merge(map(nearest_of, _parts(rows, rows_at_once)), k)


def _scan_euclidean(
    queries: np.ndarray, embeddings: np.ndarray, wanted: int
) -> Candidates:
    squared, rows = _knn(queries, embeddings, wanted, faiss.METRIC_L2)
    return np.sqrt(np.maximum(squared, 0)), rows


def _scan_chosen(
    queries: np.ndarray, embeddings: np.ndarray, wanted: int, chosen: np.ndarray
) -> Candidates:
    """The same among rows that are chosen, (N,) bool, without a copy."""
    squared = np.empty((len(queries), wanted), np.float32)
    rows = np.empty((len(queries), wanted), np.int64)
    queries = np.ascontiguousarray(queries)
    bits = np.packbits(chosen, bitorder="little")
    faiss.knn_L2sqr(
        *map(faiss.swig_ptr, (queries, embeddings)),
        *(queries.shape[1], len(queries), len(embeddings), wanted),
        *map(faiss.swig_ptr, (squared, rows)),
        None,
        faiss.IDSelectorBitmap(bits),
    )
    return np.sqrt(np.maximum(squared, 0)), rows


def _scan_cosine(
    queries: np.ndarray, embeddings: np.ndarray, wanted: int
) -> Candidates:
    queries = distances.unit_length(queries)
    rows_at_once = max(1, _COPY_BYTES // (4 * embeddings.shape[1]))

    def scan_block(start: int) -> Candidates:
        block = distances.unit_length(embeddings[start : start + rows_at_once])
        product, rows = _knn(
            queries,
            block,
            min(wanted, len(block)),
            faiss.METRIC_INNER_PRODUCT,
        )
        return 1 - product, rows + start

    blocks = range(0, len(embeddings), rows_at_once)
    return _merge((scan_block(start) for start in blocks), wanted)


def _knn(
    queries: np.ndarray, rows: np.ndarray, k: int, metric: int
) -> Candidates:
    """`faiss.knn`, in the way that is fast for so many queries."""
    # Threads that change it in between cost each other time, nothing else.
    faiss.cvar.distance_compute_blas_threshold = (
        _ALWAYS if len(queries) >= _PRODUCT_FROM_QUERIES else _NEVER
    )
    try:
        return faiss.knn(queries, rows, k, metric=metric)
    finally:
        faiss.cvar.distance_compute_blas_threshold = _THRESHOLD_OF_FAISS


def _scan_chi_square(
    queries: np.ndarray, embeddings: np.ndarray, wanted: int
) -> Candidates:
    # The other distances take no TensorFlow, which is slow to import.
    import tensorflow as tf

    from ben_tf import gpu_compiler
    from ben_tf.retrieval import chi_square

    num_rows, size = embeddings.shape
    tile_rows = chi_square.rows_of_tile(size)
    rows_at_once = tile_rows * _CHI_SQUARE_TILES
    groups = [
        tf.constant(_padded(group, _power_of_two(len(group))))
        for group in _parts(queries, _CHI_SQUARE_QUERIES)
    ]

    def scan_block(start: int) -> Candidates:
        block = embeddings[start : start + rows_at_once]
        length = -(-len(block) // tile_rows) * tile_rows
        tiles = tf.constant(_padded(block, length).reshape(-1, tile_rows, size))
        found, rows = zip(
            *(
                chi_square.nearest(
                    group,
                    tiles,
                    tf.constant(len(block)),
                    tf.constant(min(wanted, length)),
                )
                for group in groups
            ),
            strict=True,
        )
        found = np.concatenate(found)[: len(queries)]
        rows = np.concatenate(rows)[: len(queries)]
        return found, np.where(np.isinf(found), -1, rows + start)

    blocks = range(0, num_rows, rows_at_once)
    with tf.device("CPU" if gpu_compiler.fault() else None):
        return _merge((scan_block(start) for start in blocks), wanted)


def _parts(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _padded(rows: np.ndarray, length: int) -> np.ndarray:
    """Appends rows of zeros, so that few shapes are ever compiled."""
    return np.pad(rows, ((0, length - len(rows)), (0, 0)))


def _power_of_two(number: int) -> int:
    """The number itself, or the next larger power of two."""
    return 1 << (number - 1).bit_length()


def _merge(blocks: Iterator[Candidates], wanted: int) -> Candidates:
    """Keeps the best candidates of all blocks, at least one."""
    best, best_rows = distances.order(*next(blocks), k=wanted)
    for found, rows in blocks:
        best, best_rows = distances.order(
            np.concatenate([best, found], axis=1),
            np.concatenate([best_rows, rows], axis=1),
            k=wanted,
        )
    return best, best_rows
