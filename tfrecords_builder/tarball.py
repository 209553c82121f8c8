"""The patches in a tarball, read without extracting them.

A compressed tarball is first inflated into one scratch file. Then the headers
are read once, and an index on disk says where each file lies, so that members
may come in any order and any process can read any patch: memory does not grow
with the archive.
"""

import os
import pathlib
import tarfile
import zlib
from collections.abc import Callable
from collections.abc import Iterator

import numpy as np
from isal import igzip
from isal import isal_zlib

from ben_tf import bigearthnet
from ben_tf import command_line
from tfrecords_builder import archive as archive_lib
from tfrecords_builder import errors

# More than either official tarball holds, inflated (S2: 104 GB, S1: 73 GB).
LARGEST_TAR_BYTES = {"S1": 80_000_000_000, "S2": 115_000_000_000}

_CHUNK_BYTES = 1 << 20
_BLOCK_BYTES = 512
_MAX_NAME_BYTES = 64


class TarSource:
    """One sensor's patches in an uncompressed tar file."""

    def __init__(
        self, tar_path: str | os.PathLike[str], index_path: str, sensor: str
    ):
        """Reads the headers and writes the index.

        Raises:
          errors.ArchiveError: A member has no business in the archive.
          command_line.UserError: The file is no whole tar file.
        """
        self._tar_path = os.fspath(tar_path)
        self._index_path = index_path
        self._columns = _columns(sensor)
        np.save(index_path, _make_index(self._tar_path, self._columns))
        self._index = None
        self._file = None

    def __getstate__(self):
        return self.__dict__ | {"_index": None, "_file": None}

    def patch_names(self) -> list[str]:
        """Returns the names of the patches."""
        return [name.decode() for name in self._open_index()["name"]]

    def file_names(self, patch_name: str) -> list[str]:
        """Returns the names of the files of a patch that are there."""
        row = self._find(patch_name)
        if row is None:
            return []
        return [
            patch_name + suffix
            for suffix, column in self._columns.items()
            if row["offset"][column]
        ]

    def read_file(self, patch_name: str, file_name: str) -> bytes:
        """Returns a whole file; see `archive.Source.read_file`."""
        place = f"{patch_name}/{file_name}"
        row = self._find(patch_name)
        column = self._columns[file_name.removeprefix(patch_name)]
        offset = int(row["offset"][column]) if row is not None else 0
        if not offset:
            raise archive_lib.missing_file(place, self._tar_path)
        size = int(row["size"][column])
        if size > archive_lib.MAX_FILE_BYTES:
            raise archive_lib.too_large_file(place)
        if self._file is None:
            self._file = open(self._tar_path, "rb", buffering=0)
        return os.pread(self._file.fileno(), size, offset)

    def _open_index(self) -> np.ndarray:
        if self._index is None:
            # Shared by all processes through the page cache.
            self._index = np.load(
                self._index_path, mmap_mode="r", allow_pickle=False
            )
        return self._index

    def _find(self, patch_name: str) -> np.void | None:
        index = self._open_index()
        name = patch_name.encode()
        row = np.searchsorted(index["name"], name)
        if row < len(index) and index["name"][row] == name:
            return index[row]
        return None


def inflate(
    source: pathlib.Path,
    target: pathlib.Path,
    *,
    max_bytes: int,
    progress: Callable[[int], None],
) -> None:
    """Inflates a .tar.gz file; reports each number of compressed bytes read.

    Raises:
      command_line.UserError: The file is damaged or larger than any tarball of
        the archive.
    """
    num_bytes = 0
    num_read = 0
    try:
        with (
            source.open("rb") as raw,
            igzip.GzipFile(fileobj=raw) as file,
            target.open("wb") as output,
        ):
            while chunk := file.read(_CHUNK_BYTES):
                num_bytes += len(chunk)
                if num_bytes > max_bytes:
                    raise command_line.UserError(
                        f"{source.name} inflates to more than {max_bytes:,} "
                        "bytes. Expected a tarball of BigEarthNet v1.0."
                    )
                output.write(chunk)
                progress(raw.tell() - num_read)
                num_read = raw.tell()
    except (EOFError, igzip.BadGzipFile, isal_zlib.error, zlib.error) as error:
        raise command_line.UserError(
            f"{source.name} is truncated or damaged ({error}). Download it "
            "again; --download resumes and checks it."
        ) from error


def _columns(sensor: str) -> dict[str, int]:
    """Returns the column of each file of a patch, by the end of its name."""
    bands = bigearthnet.S1_BANDS if sensor == "S1" else bigearthnet.S2_BANDS
    suffixes = [archive_lib.band_name("", band) for band in bands]
    suffixes.append(archive_lib.json_name(""))
    return {suffix: column for column, suffix in enumerate(suffixes)}


