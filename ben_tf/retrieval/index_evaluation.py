"""Scores retrieval: the patches of one index against those of another.

Protocols are pairs of indexes. Validation queries against the test archive
(the default in the field): an index of each split. Test against test: the same
index twice; a query's own patch never counts as a hit. S1->S2 and the other
directions: indexes of the two sensors, embedded by one model.
"""

import itertools
import os
import pathlib
from collections.abc import Iterable
from collections.abc import Sequence

import msgspec
import numpy as np
import tabulate
import tqdm

from ben_tf import errors
from ben_tf import files
from ben_tf import origin
from ben_tf.data import leakage
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import ranking_metrics
from ben_tf.retrieval import store

DEFAULT_KS = (1, 5, 10, 20, 50, 100)
_QUERIES_AT_ONCE = 1024


class Scores(msgspec.Struct, frozen=True):
    """How well the patches of one index find those of another.

    Attributes:
      direction: Modalities of queries and archive, such as "S1->S2".
      archive_splits: Splits of the archive.
      query_splits: Splits of the queries.
      num_archive: Patches of the archive.
      num_queries: Queries that were scored.
      num_queries_without_label: Queries left out, since nothing is relevant.
      distance: Name of the distance.
      search: One of `store.SEARCHES`.
      fingerprint: That of the model.
      synthetic: Whether patches or model are synthetic.
      class_names: Columns of the labels.
      ks: Cut-offs, ascending.
      archive_records: Fingerprint of the dataset's records that the archive was
        built of; "" where nobody knows, as in indexes of before.
      query_records: That of the queries.
      date: When it was scored, UTC, ISO 8601.
      software: This package and its version.
      num_trained_on: Up to so many patches of both indexes together were seen
        in training, in another version of BigEarthNet than theirs.
      scores: Name -> {str(k): mean over the queries}; see
        `ranking_metrics.score_queries`.
    """

    direction: str
    archive_splits: tuple[str, ...]
    query_splits: tuple[str, ...]
    num_archive: int
    num_queries: int
    num_queries_without_label: int
    distance: str
    search: str
    fingerprint: str
    synthetic: bool
    class_names: tuple[str, ...]
    ks: tuple[int, ...]
    scores: dict[str, dict[str, float]]
    archive_records: str
    query_records: str
    date: str
    software: str
    num_trained_on: int = 0


def write_scores(
    *,
    archives: Sequence[str | os.PathLike],
    queries: Sequence[str | os.PathLike],
    ks: Sequence[int] = DEFAULT_KS,
    output_file: str | os.PathLike | None = None,
    allow_leakage: bool = False,
) -> pathlib.Path:
    """Evaluates every pair of indexes; prints each table as it is ready.

    Args:
      archives: Index folders that are searched.
      queries: Index folders whose patches are the queries.
      ks: As for `evaluate`.
      output_file: JSON file for the list of `Scores`; by default scores.json
        in the first archive's folder.
      allow_leakage: As for `evaluate`.

    Returns:
      The file.
    """
    output_file = output_file or pathlib.Path(archives[0], "scores.json")
    files.check_writable(output_file)
    results = []
    for archive, asked in itertools.product(archives, queries):
        results.append(
            evaluate(
                archive=archive,
                queries=asked,
                ks=ks,
                allow_leakage=allow_leakage,
            )
        )
        print(format_table(results[-1]), flush=True)
    return files.write_json(output_file, results)


