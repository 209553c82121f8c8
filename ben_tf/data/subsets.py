"""Splits and parts of splits, by position, country, season or label.

TFDS resolves `train[:10%]` and `train+validation`. Behind each split conditions
may follow, `train[country=Portugal|Ireland & season!=Winter]`. They are looked
up in the table of patches that lies next to the records, so that the number of
patches is exact before a record is read, and the others are never parsed.
"""

import dataclasses
import os
import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow_datasets as tfds

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.data import patch_table

# What conditions are about -> columns of the table.
_COLUMNS = {
    "country": ("country",),
    "season": ("season",),
    "label": ("labels_19", "labels_43"),
}
_CHOICES: Mapping[str, Sequence[str]] = {
    "country": bigearthnet.COUNTRIES,
    "season": bigearthnet.SEASONS,
    "label": tuple(
        dict.fromkeys((*bigearthnet.CLASSES_19, *bigearthnet.CLASSES_43))
    ),
}
# Of a split: what TFDS reads, and conditions, in which alone = occurs.
_TERM = re.compile(
    r"\s*([^\[\]=]+(?:\[[^\[\]=]*\])?)\s*(?:\[([^\[\]]*=[^\[\]]*)\])?\s*"
)
_CONDITION = re.compile(r"\s*(\w+)\s*(!?=)([^=]*)")
_BRACKETS = re.compile(r"\[[^\[\]]*\]")


@dataclasses.dataclass(frozen=True)
class Selection:
    """The records of a split or of a part of one.

    Attributes:
      files: TFDS's file instructions: what to read, in order, each a file, how
        many records to skip and how many to take.
      num_examples: Number of patches.
      names: The name of each record that is taken, one file after the other;
        "" for a patch that conditions leave out. None: there are no conditions.
    """

    files: Sequence[Any]
    num_examples: int
    names: Sequence[str] | None = None


@dataclasses.dataclass(frozen=True)
class _Condition:
    """Whether a patch has any of the values; or, negated, none of them."""

    about: str
    values: tuple[str, ...]
    is_negated: bool

    def holds(self, table: pa.Table) -> np.ndarray:
        """Returns (rows,) bool."""
        found = np.zeros(len(table), bool)
        wanted = pa.array(self.values, pa.string())
        for name in _COLUMNS[self.about]:
            column = table.column(name).combine_chunks()
            if pa.types.is_list(column.type):
                rows = pc.list_parent_indices(column).to_numpy()
                is_in = pc.is_in(pc.list_flatten(column), wanted)
                found[rows[is_in.to_numpy(zero_copy_only=False)]] = True
            else:
                is_in = pc.is_in(column, wanted)
                found |= is_in.to_numpy(zero_copy_only=False)
        return found ^ self.is_negated


def has_conditions(split: str) -> bool:
    """Whether a split asks for more than TFDS resolves."""
    return "=" in split


def base_names(split: str) -> set[str]:
    """Names of the splits that a split is a part of, such as {"train"}."""
    return set(re.findall(r"\w+", _BRACKETS.sub(" ", split)))


def select(builder: tfds.core.DatasetBuilder, split: str) -> Selection:
    """Finds the records of a split.

    Args:
      builder: From `built_dataset.open_dataset`.
      split: One of TFDS, such as "train" or "train[:10%]"; with conditions, as
        the head of this module describes.

    Raises:
      UserError: There is no such split, or no patch in it; a condition names
        what does not exist; or there is no table to look conditions up in.
    """
    if not has_conditions(split):
        found = _resolve(builder, split, split)
        return Selection(found.file_instructions, found.num_examples)
    terms = _parse(split)
    table = patch_table.read(builder)
    positions = patch_table.rows_of_files(builder, table)
    instructions: list[Any] = []
    names: list[np.ndarray] = []
    for tfds_split, conditions in terms:
        is_kept = np.ones(len(table), bool)
        for condition in conditions:
            is_kept &= condition.holds(table)
        kept_names = np.where(
            is_kept, table.column("patch_name").to_numpy(), ""
        )
        for part in _resolve(builder, tfds_split, split).file_instructions:
            rows = positions[os.fspath(part.filename)]
            taken = rows[part.skip : part.skip + part.take]
            instructions.append(part)
            names.append(kept_names[taken])
    joined = np.concatenate(names)
    num_examples = int((joined != "").sum())
    if not num_examples:
        raise _no_patch(builder, split)
    return Selection(instructions, num_examples, joined.tolist())


def _resolve(
    builder: tfds.core.DatasetBuilder, tfds_split: str, split: str
) -> tfds.core.SplitInfo:
    """TFDS's description of a split without conditions.

    Raises:
      UserError: There is no such split, or no patch in it.
    """
    try:
        info = builder.info.splits[tfds_split]
        if info.num_examples:
            return info
    except (KeyError, NotImplementedError, ValueError):
        pass
    raise _no_patch(builder, split)


def _no_patch(
    builder: tfds.core.DatasetBuilder, split: str
) -> errors.UserError:
    sizes = {name: s.num_examples for name, s in builder.info.splits.items()}
    return errors.UserError(
        f"The dataset in {builder.data_path} has no patch in split {split!r}. "
        f"Expected one of {sizes} or a part of it such as 'test[:100]' or "
        "'test[country=Portugal]'."
    )


# --- Conditions --------------------------------------------------------------


def _parse(split: str) -> list[tuple[str, list[_Condition]]]:
    """Splits of TFDS, each with its conditions.

    Raises:
      UserError: The text is none, or a condition names what does not exist.
    """
    terms = []
    # A plus that does not stand in brackets.
    for term in re.split(r"\+(?![^\[]*\])", split):
        match = _TERM.fullmatch(term)
        if match is None:
            raise _unreadable(split)
        terms.append(
            (
                match[1].strip(),
                [
                    _parse_condition(text, split)
                    for text in (match[2] or "").split("&")
                    if match[2]
                ],
            )
        )
    return terms


def _parse_condition(text: str, split: str) -> _Condition:
    match = _CONDITION.fullmatch(text)
    if match is None or match[1] not in _COLUMNS:
        raise _unreadable(split)
    about = match[1]
    known = {choice.casefold(): choice for choice in _CHOICES[about]}
    values = []
    for value in map(str.strip, match[3].split("|")):
        if value.casefold() not in known:
            raise errors.UserError(
                f"Unknown {about} {value!r} in split {split!r}. Expected any "
                f"of {', '.join(map(repr, _CHOICES[about]))}."
            )
        values.append(known[value.casefold()])
    return _Condition(about, tuple(values), match[2] == "!=")


def _unreadable(split: str) -> errors.UserError:
    return errors.UserError(
        f"Cannot read the conditions in split {split!r}. Expected them in one "
        "pair of brackets behind the split, about "
        f"{', '.join(_COLUMNS)}, such as "
        "'train[country=Portugal|Ireland & season!=Winter]' or "
        "'train[:10%][label=Pastures]'."
    )
