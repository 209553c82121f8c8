"""Approximate search in FAISS, with parameters that follow from the size.

Each structure only proposes candidates. `distances.rank` then orders them by
their exact distance, which also recovers most of what compression loses.

- "ivf" looks only into the cells nearest to the query.
- "hnsw" walks a graph of neighbours: fastest to ask, slowest to build. Its
  own copy of the embeddings has 8 bits per value, a quarter of the memory.
- "pq" compresses each embedding to at most 64 bytes and reads all of them.
- "ivf_pq" does both, looks into few cells, and leaves the codes in their file:
  for more embeddings than memory holds.
"""

import math

import faiss
import numpy as np

from ben_tf import errors
from ben_tf.retrieval import distances
from ben_tf.retrieval import exact_search
from ben_tf.retrieval import faiss_file
from ben_tf.retrieval import mapped

KINDS = tuple(faiss_file.KINDS)

_ROWS_AT_ONCE = 16_384
_HNSW_NEIGHBOURS = 32
_HNSW_CONSTRUCTION = 80
_HNSW_SEARCH = 32
_SCALAR_TRAINING_ROWS = 20_000
# Compressed distances are rough: more candidates are worth looking at.
_CANDIDATES_PER_HIT = {"ivf": 1, "hnsw": 1.5, "pq": 10, faiss_file.IVF_PQ: 10}
_PQ_MAX_BYTES = 64
# Below this share of all rows, looking at each of those left is exact and as
# fast; a graph or cells of which nearly nothing counts lead astray. Cells with
# codes are so much faster that it pays to look into more of them for longer.
_FEW = {"ivf": 0.1, "hnsw": 0.1, "pq": 0.1, faiss_file.IVF_PQ: 0.01}
# Cells with codes that are looked at for one query, however many there are.
_CODED_PROBES = 32
# Of mapped embeddings, read together.
_RANKED_BYTES = 64 << 20
# Below this many training rows for each centroid FAISS warns.
_ROWS_PER_CENTROID = 39


