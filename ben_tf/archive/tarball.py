"""Reads patches from a tarball without extracting it.

A compressed tarball is inflated into one scratch file, and an index on disk
says where each file lies, so that members may come in any order and any
process can read any patch: memory does not grow with the archive.
"""

import functools
import io
import os
import pathlib
from collections.abc import Callable
from collections.abc import Container
from typing import Any

import numpy as np

from ben_tf import files
from ben_tf.archive import inflated_file
from ben_tf.archive import layout
from ben_tf.archive import patch_sources
from ben_tf.archive import tar_index


class TarSource:
    """One sensor's patches in a tar file."""

    def __init__(
        self,
        tar_path: pathlib.Path,
        sensor_layout: layout.SensorLayout,
        *,
        skip: Container[str] = (),
        scratch: pathlib.Path,
        progress: Callable[[int], None],
    ):
        """Reads the headers and writes the index; inflates a compressed one.

        Args:
          tar_path: The .tar, .tar.gz or .tar.zst file.
          sensor_layout: How its patches lie.
          skip: Names of patches to leave out, also of what is inflated.
          scratch: Existing folder for the index and the inflated file.
          progress: Called with each number of compressed bytes inflated.

        Raises:
          errors.ArchiveError: A member has no business in the archive.
          errors.UserError: The file is damaged or not a whole tar file.
        """
        # As the user has it; what is read may be inflated from it.
        self._name = tar_path.name
        self._tar_path = os.fspath(tar_path)
        files.check_regular(tar_path)
        if tar_path.suffix in inflated_file.SUFFIXES:
            inflated = scratch / tar_path.stem
            self._tar_path = os.fspath(inflated)
            with inflated_file.InflatedFile(
                tar_path,
                inflated,
                max_bytes=sensor_layout.largest_tar_bytes,
                progress=progress,
            ) as content:
                index = tar_index.make(
                    content.read_at,
                    tar_path.name,
                    sensor_layout,
                    skip=skip,
                    keep=content.keep,
                )
                content.inflate_rest()
        else:
            with tar_path.open("rb", buffering=0) as file:
                read_at = functools.partial(os.pread, file.fileno())
                index = tar_index.make(
                    read_at, tar_path.name, sensor_layout, skip=skip
                )
        self._layout = sensor_layout
        self._columns = tar_index.columns(sensor_layout)
        self._surplus = index.surplus
        self._index_path = os.fspath(scratch / f"{tar_path.name}.npy")
        np.save(self._index_path, index.patches)

    def __getstate__(self) -> dict[str, Any]:
        opened = ("_index", "_file")  # Each process opens its own.
        return {k: v for k, v in self.__dict__.items() if k not in opened}

    @functools.cached_property
    def _index(self) -> np.ndarray:
        # Shared by all processes through the page cache.
        return np.load(self._index_path, mmap_mode="r", allow_pickle=False)

    @functools.cached_property
    def _file(self) -> io.FileIO:
        return open(self._tar_path, "rb", buffering=0)

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
            if row["offset"][column]
        ] + self._surplus.get(patch_name, [])

    def read_file(self, patch_name: str, file_name: str) -> bytes:
        """Returns a whole file; see `patch_sources.Source.read_file`."""
        place = f"{self._layout.place_of(patch_name)}/{file_name}"
        row = self._find(patch_name)
        column = self._columns.get(file_name.removeprefix(patch_name))
        if row is None or column is None or not row["offset"][column]:
            raise patch_sources.missing_file(place, self._name)
        offset, size = int(row["offset"][column]), int(row["size"][column])
        if size > patch_sources.MAX_FILE_BYTES:
            raise patch_sources.too_large_file(place)
        try:
            return os.pread(self._file.fileno(), size, offset)
        except OSError as error:
            place = f"{self._name}/{place}"
            raise patch_sources.unreadable_file(place, error) from error

    def _find(self, patch_name: str) -> np.void | None:
        name = patch_name.encode()
        row = np.searchsorted(self._index["name"], name)
        if row < len(self._index) and self._index["name"][row] == name:
            return self._index[row]
        return None
