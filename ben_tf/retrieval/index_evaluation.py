"""Scores retrieval: the patches of one index against those of another.

Protocols are pairs of indexes. Validation queries against the test archive
(the default in the field): an index of each split. Test against test: the same
index twice; a query's own patch never counts as a hit. S1->S2 and the other
directions: indexes of the two sensors, embedded by one model.
"""

import os

import numpy as np
import tqdm

from ben_tf import errors
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import ranking_metrics

DEFAULT_KS = (1, 5, 10, 20, 50, 100)
_QUERIES_AT_ONCE = 1024


def evaluate(
    *,
    archive: str | os.PathLike,
    queries: str | os.PathLike,
    ks: tuple[int, ...] = DEFAULT_KS,
) -> dict:
    """Searches the archive for every patch of another index.

    Memory grows by a few hundred bytes a query.

    Args:
      archive: Index folder that is searched.
      queries: Index folder whose patches are the queries.
      ks: Cut-offs; those beyond the size of the archive are left out.

    Returns:
      "direction" such as "S1->S2", "distance", "search", sizes, "fingerprint",
      "synthetic", "class_names", "ks" and "scores": name -> {str(k): mean
      over the queries}; see `ranking_metrics.score_queries`.

    Raises:
      UserError: The indexes come from different models or nomenclatures, or
        no query has a label.
    """
    if not ks or min(ks) < 1:
        raise errors.UserError(
            f"Expected cut-offs of at least 1. Received: --ks={ks}."
        )
    opened = index_lib.Index.open(archive)
    asked = index_lib.Index.open(queries)
    if opened.manifest.class_names != asked.manifest.class_names:
        raise errors.UserError(
            f"{archive} and {queries} have labels of different nomenclatures. "
            "Expected the same. Build both with the same model."
        )
    overlap = bool((opened.rows_of(asked.names) >= 0).any())
    num_candidates = len(opened.names) - overlap
    ks = tuple(sorted({k for k in ks if k <= num_candidates}))
    rows = np.flatnonzero(asked.labels.any(axis=1))
    if not len(rows) or not ks:
        raise errors.UserError(
            f"Nothing to score: {len(rows)} queries with labels, "
            f"{num_candidates} patches to find. Expected at least one query "
            "and as many patches as the smallest of --ks."
        )
    counts = ranking_metrics.relevance_counts(asked.labels[rows], opened.labels)
    sums: dict[str, np.ndarray] = {}
    for start in tqdm.trange(
        0, len(rows), _QUERIES_AT_ONCE, desc="evaluating", unit="batch"
    ):
        batch = rows[start : start + _QUERIES_AT_ONCE]
        own_names = asked.names[batch]
        hits = opened.search(
            asked.embeddings[batch],
            k=max(ks),
            fingerprint=asked.manifest.fingerprint,
            modality=asked.manifest.modality,
            exclude=own_names if overlap else None,
        )
        labels = asked.labels[batch]
        counts_of_batch = counts[start : start + _QUERIES_AT_ONCE]
        own_rows = opened.rows_of(own_names)
        inside = np.flatnonzero(own_rows >= 0)
        shared = (labels[inside] & opened.labels[own_rows[inside]]).sum(axis=1)
        counts_of_batch[inside, shared] -= 1
        for name, values in ranking_metrics.score_queries(
            labels, hits.labels, counts_of_batch, ks=ks
        ).items():
            sums[name] = sums.get(name, 0) + values.sum(axis=0)
    return {
        "direction": f"{asked.manifest.modality}->{opened.manifest.modality}",
        "archive_splits": list(opened.manifest.splits),
        "query_splits": list(asked.manifest.splits),
        "num_archive": len(opened.names),
        "num_queries": len(rows),
        "num_queries_without_label": len(asked.names) - len(rows),
        "distance": opened.distance,
        "search": opened.manifest.search,
        "fingerprint": opened.manifest.fingerprint,
        "synthetic": opened.manifest.synthetic or asked.manifest.synthetic,
        "class_names": list(opened.manifest.class_names),
        "ks": list(ks),
        "scores": ranking_metrics.mean_scores(
            sums, num_queries=len(rows), ks=ks
        ),
    }


def format_table(result: dict) -> str:
    """What `evaluate` returned as a table for people."""
    own = result["query_splits"] == result["archive_splits"]
    lines = [
        f"{result['direction']}: {result['num_queries']:,} queries of "
        f"{', '.join(result['query_splits'])} against "
        f"{result['num_archive']:,} patches of "
        f"{', '.join(result['archive_splits'])}"
        f"{' without the query itself' if own else ''}, "
        f"{result['distance']} distance, {result['search']} search",
        f"{'':32}" + "".join(f"{f'k={k}':>9}" for k in result["ks"]),
    ]
    for name, values in result["scores"].items():
        cells = "".join(f"{values[str(k)]:9.4f}" for k in result["ks"])
        lines.append(f"{name:32}{cells}")
    if result["synthetic"]:
        lines.append(
            "Synthetic patches: these scores say nothing about BigEarthNet."
        )
    return "\n".join(lines)
