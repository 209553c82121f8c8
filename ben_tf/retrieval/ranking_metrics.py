"""How good are ranked lists of patches, when a patch has several labels?

Two readings of "relevant" run through this module, and every name says which:

- any shared label: a hit is relevant if it shares at least one label with the
  query (0 or 1);
- graded: a hit is the more relevant the more labels it shares (0, 1, 2, ...).

Pure NumPy. Label matrices are multi-hot, (rows, classes), 0 or 1.
"""

from collections.abc import Sequence

import numpy as np

_QUERY_SETS_AT_ONCE = 256


def score_queries(
    query_labels: np.ndarray,
    hit_labels: np.ndarray,
    relevance_counts: np.ndarray,
    *,
    ks: Sequence[int],
) -> dict[str, np.ndarray]:
    """Scores each query's ranked list at each cut-off k.

    With q the labels of the query, r_i those of the hit at rank i (from 1),
    s_i = |q and r_i| and rel_i = 1 if s_i > 0 else 0:

    - "precision_any_shared_label": mean of rel_i over i <= k.
    - "recall_any_shared_label": relevant hits up to k / relevant patches of
      the archive.
    - "average_precision": sum over i <= k of rel_i * precision@i, divided by
      min(k, relevant patches of the archive). Its mean is mAP@k.
    - "average_precision_of_retrieved": the same sum divided by the number of
      relevant hits up to k, the convention of the hashing literature; it does
      not punish finding few relevant patches.
    - "graded_precision": mean of s_i / |r_i|; a hit without labels counts 0.
    - "graded_recall": mean of s_i / |q|. Both per query and hit, as in CSMAE
      (Hackstein et al., TGRS 2024).
    - "average_cumulative_gain": ACG@k, mean of s_i.
    - "ndcg": sum of (2^s_i - 1) / log2(1 + i), divided by the same sum for the
      best order of the whole archive.
    - "weighted_average_precision": sum of rel_i * ACG@i, divided by the number
      of relevant hits up to k. Its mean is weighted mAP (Zhao et al., CVPR
      2015, who also define ACG and NDCG so).

    A quotient 0 / 0 counts 0: nothing was found.

    Args:
      query_labels: (queries, classes); each query has at least one label.
      hit_labels: (queries, hits, classes), best hit first.
      relevance_counts: (queries, classes + 1), from `relevance_counts`.
      ks: Cut-offs, each between 1 and the number of hits.

    Returns:
      Name -> (queries, len(ks)) float64.

    Raises:
      ValueError: A query has no label, or a cut-off is out of range.
    """
    num_hits = hit_labels.shape[1]
    if min(ks) < 1 or max(ks) > num_hits:
        raise ValueError(
            f"Expected cut-offs between 1 and {num_hits}, the number of hits. "
            f"Received: {list(ks)}"
        )
    labels_of_query = query_labels.sum(axis=1, dtype=np.int64)[:, None]
    if (labels_of_query == 0).any():
        raise ValueError("Expected at least one label for each query.")
    shared = np.einsum(
        "qc,qhc->qh",
        query_labels.astype(np.float32),
        hit_labels.astype(np.float32),
    ).astype(np.float64)
    labels_of_hit = hit_labels.sum(axis=2, dtype=np.int64)
    relevant = shared > 0
    ranks = np.arange(1, num_hits + 1)
    discounts = 1 / np.log2(1 + ranks)
    relevant_so_far = np.cumsum(relevant, axis=1)
    gain_so_far = np.cumsum(shared, axis=1)
    relevant_in_archive = relevance_counts[:, 1:].sum(axis=1)[:, None]
    precision_sum = np.cumsum(relevant * relevant_so_far / ranks, axis=1)
    weighted_sum = np.cumsum(relevant * gain_so_far / ranks, axis=1)
    ideal = ideal_relevance(relevance_counts, num_hits)
    curves = {
        "precision_any_shared_label": relevant_so_far / ranks,
        "recall_any_shared_label": _divide(
            relevant_so_far, relevant_in_archive
        ),
        "average_precision": _divide(
            precision_sum, np.minimum(ranks, relevant_in_archive)
        ),
        "average_precision_of_retrieved": _divide(
            precision_sum, relevant_so_far
        ),
        "graded_precision": np.cumsum(_divide(shared, labels_of_hit), axis=1)
        / ranks,
        "graded_recall": np.cumsum(shared / labels_of_query, axis=1) / ranks,
        "average_cumulative_gain": gain_so_far / ranks,
        "ndcg": _divide(
            np.cumsum((2**shared - 1) * discounts, axis=1),
            np.cumsum((2.0**ideal - 1) * discounts, axis=1),
        ),
        "weighted_average_precision": _divide(weighted_sum, relevant_so_far),
    }
    columns = np.asarray(ks) - 1
    return {name: curve[:, columns] for name, curve in curves.items()}


