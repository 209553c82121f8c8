"""Reads the tables that come with BigEarthNet v2.0: one row a pair.

Two files lie beside the archive: one of the pairs that the splits are made of,
one of those with seasonal snow, clouds or shadows, which keep out of them.
"""

import functools
import os
import pathlib
import re
import types
from collections.abc import Iterator
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf.archive import layout
from ben_tf.archive import official_lists

TABLE, FLAGGED_TABLE = layout.V2.tables
# Column -> its type; the tables may have more.
COLUMNS = types.MappingProxyType(
    {
        "patch_id": pa.string(),
        "labels": pa.list_(pa.string()),
        "split": pa.string(),
        "country": pa.string(),
        "s1_name": pa.string(),
        "s2v1_name": pa.string(),
        "contains_seasonal_snow": pa.bool_(),
        "contains_cloud_or_shadow": pa.bool_(),
    }
)
# Indices have two digits here, and as many as needed in names of v1.0 and S1.
_S2_NAME = re.compile(
    r"S2[AB]_MSIL2A_(\d{8})T\d{6}_N9999_R\d{3}_T(\d\d[A-Z]{3})_(\d\d)_(\d\d)"
)
_REMEDY = (
    "Download it again from https://zenodo.org/records/10891137 (4 MB for both "
    "tables)."
)


def read(
    archive_dir: str | os.PathLike[str],
) -> Mapping[str, official_lists.OfficialPatch]:
    """Returns the pairs of BigEarthNet v2.0 by S2 name, sorted.

    Season is that of the patch in v1.0, which the tables lack; everything else
    is theirs. Country differs from that in v1.0 for 467 patches.

    Args:
      archive_dir: Folder that holds both tables, of an archive or of a dataset
        that was built of it.

    Raises:
      errors.UserError: A table is missing, damaged, or holds what no table of
        BigEarthNet does.
    """
    root = pathlib.Path(archive_dir)
    with official_lists.uncollected():
        patches = [
            *_patches(root / TABLE, are_flagged=False),
            *_patches(root / FLAGGED_TABLE, are_flagged=True),
        ]
    for what in ("s2_name", "s1_name", "v1_name"):
        if len({getattr(patch, what) for patch in patches}) < len(patches):
            raise errors.UserError(
                f"A patch stands twice in the tables of {root}, by its "
                f"{what}. {_REMEDY}"
            )
    patches.sort()
    return types.MappingProxyType({patch.s2_name: patch for patch in patches})


def _patches(
    path: pathlib.Path, *, are_flagged: bool
) -> Iterator[official_lists.OfficialPatch]:
    """Yields the rows of a table."""
    columns = _read(path)
    v1_patches = official_lists.official_patches()
    # One object for each distinct word instead of one for each row.
    words: dict[str, str] = {}
    for name, labels, split, country, s1_name, v1_name, snow, cloud in zip(
        *columns, strict=True
    ):
        of_v1 = v1_patches.get(v1_name)
        fault = _fault(name, s1_name, of_v1)
        if are_flagged != (snow or cloud):
            fault = "is in the wrong one of the two tables"
        elif split not in bigearthnet.V2_SPLIT_SIZES:
            fault = f"is in an unknown split, {split[:40]!r}"
        elif country not in bigearthnet.COUNTRIES:
            fault = f"is in an unknown country, {country[:40]!r}"
        if fault or of_v1 is None:
            raise errors.UserError(
                f"{path} holds what no table of BigEarthNet v2.0 does: "
                f"{name[:100]!r} {fault}. {_REMEDY}"
            )
        yield official_lists.OfficialPatch(
            s2_name=name,
            s1_name=of_v1.s1_name,
            country=words.setdefault(country, country),
            season=of_v1.season,
            split="excluded" if are_flagged else words.setdefault(split, split),
            seasonal_snow=snow,
            cloud_or_shadow=cloud,
            labels_19=labels,
            v1_name=of_v1.s2_name,
        )


def _fault(
    name: str, s1_name: str, of_v1: official_lists.OfficialPatch | None
) -> str:
    """What contradicts the official pairs of v1.0; "" if nothing does."""
    if of_v1 is None:
        return "names no patch of v1.0 that it was made of"
    if s1_name != of_v1.s1_name:
        return f"has another S1 patch than in v1.0, {of_v1.s1_name}"
    match = _S2_NAME.fullmatch(name)
    if not match:
        return "is not the name of a patch"
    date, tile, h, v = match.groups()
    place = f"_{tile}_{int(h)}_{int(v)}"
    if not s1_name.endswith(place) or f"_{date}T" not in of_v1.s2_name:
        return "is of another place or day than in v1.0"
    return ""


def _read(path: pathlib.Path) -> list[list]:
    """The columns of a table, in the order of `COLUMNS`; labels as names."""
    schema = pa.schema(COLUMNS.items())
    try:
        files.check_regular(path)
        with parquet.ParquetFile(path) as table_file:
            if table_file.metadata.num_rows > bigearthnet.V2_NUM_PATCHES:
                raise ValueError("it has more rows than v2.0 has patches")
            table = table_file.read(columns=list(COLUMNS)).select(list(COLUMNS))
        table = table.cast(schema)
        flat = [*table.columns, table["labels"].combine_chunks().flatten()]
        if any(column.null_count for column in flat):
            raise ValueError("a value is missing")
        columns = {
            name: table[name].to_pylist()
            for name in COLUMNS
            if name != "labels"
        }
        labels = _labels(table["labels"].combine_chunks())
    except FileNotFoundError as error:
        raise errors.UserError(
            f"No file {path}. Expected the tables {TABLE} and {FLAGGED_TABLE} "
            f"of BigEarthNet v2.0 beside its folders or tarballs, and beside "
            f"the records built of them. {_REMEDY}"
        ) from error
    except (KeyError, ValueError, pa.ArrowException) as error:
        raise errors.UserError(
            f"{path} is damaged or not a table of BigEarthNet v2.0: "
            f"{errors.first_line(error)}. Expected the columns "
            f"{', '.join(COLUMNS)}. {_REMEDY}"
        ) from error
    return [labels if name == "labels" else columns[name] for name in COLUMNS]


def _labels(lists: pa.ListArray) -> list[tuple[str, ...]]:
    """Lists of names -> names in the order of `CLASSES_19`.

    Raises:
      ValueError: A list is empty, or names no class of the 19, or one twice.
    """
    encoded = lists.flatten().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    if unknown := sorted(set(names) - set(bigearthnet.CLASSES_19)):
        raise ValueError(f"the unknown label {unknown[0][:100]!r}")
    sizes = lists.value_lengths().to_numpy(zero_copy_only=False)
    if not len(sizes):
        return []
    if not sizes.min():
        raise ValueError("a patch without a label")
    bit_of = np.array(
        [1 << bigearthnet.CLASSES_19.index(name) for name in names], np.int64
    )
    bits = bit_of[encoded.indices.to_numpy(zero_copy_only=False)]
    starts = np.cumsum(sizes) - sizes
    # Of each list the sum; a label that stands twice makes another class's bit.
    sums = np.add.reduceat(bits, starts)
    if (sums != np.bitwise_or.reduceat(bits, starts)).any():
        raise ValueError("a patch with the same label twice")
    return [_names(int(found)) for found in sums]


@functools.cache
def _names(bits: int) -> tuple[str, ...]:
    return tuple(
        name
        for index, name in enumerate(bigearthnet.CLASSES_19)
        if bits >> index & 1
    )
