"""What every format of an answer says: of patches, of hits, and where from."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ben_tf import origin
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import query

_DEGREES_DIGITS = 7  # A centimetre.


def origin_of(answer: query.Answer) -> dict[str, Any]:
    """Where an answer comes from; None for what an index of before lacks."""
    manifest = answer.index.manifest
    return {
        "synthetic": answer.synthetic,
        "model": manifest.model or None,
        "model_fingerprint": manifest.fingerprint,
        "dataset": manifest.dataset or None,
        "dataset_fingerprint": manifest.records or None,
        "splits": list(manifest.splits),
        "modality": manifest.modality,
        "query_modality": answer.modality,
        "distance_name": answer.index.distance,
        "search": manifest.search,
        "date": origin.date(),
        "software": origin.software(),
    }


def answers_of(
    answer: query.Answer,
) -> Iterator[tuple[patch_facts.Patch, list[index_lib.Hit]]]:
    """Each query and its hits."""
    hits = {
        number: list(group)
        for number, group in itertools.groupby(
            answer.hits, key=lambda hit: hit.query
        )
    }
    for number, patch in enumerate(answer.queries):
        yield patch, hits.get(number, [])


def patch_members(patch: patch_facts.Patch) -> dict[str, Any]:
    """What is known of a patch, as JSON holds it; units end the names."""
    return {
        "name": patch.name,
        "labels": None if patch.labels is None else list(patch.labels),
        "country": patch.country,
        "season": patch.season,
        "split": patch.split,
        "date_utc": patch.date.isoformat() if patch.date else None,
        "longitude_deg": _rounded(patch.longitude),
        "latitude_deg": _rounded(patch.latitude),
    }


def hit_members(hit: index_lib.Hit) -> dict[str, Any]:
    """The same of a hit, with its rank and distance."""
    return {
        "rank": hit.rank,
        # JSON has no infinity.
        "distance": float(f"{hit.distance:.6g}")
        if np.isfinite(hit.distance)
        else None,
        **patch_members(hit),
    }


def _rounded(degrees: float | None) -> float | None:
    return None if degrees is None else round(degrees, _DEGREES_DIGITS)
