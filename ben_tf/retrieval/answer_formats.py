"""Answers as text: a table for people, JSON, CSV and GeoJSON for programs.

Each says where the answer comes from: model, dataset, time and version, and
whether anything is synthetic.
"""

import csv
import dataclasses
import io
import json
import os
import pathlib
import re
import types
from collections.abc import Callable
from collections.abc import Mapping

import msgspec
import tabulate

from ben_tf import errors
from ben_tf import files
from ben_tf import origin
from ben_tf.retrieval import answer_facts as facts
from ben_tf.retrieval import answer_features
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import query

PARQUET = "parquet"
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


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
        return answer_features.as_parquet(answer)
    return f"{write(answer, format_name)}\n".encode()


def without_first(answer: query.Answer, num_hits: int) -> query.Answer:
    """Passes over the nearest hits of each query: those of an earlier page."""
    if not num_hits:
        return answer
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
            described=None,
        ),
    )


def format_of(path: str | os.PathLike | None) -> str:
    """The format that a file's name ends with; "table" for other names."""
    ending = pathlib.Path(path or "").suffix.removeprefix(".").lower()
    return ending if ending in (*FORMATS, PARQUET) else "table"


def _as_json(answer: query.Answer) -> str:
    content = msgspec.json.encode(
        {
            "origin": facts.origin_of(answer),
            "answers": [
                {
                    "query": facts.patch_members(patch),
                    "hits": [facts.hit_members(hit) for hit in hits],
                }
                for patch, hits in facts.answers_of(answer)
            ],
        }
    )
    text = msgspec.json.format(content, indent=2).decode()
    # As \u...: some of these steer a terminal.
    return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _as_csv(answer: query.Answer) -> str:
    """A row for each hit, or for a query without any, under one header."""
    made = facts.origin_of(answer)
    columns = list(facts.patch_members(answer.queries[0]))
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
    for patch, hits in facts.answers_of(answer):
        asked = {f"query_{k}": v for k, v in facts.patch_members(patch).items()}
        for found in [facts.hit_members(hit) for hit in hits] or [{}]:
            row = asked | found | made
            writer.writerow({k: _cell(value) for k, value in row.items()})
    return text.getvalue().rstrip("\n")


def _cell(value: object) -> object:
    if isinstance(value, list):
        value = "; ".join(value)
    return files.csv_cell(_shown(value)) if isinstance(value, str) else value


def _as_table(answer: query.Answer) -> str:
    """A block for each query: the query and, a line each, its hits."""
    made = facts.origin_of(answer)
    blocks = []
    for patch, hits in facts.answers_of(answer):
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
        "geojson": answer_features.as_geojson,
    }
)
