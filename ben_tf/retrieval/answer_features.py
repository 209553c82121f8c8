"""Answers as features with footprints: GeoJSON and GeoParquet."""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from ben_tf.data import geography
from ben_tf.data import geojson
from ben_tf.data import geoparquet
from ben_tf.retrieval import answer_facts as facts
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import query

_SCHEMA = pa.schema(
    [
        ("query", pa.string()),
        ("rank", pa.int32()),
        ("distance", pa.float64()),
        ("name", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("country", pa.string()),
        ("season", pa.string()),
        ("split", pa.string()),
        ("date_utc", pa.date32()),
        ("longitude_deg", pa.float64()),
        ("latitude_deg", pa.float64()),
        ("synthetic", pa.bool_()),
    ]
)


def as_geojson(answer: query.Answer) -> str:
    """Footprints as in RFC 7946: degrees (WGS 84), longitude first."""
    patches: list[patch_facts.Patch] = []
    properties: list[dict[str, Any]] = []
    for patch, hits in facts.answers_of(answer):
        patches += [patch, *hits]
        asked = {
            "rank": None,
            "distance": None,
            **facts.patch_members(patch),
        }
        properties += [
            {"role": "query", "query": patch.name, **asked},
            *(
                {
                    "role": "hit",
                    "query": patch.name,
                    **facts.hit_members(hit),
                }
                for hit in hits
            ),
        ]
    rings = _rings(patches)
    return json.dumps(
        {
            "type": "FeatureCollection",
            "origin": facts.origin_of(answer),
            "features": [
                {
                    "type": "Feature",
                    # None: a query made of several patches lies nowhere.
                    "geometry": None if ring is None else geojson.polygon(ring),
                    # Programs drop what stands beside the features.
                    "properties": members | {"synthetic": answer.synthetic},
                }
                for members, ring in zip(properties, rings, strict=True)
            ],
        },
        allow_nan=False,
    )


def as_parquet(answer: query.Answer) -> bytes:
    """GeoParquet with a row for each hit."""
    made = facts.origin_of(answer)
    patches: list[patch_facts.Patch] = []
    rows: list[dict[str, Any]] = []
    for patch, hits in facts.answers_of(answer):
        patches += hits
        rows += [
            {
                "query": patch.name,
                **facts.hit_members(hit),
                "date_utc": hit.date,
                "synthetic": answer.synthetic,
            }
            for hit in hits
        ]
    shapes = [
        None if ring is None else geoparquet.polygons(ring[None])[0]
        for ring in _rings(patches)
    ]
    table = pa.Table.from_pylist(rows, _SCHEMA).append_column(
        geoparquet.COLUMN, pa.array(shapes, pa.binary())
    )
    stream = io.BytesIO()
    parquet.write_table(
        table.replace_schema_metadata(
            {**geoparquet.METADATA, "origin": json.dumps(made)}
        ),
        stream,
    )
    return stream.getvalue()


def _rings(
    patches: Sequence[patch_facts.Patch],
) -> list[np.ndarray | None]:
    """Corners of each patch in degrees; None where nobody knows its place."""
    places = [(p.epsg, p.upper_left) for p in patches if p.upper_left]
    rings = iter(
        geography.patch_corners(*map(np.array, zip(*places, strict=True)))
        if places
        else ()
    )
    return [next(rings) if patch.upper_left else None for patch in patches]