def build(kind: str, distance: str, embeddings: np.ndarray) -> faiss.Index:
    """Builds a structure over all rows.

    Args:
      kind: One of `KINDS`.
      distance: "euclidean", or "cosine", which is Euclidean distance between
        vectors of unit length.
      embeddings: (N, D) float32; may be memory-mapped.

    Returns:
      A FAISS index.
    """
    num_rows, size = embeddings.shape
    if kind == "ivf":
        cells = num_cells(num_rows)
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(size), size, cells)
        index.cp.max_points_per_centroid = 64
        training_rows = 64 * cells
    elif kind == "hnsw":
        index = faiss.IndexHNSWSQ(
            size, faiss.ScalarQuantizer.QT_8bit, _HNSW_NEIGHBOURS
        )
        index.hnsw.efConstruction = _HNSW_CONSTRUCTION
        training_rows = _SCALAR_TRAINING_ROWS
    elif kind == "pq":
        num_bits = _num_bits(num_rows)
        index = faiss.IndexPQ(size, num_sub_vectors(size), num_bits)
        training_rows = 256 * 2**num_bits
    else:
        # Half the cells of "ivf": finding each row's cell is most of the work.
        cells = max(1, num_cells(num_rows) // 2)
        num_bits = _num_bits(num_rows)
        index = faiss.IndexIVFPQ(
            faiss.IndexFlatL2(size),
            size,
            cells,
            num_sub_vectors(size),
            num_bits,
        )
        training_rows = max(_ROWS_PER_CENTROID * cells, 256 * 2**num_bits)
    index.train(_prepare(distance, _sample(embeddings, training_rows)))
    for part in mapped.blocks(embeddings, rows_at_once=_ROWS_AT_ONCE):
        index.add(_prepare(distance, embeddings[part]))
    return index


def _sample(embeddings: np.ndarray, num_rows: int) -> np.ndarray:
    """(N, D) -> (M, D) rows at random, M at most `num_rows`.

    Rows are sorted by name, which begins with satellite and date: the first
    ones are not like the rest.
    """
    num_rows = min(num_rows, len(embeddings))
    chosen = np.random.default_rng(0).choice(
        len(embeddings), num_rows, replace=False
    )
    return mapped.take(embeddings, chosen)


def nearest(
    index: faiss.Index,
    distance: str,
    queries: np.ndarray,
    embeddings: np.ndarray,
    *,
    k: int,
    rows: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Finds most of the k nearest rows.

    Args:
      index: From `build` or `load`.
      distance: As given to `build`.
      queries: (Q, D) float32.
      embeddings: (N, D) float32, what the index was built over.
      k: Number of rows wanted.
      rows: (M,) int64, at least one, ascending, to search among; None: all.
        Where few of all rows are left, each is looked at.

    Returns:
      (distances, rows), (Q, k) float32 and int64, as `exact_search.nearest`;
      where fewer than k rows were found, distance infinity and row -1 fill up.

    Raises:
      UserError: The FAISS index names rows that are not there.
    """
    num_rows, kind = index.ntotal, faiss_file.kind_of(index)
    if rows is not None and len(rows) < _FEW[kind] * num_rows:
        return exact_search.nearest_of_rows(
            distance, queries, embeddings, rows, k=k
        )
    k = min(k, num_rows if rows is None else len(rows))
    wanted = math.ceil(k * _CANDIDATES_PER_HIT[kind])
    prepared = _prepare(distance, queries)
    candidates = _candidates(index, prepared, min(wanted, num_rows), rows)
    # -1 is an empty slot.
    if candidates.min(initial=-1) < -1 or (
        candidates.max(initial=-1) >= len(embeddings)
    ):
        raise errors.UserError(
            "The FAISS file of the index is damaged: it names patches that are "
            f"not there. {faiss_file.BUILD_AGAIN}"
        )
    # Other kinds are for what fits into memory; there, this only costs time.
    rank = _rank_mapped if kind == faiss_file.IVF_PQ else distances.rank
    return rank(distance, queries, embeddings, candidates, k=k)


def _rank_mapped(
    distance: str,
    queries: np.ndarray,
    embeddings: np.ndarray,
    candidates: np.ndarray,
    *,
    k: int,
) -> tuple[np.ndarray, np.ndarray]:
    """As `distances.rank`; reads a mapped file in its order, bit by bit."""
    num_queries, width = candidates.shape
    places = min(k, width)
    found = np.empty((num_queries, places), np.float32)
    rows = np.empty((num_queries, places), np.int64)
    query_bytes = 4 * embeddings.shape[1] * width
    at_once = max(1, _RANKED_BYTES // query_bytes)
    for part in mapped.blocks(found, rows_at_once=at_once):
        some = candidates[part]
        # Row 0 stands in for empty slots.
        known = np.unique(np.maximum(some, 0))
        found[part], best = distances.rank(
            distance,
            queries[part],
            mapped.take(embeddings, known),
            np.where(some < 0, -1, np.searchsorted(known, some)),
            k=k,
        )
        rows[part] = np.append(known, -1)[best]
    return found, rows


def _candidates(
    index: faiss.Index,
    prepared: np.ndarray,
    wanted: int,
    rows: np.ndarray | None,
) -> np.ndarray:
    """(Q, D) as FAISS compares them -> (Q, wanted) rows; -1: none."""
    kind = faiss_file.kind_of(index)
    if kind == "pq":
        if rows is None:
            return index.search(prepared, wanted)[1]
        # FAISS selects no rows here.
        part = _codes_of_rows(index, rows)
        _, places = part.search(prepared, min(wanted, len(rows)))
        return np.where(places < 0, places, rows[places])
    # Of what is looked at only a share is left.
    share, selector = 1.0, None
    if rows is not None:
        share = len(rows) / index.ntotal
        chosen = np.zeros(index.ntotal, bool)
        chosen[rows] = True
        bitmap = np.packbits(chosen, bitorder="little")
        selector = faiss.IDSelectorBitmap(bitmap)
    if kind in ("ivf", faiss_file.IVF_PQ):
        probes = num_probes(index.nlist) if kind == "ivf" else _CODED_PROBES
        num = min(index.nlist, math.ceil(probes / share))
        parameters = faiss.SearchParametersIVF(sel=selector, nprobe=num)
    else:
        num = math.ceil(max(_HNSW_SEARCH, wanted) / share)
        parameters = faiss.SearchParametersHNSW(sel=selector, efSearch=num)
    return index.search(prepared, wanted, params=parameters)[1]


def _codes_of_rows(index: faiss.IndexPQ, rows: np.ndarray) -> faiss.IndexPQ:
    """A structure over some rows of another."""
    part = faiss.IndexPQ(index.d, index.pq.M, index.pq.nbits)
    part.pq, part.is_trained = index.pq, True
    codes = faiss.rev_swig_ptr(
        index.codes.data(), index.ntotal * index.code_size
    ).reshape(index.ntotal, index.code_size)
    part.add_sa_codes(np.ascontiguousarray(codes[rows]))
    return part


def num_cells(num_rows: int) -> int:
    """Cells of an inverted file: about 2 sqrt(N), each filled enough."""
    return max(
        1, min(int(2 * math.sqrt(num_rows)), num_rows // _ROWS_PER_CENTROID)
    )


def num_probes(cells: int) -> int:
    """Cells looked at for one query."""
    return min(cells, max(8, cells // 32))


def _num_bits(num_rows: int) -> int:
    """Bits of each byte of a code that so many rows can train."""
    return max(1, min(8, int(math.log2(max(2, num_rows / _ROWS_PER_CENTROID)))))


def num_sub_vectors(size: int) -> int:
    """Bytes of a product-quantised vector: a divisor of `size`."""
    most = max(1, min(_PQ_MAX_BYTES, size // 4))
    return max(m for m in range(1, most + 1) if size % m == 0)


def _prepare(distance: str, rows: np.ndarray) -> np.ndarray:
    """What FAISS compares by Euclidean distance."""
    if distance == distances.COSINE:
        rows = distances.unit_length(rows)
    return np.ascontiguousarray(rows, np.float32)
