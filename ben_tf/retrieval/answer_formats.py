"""Answers as text: a table for people, JSON, CSV and GeoJSON for programs.

Each says where the answer comes from: model, dataset, time and version, and
whether anything is synthetic.
"""

import csv
import dataclasses
import io
import itertools
import json
import os
import pathlib
import types
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import tabulate
from pyarrow import parquet

from ben_tf import errors
from ben_tf import files
from ben_tf import origin
from ben_tf.data import geography
from ben_tf.data import geojson
from ben_tf.data import geoparquet
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import query

PARQUET = "parquet"
_PARQUET_SCHEMA = pa.schema(
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
_DEGREES_DIGITS = 7  # A centimetre.


def write(answer: query.Answer, format_name: str) -> str:
    """An answer as text, without a line break at its end.

    Args:
      answer: From `query.query`.
      format_name: One of `FORMATS`. "table": a block for each query. "json": an
        object with `origin` and `answers`, a query and its hits each. "csv": a
        row for each hit. "geojson": a polygon for each query and hit, and
        `origin` beside the features.

    Raises:
      UserError: An unknown format.
    """
    if format_name not in FORMATS:
        raise errors.UserError(
            f"Unknown format. Expected one of {', '.join(FORMATS)}. Received: "
            f"`format={format_name}`."
        )
    return FORMATS[format_name](answer)


def encode(answer: query.Answer, format_name: str) -> bytes:
    """An answer as the content of a file.

    Args:
      answer: From `query.query`.
      format_name: One of `FORMATS`, or "parquet": GeoParquet, a row for each
        hit, `origin` in its metadata.

    Raises:
      UserError: An unknown format.
    """
    if format_name == PARQUET:
        return _as_parquet(answer)
    return f"{write(answer, format_name)}\n".encode()


def without_first(answer: query.Answer, num_hits: int) -> query.Answer:
    """Passes over the nearest hits of each query: those of an earlier page."""
    hits, part = answer.hits, slice(num_hits, None)
    return dataclasses.replace(
        answer,
        hits=dataclasses.replace(
            hits,
            names=hits.names[:, part],
            distances=hits.distances[:, part],
            labels=hits.labels[:, part],
            rows=hits.rows[:, part],
            first_rank=hits.first_rank + num_hits,
        ),
    )


def format_of(path: str | os.PathLike | None) -> str:
    """The format that a file's name ends with; "table" for other names."""
    ending = pathlib.Path(path or "").suffix.removeprefix(".").lower()
    return ending if ending in (*FORMATS, PARQUET) else "table"


def _origin(answer: query.Answer) -> dict[str, Any]:
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


def _answers(
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


def _hit_members(hit: index_lib.Hit) -> dict[str, Any]:
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


def _as_json(answer: query.Answer) -> str:
    return json.dumps(
        {
            "origin": _origin(answer),
            "answers": [
                {
                    "query": patch_members(patch),
                    "hits": [_hit_members(hit) for hit in hits],
                }
                for patch, hits in _answers(answer)
            ],
        },
        indent=2,
        allow_nan=False,
    )


def _as_csv(answer: query.Answer) -> str:
    """A row for each hit, or for a query without any, under one header."""
    made = _origin(answer)
    columns = list(patch_members(answer.queries[0]))
    text = io.StringIO()
    writer = csv.DictWriter(
        text,
        [
            *(f"query_{name}" for name in columns),
            *("rank", "distance", *columns, *made),
        ],
        lineterminator="\n",
    )
    writer.writeheader()
    for patch, hits in _answers(answer):
        asked = {f"query_{k}": v for k, v in patch_members(patch).items()}
        for found in [_hit_members(hit) for hit in hits] or [{}]:
            row = asked | found | made
            writer.writerow({k: _cell(value) for k, value in row.items()})
    return text.getvalue().rstrip("\n")


def _cell(value: object) -> object:
    if isinstance(value, list):
        value = "; ".join(value)
    return files.csv_cell(_shown(value)) if isinstance(value, str) else value


def _as_parquet(answer: query.Answer) -> bytes:
    """GeoParquet with a row for each hit."""
    made = _origin(answer)
    patches: list[patch_facts.Patch] = []
    rows: list[dict[str, Any]] = []
    for patch, hits in _answers(answer):
        patches += hits
        rows += [
            {
                "query": patch.name,
                **_hit_members(hit),
                "date_utc": hit.date,
                "synthetic": answer.synthetic,
            }
            for hit in hits
        ]
    shapes = [
        None if ring is None else geoparquet.polygons(ring[None])[0]
        for ring in _rings(patches)
    ]
    table = pa.Table.from_pylist(rows, _PARQUET_SCHEMA).append_column(
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


def _as_geojson(answer: query.Answer) -> str:
    """Footprints as in RFC 7946: degrees (WGS 84), longitude first."""
    patches: list[patch_facts.Patch] = []
    properties: list[dict[str, Any]] = []
    for patch, hits in _answers(answer):
        patches += [patch, *hits]
        asked = {"rank": None, "distance": None, **patch_members(patch)}
        properties += [
            {"role": "query", "query": patch.name, **asked},
            *(
                {"role": "hit", "query": patch.name, **_hit_members(hit)}
                for hit in hits
            ),
        ]
    rings = _rings(patches)
    return json.dumps(
        {
            "type": "FeatureCollection",
            "origin": _origin(answer),
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


def _as_table(answer: query.Answer) -> str:
    """A block for each query: the query and, a line each, its hits."""
    made = _origin(answer)
    blocks = []
    for patch, hits in _answers(answer):
        table = tabulate.tabulate(
            [
                _line("query", "", patch),
                *(
                    _line(str(hit.rank), f"{hit.distance:.4f}", hit)
                    for hit in hits
                ),
            ],
            headers=_HEADERS,
            tablefmt="plain",
            disable_numparse=True,
            colalign=("left", "right", *("left",) * 3, "right", "right"),
        )
        blocks.append(
            f"{_shown(patch.name)}: most similar patches "
            f"({made['distance_name']})\n{table}"
        )
    blocks.append(
        _shown(
            f"Model {made['model'] or 'of unknown architecture'} "
            f"({origin.short(made['model_fingerprint'])}), index of "
            f"{made['dataset'] or 'an unknown dataset'}, "
            f"{', '.join(made['splits'])}; {made['date']}, {made['software']}"
        )
    )
    if answer.synthetic:
        blocks.append(
            "Synthetic patches: these answers say nothing about BigEarthNet."
        )
    return "\n".join(blocks)


_HEADERS = (
    *("", "distance", "patch", "country", "date"),
    *("lon (deg)", "lat (deg)", "labels"),
)


def _line(
    number: str, distance: str, patch: patch_facts.Patch
) -> tuple[str, ...]:
    """A row of the table; "?" for what nobody knows."""
    return (
        number,
        distance,
        _shown(patch.name),
        patch.country or "?",
        str(patch.date or "?"),
        "?" if patch.longitude is None else f"{patch.longitude:.4f}",
        "?" if patch.latitude is None else f"{patch.latitude:.4f}",
        "?" if patch.labels is None else "; ".join(patch.labels),
    )


def _shown(text: str) -> str:
    """A text without what steers a terminal."""
    return "".join(x if x.isprintable() else "\ufffd" for x in text)


FORMATS: Mapping[str, Callable[[query.Answer], str]] = types.MappingProxyType(
    {
        "table": _as_table,
        "json": _as_json,
        "csv": _as_csv,
        "geojson": _as_geojson,
    }
)
