"""Reads the table in which somebody lists patches of their own: CSV or Parquet.

A row a patch. Columns: `patch_name`, `labels`, `split`; if you like `country`,
`season`, `s1_date` and `s2_date`; and where the files are, `own_paths`.
The table may come from anywhere: all of it is checked before a file is opened.
"""

import csv
import dataclasses
import datetime
import io
import itertools
import os
import pathlib
import re
import types
from collections.abc import Mapping
from collections.abc import Sequence

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import own_paths
from ben_tf.archive import table_rows

# The copy without files that lies next to the records.
LIST_FILE = layout.OWN.tables[0]
NEEDED = ("patch_name", "labels", "split")
OPTIONAL = ("country", "season", "s1_date", "s2_date")
# What parts the labels of a patch; names of classes hold commas.
LABEL_SEPARATOR = table_rows.LIST_SEPARATOR
_LONGEST_NAME = 200
# Folders from a file to that of its archive, in which scenes have folders, and
# the file itself.
_DEEPEST = 5


@dataclasses.dataclass(frozen=True)
class OwnTable:
    """Patches of one's own.

    Attributes:
      pairs: Name -> what is known of the patch. Both sensors share its name.
      nomenclatures: Numbers of classes that the patches have labels of.
      paths: Sensor that there are files of -> column -> a path for each patch,
        in the order of `pairs`; "" where the table has none.
    """

    pairs: Mapping[str, official_lists.OfficialPatch]
    nomenclatures: tuple[int, ...]
    paths: Mapping[str, Mapping[str, Sequence[str]]]


def read(
    path: str | os.PathLike[str],
    *,
    files_dir: str | os.PathLike[str] | None = None,
) -> OwnTable:
    """Reads and checks a table.

    Args:
      path: A .parquet or CSV file.
      files_dir: The folder that paths in it are relative to, and that none of
        them leaves; None: that of the table.

    Raises:
      errors.UserError: It is missing or damaged, or a row holds what cannot be.
    """
    path = pathlib.Path(path)
    columns, rows = _read_rows(path)
    sensors = own_paths.columns_of_sensors(path, columns)
    if not sensors:
        raise errors.UserError(
            f"{path} does not say where the files of the patches are. Expected "
            "a column s1_folder or s2_folder, or columns with the names of "
            "grids or bands."
        )
    pairs, nomenclatures = _pairs(path, rows)
    root = os.path.abspath(files_dir or path.parent)
    paths = {
        sensor: {
            column: [
                own_paths.inside(root, row[column], f"{path}, row {number}")
                for number, row in enumerate(rows, start=1)
            ]
            for column in used
        }
        for sensor, used in sensors.items()
    }
    return OwnTable(pairs, nomenclatures, paths)


def read_list(
    path: str | os.PathLike[str],
) -> Mapping[str, official_lists.OfficialPatch]:
    """Returns what a table, or its copy next to records, says of the patches.

    Args:
      path: The file.

    Raises:
      errors.UserError: As of `read`.
    """
    path = pathlib.Path(path)
    _, rows = _read_rows(path)
    return _pairs(path, rows)[0]


