"""Reads a table that somebody made, CSV or Parquet, as rows of text."""

import csv
import datetime
import io
import pathlib
from collections.abc import Mapping

from ben_tf import errors
from ben_tf import files

Row = Mapping[str, str]

# Between the items of a list, which CSV does not have.
LIST_SEPARATOR = ";"
_MOST_BYTES = 500_000_000
# Parquet may hold much more than its bytes: it is read piece by piece.
_ROWS_AT_ONCE = 1000


def read(path: pathlib.Path) -> tuple[list[str], list[Row]]:
    """Returns the names of the columns as they are, and the rows.

    Cells have no space around them; an empty one of Parquet is "", a list has
    `LIST_SEPARATOR` between its items, dates are as in ISO 8601.

    Raises:
      errors.UserError: The file is missing, damaged or too large.
    """
    try:
        with open(path, "rb", opener=files.regular) as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise _too_large()
        return (_of_parquet if data.startswith(b"PAR1") else _of_csv)(data)
    except FileNotFoundError as error:
        raise errors.UserError(
            f"There is no table {path}. Expected a CSV or Parquet file with a "
            "row for each patch."
        ) from error
    except (OSError, ValueError, csv.Error) as error:
        raise errors.UserError(
            f"The table {path} cannot be read: {errors.first_line(error)}. "
            "Expected CSV in UTF-8 with commas, or Parquet."
        ) from error


def _too_large() -> ValueError:
    return ValueError(f"it holds more than {_MOST_BYTES:,} bytes")


def _of_csv(data: bytes) -> tuple[list[str], list[Row]]:
    # Spreadsheets put a mark in front of UTF-8.
    lines = csv.reader(
        io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True
    )
    columns = [name.strip() for name in next(lines, [])]
    rows: list[Row] = []
    for cells in lines:
        if not cells:
            continue
        if len(cells) != len(columns):
            raise ValueError(
                f"line {lines.line_num} has {len(cells)} cells, the first line "
                f"{len(columns)}"
            )
        rows.append(dict(zip(columns, map(str.strip, cells), strict=True)))
    return columns, rows


def _of_parquet(data: bytes) -> tuple[list[str], list[Row]]:
    # Here, because it takes a while to import.
    import pyarrow as pa
    from pyarrow import parquet

    rows: list[Row] = []
    num_bytes = 0
    try:
        content = parquet.ParquetFile(pa.BufferReader(data))
        columns = content.schema_arrow.names
        for batch in content.iter_batches(_ROWS_AT_ONCE):
            num_bytes += batch.nbytes
            if num_bytes > _MOST_BYTES:
                raise _too_large()
            cells = [map(_text, x.to_pylist()) for x in batch.columns]
            rows += (
                dict(zip(columns, row, strict=True))
                for row in zip(*cells, strict=True)
            )
    except pa.ArrowException as error:
        raise ValueError(errors.first_line(error)) from error
    return columns, rows


def _text(value: object) -> str:
    """A cell of Parquet as it would be in CSV."""
    if value is None:
        return ""
    if isinstance(value, list):
        return LIST_SEPARATOR.join(map(_text, value))
    if isinstance(value, datetime.date):  # A time is one as well.
        return value.isoformat()
    return str(value).strip()