def evaluate(
    *,
    archive: str | os.PathLike,
    queries: str | os.PathLike,
    ks: Sequence[int] = DEFAULT_KS,
    allow_leakage: bool = False,
) -> Scores:
    """Searches the archive for every patch of another index.

    Memory grows by a few hundred bytes for each query.

    Args:
      archive: Index folder that is searched.
      queries: Index folder whose patches are the queries.
      ks: Cut-offs; those beyond the size of the archive are left out.
      allow_leakage: Score a model also on patches of another version of
        BigEarthNet that it was trained on.

    Returns:
      The scores, averaged over all queries that have a label.

    Raises:
      UserError: The indexes come from different models or nomenclatures, no
        query has a label, or the model was trained on patches of them.
    """
    if not ks or min(ks) < 1:
        raise errors.UserError(
            "Expected cut-offs of at least 1. Received: "
            f"`ks={','.join(map(str, ks))}`."
        )
    opened = index_lib.Index.open(archive)
    asked = index_lib.Index.open(queries)
    if opened.manifest.class_names != asked.manifest.class_names:
        raise errors.UserError(
            f"{archive} and {queries} have labels of different nomenclatures. "
            "Expected the same. Build both with the same model."
        )
    manifests = (opened.manifest, asked.manifest)
    if not allow_leakage:
        for manifest in manifests:
            leakage.check(
                manifest.trained_on,
                leakage.version_of(manifest.dataset),
                "+".join(manifest.splits),
            )
    overlap = bool((opened.rows_of(asked.names) >= 0).any())
    num_candidates = len(opened.names) - overlap
    ks = tuple(sorted({k for k in ks if k <= num_candidates}))
    rows = np.flatnonzero(asked.labels.any(axis=1))
    if not len(rows) or not ks:
        raise errors.UserError(
            f"Nothing to score: {len(rows)} queries with labels, "
            f"{num_candidates} patches to find. Expected at least one query "
            "and as many patches as the smallest of `ks`."
        )
    counts = ranking_metrics.relevance_counts(asked.labels[rows], opened.labels)
    # A query's own patch is not among those that it could find.
    own_rows = opened.rows_of(asked.names[rows])
    inside = np.flatnonzero(own_rows >= 0)
    own_labels = opened.labels[own_rows[inside]]
    shared = (asked.labels[rows[inside]] & own_labels).sum(axis=1)
    counts[inside, shared] -= 1
    sums: dict[str, np.ndarray] = {}
    for start in tqdm.trange(
        0, len(rows), _QUERIES_AT_ONCE, desc="evaluating", unit="batch"
    ):
        part = slice(start, start + _QUERIES_AT_ONCE)
        batch = rows[part]
        hits = opened.search(
            asked.embeddings[batch],
            k=max(ks),
            fingerprint=asked.manifest.fingerprint,
            modality=asked.manifest.modality,
            exclude=asked.names[batch] if overlap else None,
        )
        for name, values in ranking_metrics.score_queries(
            asked.labels[batch], hits.labels, counts[part], ks=ks
        ).items():
            sums[name] = sums.get(name, 0) + values.sum(axis=0)
    return Scores(
        direction=f"{asked.manifest.modality}->{opened.manifest.modality}",
        archive_splits=opened.manifest.splits,
        query_splits=asked.manifest.splits,
        num_archive=len(opened.names),
        num_queries=len(rows),
        num_queries_without_label=len(asked.names) - len(rows),
        distance=opened.distance,
        search=opened.manifest.search,
        fingerprint=opened.manifest.fingerprint,
        synthetic=opened.manifest.synthetic or asked.manifest.synthetic,
        class_names=opened.manifest.class_names,
        ks=ks,
        scores=ranking_metrics.mean_scores(sums, num_queries=len(rows), ks=ks),
        archive_records=opened.manifest.records,
        query_records=asked.manifest.records,
        date=origin.date(),
        software=origin.software(),
        num_trained_on=_num_trained_on(manifests),
    )


def _num_trained_on(manifests: Iterable[store.Manifest]) -> int:
    """How many patches of the indexes were in training under another version.

    Those of both indexes count once.
    """
    return sum(
        max(
            (
                leakage.num_shared(
                    leakage.version_of(name),
                    leakage.version_of(dataset),
                    "+".join(splits),
                )
                for name in trained_on
            ),
            default=0,
        )
        for dataset, splits, trained_on in {
            (x.dataset, x.splits, x.trained_on) for x in manifests
        }
    )


def format_table(result: Scores) -> str:
    """Scores as a table for people, a column for each cut-off."""
    own = result.query_splits == result.archive_splits
    table = tabulate.tabulate(
        [
            [name, *(values[str(k)] for k in result.ks)]
            for name, values in result.scores.items()
        ],
        headers=["", *(f"k={k}" for k in result.ks)],
        tablefmt="plain",
        floatfmt=".4f",
    )
    lines = [
        f"{result.direction}: {result.num_queries:,} queries of "
        f"{', '.join(result.query_splits)} against {result.num_archive:,} "
        f"patches of {', '.join(result.archive_splits)}"
        f"{' without the query itself' if own else ''}, {result.distance} "
        f"distance, {result.search} search",
        table,
    ]
    if result.num_trained_on:
        lines.append(
            f"The model was trained on up to {result.num_trained_on:,} of "
            "these patches, in another version of BigEarthNet: these scores "
            "say too much."
        )
    if result.synthetic:
        lines.append(
            "Synthetic patches: these scores say nothing about BigEarthNet."
        )
    return "\n".join(lines)
