"""Reads patches by name, without reading the records before them.

The table of patches next to the records lists them in the order of the records,
so that the number of a patch in its split is known. Where that record begins is
found by walking over the frames of one file, twelve bytes a record.
"""

import collections
import os
import pathlib
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_datasets as tfds
from pyarrow import compute
from pyarrow import parquet

from ben_tf import errors
from ben_tf import files
from ben_tf.data import records
from ben_tf.data import tfrecord_files

TABLE_NAME = "patches.parquet"
# Files whose frames are remembered, a few kB each.
_MOST_FILES = 4096


class PatchReader:
    """Finds records by the name of their patch. Threads may share it."""

    def __init__(self, builder: tfds.core.DatasetBuilder):
        """Reads names and splits of all patches: 40 MB for 590,326.

        Args:
          builder: From `built_dataset.open_dataset`.

        Raises:
          UserError: The dataset has no table of patches, or it is damaged.
        """
        self._builder = builder
        self._path = pathlib.Path(builder.data_path) / TABLE_NAME
        try:
            table = parquet.read_table(
                self._path, columns=["patch_name", "split"]
            )
            self._names = table["patch_name"].cast(pa.string()).combine_chunks()
            splits = table["split"].cast(pa.string()).combine_chunks()
            encoded = splits.dictionary_encode()
            self._split_names = encoded.dictionary.to_pylist()
            # The last of them, None, for rows without a split.
            self._split_names.append(None)
            numbers = compute.fill_null(encoded.indices, -1)
            self._split_numbers = numbers.to_numpy(zero_copy_only=False)
        except (OSError, KeyError, pa.ArrowException) as error:
            raise errors.UserError(
                f"The table of patches {self._path} cannot be read: "
                f"{errors.first_line(error)}. Expected the file that python -m "
                "tfrecords_builder.build wrote."
            ) from error
        self._frames: collections.OrderedDict[str, list[tuple[int, int]]] = (
            collections.OrderedDict()
        )
        self._lock = threading.Lock()

    def splits_of(self, names: Sequence[str]) -> list[str | None]:
        """The split of each patch; None for a name that is not there."""
        return [
            None if row < 0 else self._split_names[self._split_numbers[row]]
            for row in self._rows(names)
        ]

    def read(
        self,
        names: Sequence[str],
        *,
        grids: Sequence[str],
        num_classes: int = 19,
        metadata: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Reads patches; 275 kB and a walk over one file each.

        Args:
          names: (B,) names, at least one.
          grids: As of `records.parse_batch`.
          num_classes: Likewise.
          metadata: Likewise.

        Returns:
          A batch in the order of `names`, as `input_pipeline.native_batches`
          yields them.

        Raises:
          UserError: A name that is not in the dataset; a record is damaged, or
            the table does not belong to the records.
        """
        serialized = [
            self._serialized(name, row)
            for name, row in zip(names, self._rows(names), strict=True)
        ]
        with records.explained_errors(self._builder):
            batch: dict[str, Any] = records.parse_batch(
                tf.constant(serialized),
                grids=grids,
                num_classes=num_classes,
                metadata=("patch_name", *metadata),
            )
        for name, found in zip(names, batch["patch_name"].numpy(), strict=True):
            if name != found.decode():
                raise errors.UserError(
                    f"The table of patches {self._path} does not belong to the "
                    f"records next to it: where it names {name}, they hold "
                    f"{found.decode()}. Build the dataset again with python -m "
                    "tfrecords_builder.build --overwrite."
                )
        return batch

    def _rows(self, names: Sequence[str]) -> np.ndarray:
        """(B,) names -> (B,) rows of the table, -1 for none."""
        wanted = pa.array(names, pa.string())
        rows = compute.index_in(wanted, value_set=self._names)
        return compute.fill_null(rows, -1).to_numpy(zero_copy_only=False)

    def _serialized(self, name: str, row: int) -> bytes:
        """The record of a row of the table."""
        if row < 0:
            raise errors.UserError(
                f"Patch {name} is not in the dataset in "
                f"{self._builder.data_path}. Correct the name or `data_dir`."
            )
        split_number = self._split_numbers[row]
        split = self._split_names[split_number]
        number = int((self._split_numbers[:row] == split_number).sum())
        info = self._builder.info.splits.get(split)
        for part in info.file_instructions if info else ():
            if number < part.examples_in_shard:
                return self._record(part.filename, number)
            number -= part.examples_in_shard
        raise errors.UserError(
            f"The table of patches {self._path} does not belong to the records "
            f"next to it: it has more patches of split {split!r}."
        )

    def _record(self, path: str | os.PathLike, number: int) -> bytes:
        """The data of one record of a file."""
        path = os.fspath(path)
        with self._lock:
            frames = self._frames.get(path)
        if frames is None:
            frames = [(x.start, x.length) for x in tfrecord_files.frames(path)]
            with self._lock:
                self._frames[path] = frames
                while len(self._frames) > _MOST_FILES:
                    self._frames.popitem(last=False)
        if number >= len(frames):
            raise errors.ArchiveError(
                path, f"is truncated: it ends before record {number}."
            )
        start, length = frames[number]
        with open(path, "rb", opener=files.regular) as file:
            data, is_intact = tfrecord_files.Frame(file, start, length).read()
        if not is_intact:
            raise errors.ArchiveError(
                path,
                f"is damaged: record {number} has another checksum than when "
                "it was written.",
            )
        return data