def _make_index(tar_path: str, columns: dict[str, int]) -> np.ndarray:
    """Returns one row a patch, sorted by name; offset 0 means missing."""
    dtype = np.dtype(
        [
            ("name", f"S{_MAX_NAME_BYTES}"),
            ("offset", np.uint64, len(columns)),
            ("size", np.uint64, len(columns)),
        ]
    )
    rows = np.zeros(1024, dtype)
    row_of: dict[str, int] = {}
    with open(tar_path, "rb", buffering=0) as file:
        for path, offset, size in _regular_members(file.fileno(), tar_path):
            parts = path.removeprefix("./").split("/")
            if parts[-1].startswith("."):
                continue  # Hidden files, as in a folder.
            if len(parts) != 3 or len(parts[1].encode()) > _MAX_NAME_BYTES:
                raise _refused(path, "no file of a patch")
            _, patch_name, file_name = parts
            row = row_of.setdefault(patch_name, len(row_of))
            if row == len(rows):
                rows = np.concatenate([rows, np.zeros_like(rows)])
            rows[row]["name"] = patch_name.encode()
            column = columns.get(file_name.removeprefix(patch_name))
            if column is None:
                continue  # Not part of the dataset, as in a folder.
            if rows[row]["offset"][column]:
                raise _refused(path, "there twice")
            rows[row]["offset"][column] = offset
            rows[row]["size"][column] = size
    rows = rows[: len(row_of)]
    return rows[np.argsort(rows["name"])]


def _regular_members(
    file_number: int, tar_path: str
) -> Iterator[tuple[str, int, int]]:
    """Yields (path, offset of the data, size) of each regular member.

    Reads the headers alone; TarFile would take seven times as long. Knows the
    three ways to store a long path: ustar's prefix, GNU's long name, pax.

    Raises:
      errors.ArchiveError: A member is a link, a device or the like, or would
        leave the folder that it is extracted to.
      command_line.UserError: The file ends early or holds no tar headers.
    """
    num_bytes = os.fstat(file_number).st_size
    position = 0
    long_path = None
    while True:
        header = os.pread(file_number, _BLOCK_BYTES, position)
        if header == bytes(_BLOCK_BYTES):
            return
        try:
            member = _parse_header(header)
        except (tarfile.HeaderError, ValueError) as error:
            raise command_line.UserError(
                f"{os.path.basename(tar_path)} is truncated or no tar file: no "
                f"header at byte {position:,}. Download it again."
            ) from error
        position += _BLOCK_BYTES
        path, kind, size = member
        next_position = position + -(-size // _BLOCK_BYTES) * _BLOCK_BYTES
        if size < 0 or next_position > num_bytes:
            raise command_line.UserError(
                f"{os.path.basename(tar_path)} is truncated: it ends within "
                f"{path!r}. Download it again."
            )
        if kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
            if size > _CHUNK_BYTES:
                raise _refused(path, "an oversized header")
            data = os.pread(file_number, size, position)
            if kind == tarfile.GNUTYPE_LONGNAME:
                long_path = _decode(data)
            else:
                long_path = _pax_path(data, path) or long_path
        elif kind != tarfile.XGLTYPE:
            path = long_path or path
            long_path = None
            _check_path(path)
            if kind in (tarfile.REGTYPE, tarfile.AREGTYPE):
                yield path, position, size
            elif kind != tarfile.DIRTYPE:
                raise _refused(path, "a link, a device or another special file")
        position = next_position


def _parse_header(header: bytes) -> tuple[str, bytes, int]:
    """Returns (path, type, size).

    Raises:
      tarfile.HeaderError, ValueError: It is no header.
    """
    if len(header) != _BLOCK_BYTES:
        raise ValueError("Too short.")
    # The checksum counts its own eight bytes as blanks.
    checksum = sum(header) - sum(header[148:156]) + 8 * 32
    if checksum != tarfile.nti(header[148:156]):
        raise ValueError("Wrong checksum.")
    path = _decode(header[:100])
    if header[257:263] == b"ustar\0" and header[345]:
        path = f"{_decode(header[345:500])}/{path}"
    return path, header[156:157], tarfile.nti(header[124:136])


def _pax_path(data: bytes, path: str) -> str | None:
    """Returns the path in a pax header: lines of `length key=value`."""
    found = None
    while data.strip(b"\0"):
        length, _, _ = data.partition(b" ")
        if not (
            length.isdigit()
            and len(length) < 8
            and 5 <= int(length) <= len(data)
        ):
            raise _refused(path, "a damaged pax header")
        line = data[len(length) + 1 : int(length)].rstrip(b"\n")
        key, _, value = line.partition(b"=")
        if key == b"path":
            found = value.decode("utf-8", "replace")
        elif key == b"size" or key.startswith(b"GNU.sparse"):
            raise _refused(path, "of a size that no patch has")
        data = data[int(length) :]
    return found


def _decode(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "replace")


def _check_path(path: str) -> None:
    if path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise _refused(path, "a path that leaves the archive")


def _refused(path: str, what: str) -> errors.ArchiveError:
    return errors.ArchiveError(
        f"The tar member {path[:200]!r}",
        f"is {what}. Expected only the folders and files of patches; download "
        "the tarball again.",
    )
