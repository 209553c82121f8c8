"""A query made of several examples: more like these, less like those."""

import numpy as np

from ben_tf import errors


def combine(
    positives: np.ndarray, negatives: np.ndarray, *, non_negative: bool
) -> np.ndarray:
    """Mean of the positive examples, moved away from that of the negative ones.

    `positive` without negative examples, else `2 * positive - negative`, of
    means: Rocchio's formula (1971) with equal weights. The query lies as far
    beyond the positive examples as the negative ones lie before them.

    Args:
      positives: (P, D) float32 embeddings, at least one.
      negatives: (M, D) float32 embeddings, or none.
      non_negative: Whether to set what is negative to 0, as the chi-square
        distance needs it.

    Returns:
      (D,) float32.

    Raises:
      UserError: No positive example.
    """
    if not len(positives):
        raise errors.UserError(
            "Expected at least one positive example. Name one in `positives`."
        )
    query = positives.mean(axis=0, dtype=np.float32)
    if len(negatives):
        query = 2 * query - negatives.mean(axis=0, dtype=np.float32)
    return np.maximum(query, 0) if non_negative else query
