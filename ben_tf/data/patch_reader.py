"""Reads patches by name, without reading the records before them.

The table of patches next to the records lists them in the order of the records,
so that the number of a patch in its split is known. Where that record begins is
found by walking over the frames of one file, twelve bytes a record.
"""

import collections
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_datasets as tfds
from pyarrow import compute

from ben_tf import errors
from ben_tf import files
from ben_tf.data import patch_table
from ben_tf.data import records
from ben_tf.data import tfrecord_files

# Files whose frames are remembered, a few kB each.
_MOST_FILES = 4096


class PatchReader:
    """Finds records by the name of their patch. Threads may share it."""

    def __init__(self, builder: tfds.core.DatasetBuilder):
        """Reads the names of all patches, and where their records are.

        Args:
          builder: From `built_dataset.open_dataset`.

        Raises:
          UserError: As `patch_table.read`.
        """
        table = patch_table.read(builder)
        self._builder = builder
        self._names = table["patch_name"].combine_chunks()
        # Of each row: which file, and which record in it.
        self._files: list[str] = []
        self._file_numbers = np.zeros(len(self._names), np.int32)
        self._record_numbers = np.zeros(len(self._names), np.int32)
        for path, rows in patch_table.rows_of_files(builder, table).items():
            self._file_numbers[rows] = len(self._files)
            self._record_numbers[rows] = np.arange(len(rows))
            self._files.append(path)
        self._frames: collections.OrderedDict[str, list[tuple[int, int]]] = (
            collections.OrderedDict()
        )
        self._lock = threading.Lock()

    def has(self, names: Sequence[str]) -> list[bool]:
        """Whether each of these patches is in the dataset."""
        return [row >= 0 for row in self._rows(names)]

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
                    f"{patch_table.FILE_NAME} in {self._builder.data_path} "
                    f"does not belong to the records: where it names {name}, "
                    f"they hold {found.decode()}. Build the dataset again with "
                    "python -m tfrecords_builder.build --overwrite."
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
        return self._record(
            self._files[self._file_numbers[row]],
            int(self._record_numbers[row]),
        )

    def _record(self, path: str, number: int) -> bytes:
        """The data of one record of a file."""
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