def list_text(table: OwnTable) -> str:
    """The copy of a table that lies next to the records, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*NEEDED, *OPTIONAL))
    for pair in table.pairs.values():
        labels = pair.labels_43 if 43 in table.nomenclatures else pair.labels_19
        writer.writerow(
            (
                pair.s2_name,
                LABEL_SEPARATOR.join(labels),
                pair.split,
                pair.country,
                pair.season,
                pair.s1_time,
                pair.s2_time,
            )
        )
    return text.getvalue()


def is_synthetic(table: OwnTable, path: str | os.PathLike[str]) -> bool:
    """Whether a folder of the table or above the files says so.

    Args:
      table: What it lists.
      path: The table.
    """
    folders = {os.path.dirname(os.path.abspath(path))}
    for columns in table.paths.values():
        for file in itertools.chain(*columns.values()):
            folder = file
            for _ in range(_DEEPEST):
                if not folder or folder in folders:
                    break
                folders.add(folder)
                folder = os.path.dirname(folder)
    return any(map(layout.is_synthetic, folders))


# --- Columns -----------------------------------------------------------------


def _read_rows(path: pathlib.Path) -> tuple[list[str], list[table_rows.Row]]:
    """Names of the columns, and rows of text.

    Raises:
      errors.UserError: The file is missing, damaged or too large, or has not
        the columns of a table.
    """
    columns, rows = table_rows.read(path)
    files_of_all = [x for y in own_paths.COLUMNS.values() for x in y]
    known = (*NEEDED, *OPTIONAL, *files_of_all)
    faults = {
        "lacks the columns": [x for x in NEEDED if x not in columns],
        "has twice the columns": sorted(
            {x for x in columns if columns.count(x) > 1}
        ),
        "has the unknown columns": [x for x in columns if x not in known],
    }
    for fault, names in faults.items():
        if names:
            raise errors.UserError(
                f"{path} {fault} {', '.join(repr(x[:40]) for x in names[:5])}. "
                f"Expected {', '.join(NEEDED)}; if you like "
                f"{', '.join(OPTIONAL)}; and, of files, any of "
                f"{', '.join(files_of_all)}."
            )
    if not rows:
        raise errors.UserError(f"{path} lists no patch.")
    return columns, rows


# --- What is known of a patch ------------------------------------------------


def _pairs(
    path: pathlib.Path, rows: Sequence[table_rows.Row]
) -> tuple[Mapping[str, official_lists.OfficialPatch], tuple[int, ...]]:
    """Name -> patch, and the nomenclatures of their labels.

    Raises:
      errors.UserError: A row holds what cannot be, or a name is there twice.
    """
    labels = [_labels(row, path, n) for n, row in enumerate(rows, start=1)]
    nomenclatures = _nomenclatures(path, labels)
    pairs: dict[str, official_lists.OfficialPatch] = {}
    for number, (row, of_row) in enumerate(
        zip(rows, labels, strict=True), start=1
    ):
        place = f"{path}, row {number}"
        name = row["patch_name"]
        if (
            not re.fullmatch(bigearthnet.PATCH_NAME, name)
            or len(name) > _LONGEST_NAME
        ):
            raise errors.UserError(
                f"{place}: {name[:_LONGEST_NAME]!r} cannot be the name of a "
                f"patch. Expected at most {_LONGEST_NAME} letters without "
                "accents, digits and _ . - with a letter, a digit or _ first."
            )
        if name in pairs:
            raise errors.UserError(
                f"{place}: the patch {name} is listed twice. Expected a name "
                "of its own for each."
            )
        for column, choices, is_needed in (
            ("split", bigearthnet.SPLIT_SIZES, True),
            ("country", bigearthnet.COUNTRIES, False),
            ("season", bigearthnet.SEASONS, False),
        ):
            value = row.get(column, "")
            if value not in choices and (value or is_needed):
                raise errors.UserError(
                    f"{place}: unknown {column} {value[:40]!r}. Expected one "
                    f"of {', '.join(choices)}"
                    f"{'' if is_needed else ', or an empty cell'}."
                )
        has_43 = len(bigearthnet.CLASSES_43) in nomenclatures
        pairs[name] = official_lists.OfficialPatch(
            s2_name=name,
            s1_name=name,
            country=row.get("country", ""),
            season=row.get("season", ""),
            split=row["split"],
            seasonal_snow=False,
            cloud_or_shadow=False,
            labels_19=bigearthnet.labels_43_to_19(of_row)
            if has_43
            else _in_order(of_row, bigearthnet.CLASSES_19),
            labels_43=_in_order(of_row, bigearthnet.CLASSES_43)
            if has_43
            else (),
            s1_time=_date(row.get("s1_date", ""), place),
            s2_time=_date(row.get("s2_date", ""), place),
        )
    return types.MappingProxyType(pairs), nomenclatures


def _labels(
    row: table_rows.Row, path: pathlib.Path, number: int
) -> frozenset[str]:
    """Names of the classes of a patch."""
    names = [name.strip() for name in row["labels"].split(LABEL_SEPARATOR)]
    found = frozenset(filter(None, names))
    for name in sorted(found):
        if name not in bigearthnet.CLASSES_19 + bigearthnet.CLASSES_43:
            raise errors.UserError(
                f"{path}, row {number}: {name[:100]!r} is no class of the 19 "
                "or the 43 of BigEarthNet. Expected their names with "
                f"{LABEL_SEPARATOR} between them, as docs/data.md lists them."
            )
    if not found:
        raise errors.UserError(
            f"{path}, row {number}: there is no label. Expected at least one; "
            "python -m ben_tf.predict takes patches without labels."
        )
    return found


def _nomenclatures(
    path: pathlib.Path, labels: Sequence[frozenset[str]]
) -> tuple[int, ...]:
    """Both nomenclatures if all labels are of the finer one, else the coarser.

    Raises:
      errors.UserError: Some labels are of the one alone, some of the other.
    """
    found = frozenset().union(*labels)
    finer = sorted(found.difference(bigearthnet.CLASSES_19))
    coarser = sorted(found.difference(bigearthnet.CLASSES_43))
    if finer and coarser:
        raise errors.UserError(
            f"{path} mixes two nomenclatures: {finer[0]!r} is of the 43 "
            f"classes alone, {coarser[0]!r} of the 19. Expected those of one."
        )
    return (19,) if coarser else (19, 43)


def _in_order(names: frozenset[str], classes: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in classes if name in names)


def _date(text: str, place: str) -> str:
    """A date or a time in ISO 8601, in UTC; "" stays.

    Raises:
      errors.UserError: It is neither.
    """
    if not text:
        return ""
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    try:
        time = datetime.datetime.fromisoformat(text)
        if time.tzinfo is not None:
            time = time.astimezone(datetime.UTC).replace(tzinfo=None)
        return time.isoformat()
    except (ValueError, OverflowError) as error:
        raise errors.UserError(
            f"{place}: {text[:40]!r} is no date. Expected one such as "
            "2017-06-13 or 2017-06-13T10:10:31."
        ) from error
