"""The table of patches next to the records: patches.parquet.

The builder writes a row for each record, splits in one piece and rows in the
order of their records, so that a row says where its record is.
"""

import functools
import os
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow_datasets as tfds
from pyarrow import parquet

from ben_tf import errors
from ben_tf import files

FILE_NAME = "patches.parquet"


def exists(builder: tfds.core.DatasetBuilder) -> bool:
    """Whether the dataset has a table; those of other builders have none."""
    return (pathlib.Path(builder.data_path) / FILE_NAME).exists()


def read(builder: tfds.core.DatasetBuilder) -> pa.Table:
    """Reads the columns that patches are looked up by.

    Args:
      builder: From `built_dataset.open_dataset`.

    Returns:
      Columns patch_name, split, country and season, text, and labels_19 and
      labels_43, lists of text.

    Raises:
      UserError: There is none, or it is damaged, or not one of these records.
    """
    path = pathlib.Path(builder.data_path) / FILE_NAME
    try:
        state = path.stat()
    except OSError as error:
        raise _bad_table(path, error.strerror or str(error)) from error
    sizes = [info.num_examples for info in builder.info.splits.values()]
    return _read_table(path, (state.st_size, state.st_mtime_ns), sum(sizes))


# One command asks several times; the table of v1.0 has 590,326 rows.
@functools.lru_cache(maxsize=1)
def _read_table(
    path: pathlib.Path, state: tuple[int, int], num_rows: int
) -> pa.Table:
    """As `read`.

    Raises:
      UserError: The table is damaged, or not one of so many records.
    """
    del state  # Tells one table from the next under the same name.
    kinds = {
        "patch_name": pa.string(),
        "split": pa.string(),
        "country": pa.string(),
        "season": pa.string(),
        "labels_19": pa.list_(pa.string()),
        "labels_43": pa.list_(pa.string()),
    }
    try:
        with open(path, "rb", opener=files.regular) as file:
            content = parquet.ParquetFile(file)
            if content.metadata.num_rows != num_rows:
                raise ValueError(
                    f"it has {content.metadata.num_rows:,} rows. Expected one "
                    f"for each of {num_rows:,} records"
                )
            table = content.read(columns=list(kinds))
        # Also that text is text.
        table.validate(full=True)
        columns = [table.column(name).cast(kinds[name]) for name in kinds]
        # A patch that is left out has the name "".
        if not pc.all(pc.greater(table.column("patch_name"), "")).as_py():
            raise ValueError("it has rows without a name")
        return pa.table(columns, names=list(kinds))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise _bad_table(path, errors.first_line(error)) from error


def rows_of_files(
    builder: tfds.core.DatasetBuilder, table: pa.Table
) -> dict[str, np.ndarray]:
    """File of records -> the row of each of its records.

    Raises:
      UserError: The table has not as many rows of a split as the records say.
    """
    splits = table.column("split").to_numpy()
    positions = {}
    for name, info in builder.info.splits.items():
        rows = np.flatnonzero(splits == name)
        if len(rows) != info.num_examples:
            raise _bad_table(
                pathlib.Path(builder.data_path) / FILE_NAME,
                f"it has {len(rows):,} rows of split {name!r}. Expected "
                f"{info.num_examples:,}",
            )
        ends = np.cumsum(info.shard_lengths)
        for path, part in zip(
            info.filepaths, np.split(rows, ends[:-1]), strict=True
        ):
            positions[os.fspath(path)] = part
    return positions


def _bad_table(path: pathlib.Path, fault: str) -> errors.UserError:
    return errors.UserError(
        f"The table of patches {path} cannot be used: {fault}. Bring it back "
        "from a copy, or build the dataset again with python -m "
        "tfrecords_builder.build --overwrite."
    )
