"""Binary codes: a few bits for each patch, compared by Hamming distance.

A code is the signs of `embedding @ projection - offset`. 64 bits take 8 bytes
where 2,048 float32 take 8,192, and comparing them is counting bits.
"""

import numpy as np

from ben_tf import command_line

MAX_BITS = 4096
_TRAINING_ROWS = 50_000
_ROWS_AT_ONCE = 16_384


def train(
    embeddings: np.ndarray, *, num_bits: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the projection whose signs are the code.

    If the embeddings have `num_bits` dimensions and both signs, as those of a
    hashing head, their own signs are the code. Otherwise the projection is
    that of iterative quantisation (Gong et al., TPAMI 2013: PCA, then the
    rotation that moves values away from zero), or, with too few patches or
    dimensions for that, random hyperplanes through the mean.

    Args:
      embeddings: (N, D) float32; may be memory-mapped.
      num_bits: Length of the code, a multiple of 8.
      seed: Chooses the training rows and the random hyperplanes.

    Returns:
      (projection, offset), (D, num_bits) and (num_bits,) float32.

    Raises:
      UserError: `num_bits` is no multiple of 8 or out of range.
    """
    if num_bits % 8 or not 8 <= num_bits <= MAX_BITS:
        raise command_line.UserError(
            f"Expected a multiple of 8 between 8 and {MAX_BITS}. Received: "
            f"--bits={num_bits}. Use 64 or 128, for example."
        )
    num_rows, size = embeddings.shape
    generator = np.random.default_rng(seed)
    chosen = np.sort(
        generator.choice(num_rows, min(num_rows, _TRAINING_ROWS), replace=False)
    )
    rows = np.ascontiguousarray(embeddings[chosen])
    mean = rows.mean(axis=0)
    if num_bits == size and rows.min() < 0 < rows.max():
        return np.eye(size, dtype=np.float32), np.zeros(size, np.float32)
    if num_bits <= size and num_rows >= 4 * num_bits:
        projection = _iterative_quantisation(rows - mean, num_bits)
    else:
        projection = generator.standard_normal((size, num_bits), np.float32)
    return projection, mean @ projection


def encode(
    embeddings: np.ndarray, projection: np.ndarray, offset: np.ndarray
) -> np.ndarray:
    """(N, D) float32 -> (N, bits / 8) uint8 codes."""
    codes = np.empty((len(embeddings), projection.shape[1] // 8), np.uint8)
    for start in range(0, len(embeddings), _ROWS_AT_ONCE):
        part = embeddings[start : start + _ROWS_AT_ONCE]
        bits = part @ projection > offset
        codes[start : start + _ROWS_AT_ONCE] = np.packbits(bits, axis=1)
    return codes


class CodeSearch:
    """Finds the nearest codes; equal distances come in row order."""

    def __init__(
        self, codes: np.ndarray, projection: np.ndarray, offset: np.ndarray
    ):
        """Takes (N, bits / 8) uint8 codes and what made them."""
        import faiss

        self._projection, self._offset = projection, offset
        self._index = faiss.IndexBinaryFlat(codes.shape[1] * 8)
        # Counting sort keeps the first rows among equal distances.
        self._index.use_heap = False
        self._index.add(np.ascontiguousarray(codes))

    def nearest(
        self, queries: np.ndarray, *, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """(Q, D) float32 -> Hamming distances and rows, both (Q, k)."""
        codes = encode(queries, self._projection, self._offset)
        found, rows = self._index.search(codes, min(k, self._index.ntotal))
        return found.astype(np.float32), rows


def _iterative_quantisation(rows: np.ndarray, num_bits: int) -> np.ndarray:
    """(N, D) of mean zero -> (D, num_bits)."""
    import faiss

    transform = faiss.ITQTransform(rows.shape[1], num_bits, True)
    transform.train(rows)
    matrix = faiss.vector_to_array(transform.pca_then_itq.A)
    return np.ascontiguousarray(
        matrix.reshape(num_bits, rows.shape[1]).T.astype(np.float32)
    )
