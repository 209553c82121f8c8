"""Reads patches from a tarball without extracting it.

A compressed tarball is inflated into scratch files, and an index on disk says
where each file lies, so that members may come in any order and any process can
read any patch: memory does not grow with the archive.
"""

import functools
import io
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from ben_tf import files
from ben_tf.archive import inflated_file
from ben_tf.archive import layout
from ben_tf.archive import patch_sources
from ben_tf.archive import scratch_files
from ben_tf.archive import tar_index


class TarSource:
    """One sensor's patches in a tar file."""

    def __init__(
        self,
        tar_path: pathlib.Path,
        sensor_layout: layout.SensorLayout,
        *,
        selection: tar_index.Selection = tar_index.ALL,
        order: scratch_files.Order = scratch_files.any_order,
        scratch: pathlib.Path,
        progress: Callable[[int], None],
    ):
        """Reads the headers and writes the index; inflates a compressed one.

        Args:
          tar_path: The .tar, .tar.gz or .tar.zst file.
          sensor_layout: How its patches lie.
          selection: What to take of it; the rest is not written either.
          order: In which the patches will be read, if known.
          scratch: Existing folder for the index and the inflated files.
          progress: Called with each number of compressed bytes inflated.

        Raises:
          errors.ArchiveError: A member has no business in the archive.
          errors.UserError: The file is damaged or not a whole tar file.
        """
        self._name = tar_path.name
        self._layout = sensor_layout
        self._columns = tar_index.columns(sensor_layout)
        files.check_regular(tar_path)
        # What is read: the tar file itself, or the files inflated from it,
        # whose names begin with this.
        self._tar_path = os.fspath(tar_path)
        self._inflated: str | None = None
        # Size of the inflated files.
        self.scratch_bytes = 0
        if tar_path.suffix in inflated_file.SUFFIXES:
            self._inflated = os.fspath(scratch / tar_path.stem)
            index = self._inflate(self._inflated, selection, order, progress)
        else:
            with tar_path.open("rb", buffering=0) as file:
                read_at = functools.partial(os.pread, file.fileno())
                index = tar_index.make(
                    read_at, self._name, sensor_layout, selection=selection
                )
        self._surplus = index.surplus
        self._index_path = os.fspath(scratch / f"{self._name}.npy")
        np.save(self._index_path, index.patches)
        # Number and handle of the file that was read last.
        self._open: tuple[int, io.FileIO] | None = None

    def _inflate(
        self,
        inflated: str,
        selection: tar_index.Selection,
        order: scratch_files.Order,
        progress: Callable[[int], None],
    ) -> tar_index.TarIndex:
        with (
            scratch_files.ScratchFiles(inflated, order) as scratch,
            inflated_file.InflatedFile(
                pathlib.Path(self._tar_path),
                max_bytes=self._layout.largest_tar_bytes,
                progress=progress,
            ) as content,
        ):

            def keep(
                patch_name: str, start: int, num_bytes: int
            ) -> tuple[int, int]:
                place = scratch.place(patch_name, num_bytes)
                content.keep(start, num_bytes, place.file)
                return place.number, place.position

            index = tar_index.make(
                content.read_at,
                self._name,
                self._layout,
                selection=selection,
                keep=keep,
            )
            content.inflate_rest()
        self.scratch_bytes = scratch.num_bytes
        return index

    def __getstate__(self) -> dict[str, Any]:
        # Each process opens its own.
        state = self.__dict__ | {"_open": None}
        return {k: v for k, v in state.items() if k != "_index"}

    @functools.cached_property
    def _index(self) -> np.ndarray:
        # Shared by all processes through the page cache.
        return np.load(self._index_path, mmap_mode="r", allow_pickle=False)

    def _file(self, number: int) -> io.FileIO:
        # One at a time: one that stays open keeps the disk that it takes.
        if self._open is None or self._open[0] != number:
            path = self._tar_path
            if self._inflated:
                path = scratch_files.path(self._inflated, number)
            self._open = (number, open(path, "rb", buffering=0))
        return self._open[1]

    def patch_names(self) -> list[str]:
        """Returns the names of the patches."""
        return [name.decode() for name in self._index["name"]]

    def file_names(self, patch_name: str) -> list[str]:
        """Returns the names of the entries that are not hidden."""
        row = self._find(patch_name)
        if row is None:
            return []
        return [
            patch_name + suffix
            for suffix, column in self._columns.items()
            if row["offset"][column] != tar_index.MISSING
        ] + self._surplus.get(patch_name, [])

    def read_file(self, patch_name: str, file_name: str) -> bytes:
        """Returns a whole file; see `patch_sources.Source.read_file`."""
        place = f"{self._layout.place_of(patch_name)}/{file_name}"
        row = self._find(patch_name)
        column = self._columns.get(file_name.removeprefix(patch_name))
        if (
            row is None
            or column is None
            or row["offset"][column] == tar_index.MISSING
        ):
            raise patch_sources.missing_file(place, self._name)
        offset, size = int(row["offset"][column]), int(row["size"][column])
        if size > patch_sources.MAX_FILE_BYTES:
            raise patch_sources.too_large_file(place)
        try:
            # Another thread may go on to another file meanwhile.
            file = self._file(int(row["file"]))
            return os.pread(file.fileno(), size, offset)
        except OSError as error:
            place = f"{self._name}/{place}"
            raise patch_sources.unreadable_file(place, error) from error

    def drop_before(self, patch_name: str) -> None:
        """See `patch_sources.Source.drop_before`."""
        row = self._find(patch_name)
        if self._inflated and row is not None:
            scratch_files.drop(self._inflated, range(int(row["file"])))

    def _find(self, patch_name: str) -> np.void | None:
        name = patch_name.encode()
        row = np.searchsorted(self._index["name"], name)
        if row < len(self._index) and self._index["name"][row] == name:
            return self._index[row]
        return None