def mean_scores(
    sums: dict[str, np.ndarray], *, num_queries: int, ks: Sequence[int]
) -> dict[str, dict[str, float]]:
    """Sums over queries -> means; adds F1.

    Args:
      sums: Name -> (len(ks),), the sums of `score_queries` over its queries.
      num_queries: Number of queries that went into the sums.
      ks: The cut-offs.

    Returns:
      Name -> {str(k): mean}. "graded_f1" and "f1_any_shared_label" are the
      harmonic means of the mean precision and the mean recall, as CSMAE
      reports F1.
    """
    means = {name: values / num_queries for name, values in sums.items()}
    for f1, precision, recall in (
        ("graded_f1", "graded_precision", "graded_recall"),
        (
            "f1_any_shared_label",
            "precision_any_shared_label",
            "recall_any_shared_label",
        ),
    ):
        product = 2 * means[precision] * means[recall]
        means[f1] = _divide(product, means[precision] + means[recall])
    return {
        name: {str(k): float(v) for k, v in zip(ks, values, strict=True)}
        for name, values in means.items()
    }


def relevance_counts(
    query_labels: np.ndarray, archive_labels: np.ndarray
) -> np.ndarray:
    """How many patches of the archive share 0, 1, 2, ... labels with a query.

    Only distinct label sets are compared (the archive of 590,326 patches has
    a few thousand), so the full table of pairs is never needed.

    Args:
      query_labels: (queries, classes).
      archive_labels: (patches, classes).

    Returns:
      (queries, classes + 1) int64; column s counts patches that share s
      labels, so each row adds up to the size of the archive.
    """
    num_classes = archive_labels.shape[1]
    archive_sets, archive_counts = np.unique(
        archive_labels.astype(np.uint8), axis=0, return_counts=True
    )
    query_sets, inverse = np.unique(
        query_labels.astype(np.uint8), axis=0, return_inverse=True
    )
    columns = archive_sets.T.astype(np.float32)
    counts = np.zeros((len(query_sets), num_classes + 1), np.int64)
    for start in range(0, len(query_sets), _QUERY_SETS_AT_ONCE):
        part = query_sets[start : start + _QUERY_SETS_AT_ONCE]
        shared = (part.astype(np.float32) @ columns).astype(np.int64)
        for row, values in enumerate(shared, start):
            counts[row] = np.bincount(
                values, archive_counts, minlength=num_classes + 1
            )
    return counts[inverse.reshape(-1)]


def ideal_relevance(relevance_counts: np.ndarray, num_hits: int) -> np.ndarray:
    """Shared labels at each rank if the archive were ordered perfectly.

    Args:
      relevance_counts: (queries, classes + 1), from `relevance_counts`.
      num_hits: Number of ranks.

    Returns:
      (queries, num_hits) int64, descending along the ranks.
    """
    at_least = np.cumsum(relevance_counts[:, ::-1], axis=1)[:, ::-1][:, 1:]
    ranks = np.arange(1, num_hits + 1)
    return (at_least[:, :, None] >= ranks).sum(axis=1)


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Elementwise quotient; 0 / 0 is 0."""
    numerator, denominator = np.broadcast_arrays(
        np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    )
    result = np.zeros(numerator.shape)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result
