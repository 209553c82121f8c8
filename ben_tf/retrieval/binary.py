"""Binary codes: a few bits for each patch, compared by Hamming distance.

A code is the signs of `(embedding - mean) @ projection`. 64 bits take 8 bytes
where 2,048 float32 take 8,192, and comparing them is counting bits.

Each modality has a mean of its own: in a shared space the embeddings of two
sensors lie apart as a whole, which would give nearly all patches of the other
sensor the same bits.
"""

from collections.abc import Mapping

import faiss
import numpy as np

from ben_tf import errors

MAX_BITS = 4096
_TRAINING_ROWS = 50_000
_ROWS_AT_ONCE = 16_384
_SHARE_OF_VARIANCE = 0.95


def train(
    embeddings: np.ndarray, *, num_bits: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the projection whose signs are the code.

    If the embeddings have `num_bits` dimensions and both signs, as those of a
    hashing head, their own signs are the code. Otherwise they are taken to
    their principal axes. A trained space has few of them: where those with 95 %
    of the variance are fewer than bits, a tight frame gives all bits to them,
    several to an axis (Jegou et al., "Anti-sparse coding", ICASSP 2012), and
    none to noise. Otherwise the rotation is that of iterative quantisation
    (Gong et al., TPAMI 2013), which moves values away from zero. With too few
    patches to find axes, planes through the mean are chosen at random.

    Args:
      embeddings: (N, D) float32; may be memory-mapped.
      num_bits: Length of the code, a multiple of 8 up to `MAX_BITS`.
      seed: Chooses the training rows and all that is random.

    Returns:
      (projection, mean), (D, num_bits) and (D,) float32; the mean is 0 where
      the embeddings' own signs are the code.
    """
    num_rows, size = embeddings.shape
    generator = np.random.default_rng(seed)
    chosen = np.sort(
        generator.choice(num_rows, min(num_rows, _TRAINING_ROWS), replace=False)
    )
    rows = np.ascontiguousarray(embeddings[chosen])
    mean = rows.mean(axis=0)
    if num_bits == size and rows.min() < 0 < rows.max():
        return np.eye(size, dtype=np.float32), np.zeros_like(mean)
    axes = _principal_axes(rows - mean)
    num_axes = axes.shape[1]
    if num_rows < 4 * min(num_axes, num_bits):
        projection = generator.standard_normal((size, num_bits), np.float32)
    elif num_axes < num_bits:
        frame = np.linalg.qr(generator.standard_normal((num_bits, num_axes))).Q
        projection = (axes @ frame.T).astype(np.float32)
    else:
        projection = _iterative_quantisation(rows - mean, num_bits)
    return projection, mean


def encode(
    embeddings: np.ndarray, projection: np.ndarray, mean: np.ndarray
) -> np.ndarray:
    """(N, D) float32 -> (N, bits / 8) uint8 codes."""
    offset = mean @ projection
    codes = np.empty((len(embeddings), projection.shape[1] // 8), np.uint8)
    for start in range(0, len(embeddings), _ROWS_AT_ONCE):
        part = embeddings[start : start + _ROWS_AT_ONCE]
        bits = part @ projection > offset
        codes[start : start + _ROWS_AT_ONCE] = np.packbits(bits, axis=1)
    return codes


class CodeSearch:
    """Finds the nearest codes; equal distances come in row order."""

    def __init__(
        self,
        codes: np.ndarray,
        projection: np.ndarray,
        means: Mapping[str, np.ndarray],
    ):
        """Takes (N, bits / 8) uint8 codes and what makes those of queries.

        Args:
          codes: Of the patches to find.
          projection: (D, bits) float32.
          means: Modality of queries -> (D,) mean of such embeddings.
        """
        self._projection, self._means = projection, dict(means)
        self._codes = codes
        self._index = _index_of(codes)

    def nearest(
        self,
        queries: np.ndarray,
        *,
        k: int,
        modality: str,
        rows: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Finds the nearest codes.

        Args:
          queries: (Q, D) float32.
          k: Number of rows wanted.
          modality: What the queries are embeddings of.
          rows: (M,) int64, ascending, to search among; None: all.

        Returns:
          Hamming distances and rows, both (Q, k), or fewer if there are fewer.

        Raises:
          UserError: No mean is known for queries of that modality.
        """
        if modality not in self._means:
            raise errors.UserError(
                "The index holds binary codes for queries of "
                f"{', '.join(self._means)}. Received: queries of {modality}. "
                "Build it again with a model that embeds both."
            )
        codes = encode(queries, self._projection, self._means[modality])
        index = self._index
        if rows is not None:
            index = _index_of(self._codes[rows])
        found, places = index.search(codes, min(k, index.ntotal))
        found = found.astype(np.float32)
        return found, places if rows is None else rows[places]


def _index_of(codes: np.ndarray) -> faiss.IndexBinaryFlat:
    """(N, bits / 8) uint8 codes, ready to be searched."""
    index = faiss.IndexBinaryFlat(codes.shape[1] * 8)
    # Counting sort keeps the first rows among equal distances.
    index.use_heap = False
    index.add(np.ascontiguousarray(codes))
    return index


def _principal_axes(rows: np.ndarray) -> np.ndarray:
    """(N, D) of mean zero -> (D, A), those that hold the share of variance."""
    variances, axes = np.linalg.eigh(rows.T @ rows)
    held = np.cumsum(variances[::-1])
    num_axes = 1 + np.count_nonzero(held < _SHARE_OF_VARIANCE * held[-1])
    return axes[:, ::-1][:, :num_axes]


def _iterative_quantisation(rows: np.ndarray, num_bits: int) -> np.ndarray:
    """(N, D) of mean zero -> (D, num_bits)."""
    transform = faiss.ITQTransform(rows.shape[1], num_bits, True)
    transform.train(rows)
    matrix = faiss.vector_to_array(transform.pca_then_itq.A)
    return np.ascontiguousarray(
        matrix.reshape(num_bits, rows.shape[1]).T.astype(np.float32)
    )
