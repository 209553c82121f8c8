"""Indexes a tar file: where each file of each patch lies.

Reads the headers alone, front to back, and knows the three ways to store a
long path: ustar's prefix, GNU's long name, pax.

A reader of our own is here for its speed: `tarfile.TarFile` takes seven times
as long, and with this one a conversion from .tar runs at 0.97 times its speed
from folders (`benchmarks/build.py`; see `geotiff` for the rest).
"""

import tarfile
from collections.abc import Callable
from collections.abc import Container
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import layout
from ben_tf.archive import patch_sources

# (number of bytes, position) -> the bytes, fewer at the end of the file.
ReadAt = Callable[[int, int], bytes]

# (name of a patch, position, number of bytes) of one of its files -> (number of
# the file that will hold it, position there).
Keep = Callable[[str, int, int], tuple[int, int]]

BLOCK_BYTES = 512
MISSING = -1

_END = bytes(BLOCK_BYTES)
_MAX_LONG_HEADER_BYTES = 1 << 16
_MAX_NAME_BYTES = 64
# What no file system can hold cannot come from one: the longest name of a file,
# and more bytes than any archive has.
_MAX_FILE_NAME_BYTES = 255
_MAX_FILE_BYTES = 1 << 40
# They are kept in memory; the archive has none.
_MAX_SURPLUS = 100_000
_MAX_PATCHES = bigearthnet.NUM_PATCHES + _MAX_SURPLUS
_FILE_KINDS = (tarfile.REGTYPE, tarfile.AREGTYPE)
# They tell of the member that follows, or of all.
_HEADER_KINDS = (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE)


class Selection(NamedTuple):
    """What to take of a tar file.

    Attributes:
      skip: Names of patches to leave out, as if they were not there.
      endings: What the names of files to take have after that of their patch;
        None: all. The others count as missing.
    """

    skip: Container[str] = frozenset()
    endings: Container[str] | None = None


ALL = Selection()


class TarIndex(NamedTuple):
    """What a tar file holds.

    Attributes:
      patches: One row a patch, sorted by `name`: the number of the `file` that
        holds it, and `offset` and `size` of each of its own files in that, in
        bytes; offset `MISSING` where there is none.
      surplus: Names of the files that do not belong to their patch, by patch.
    """

    patches: np.ndarray
    surplus: dict[str, list[str]]


def columns(sensor_layout: layout.SensorLayout) -> dict[str, int]:
    """Returns the column of each file of a patch, by the end of its name."""
    return {ending: i for i, ending in enumerate(sensor_layout.endings)}


def make(
    read_at: ReadAt,
    tar_name: str,
    sensor_layout: layout.SensorLayout,
    *,
    selection: Selection = ALL,
    keep: Keep = lambda patch_name, offset, size: (0, offset),
) -> TarIndex:
    """Indexes a tar file by reading all its headers.

    Args:
      read_at: Reads the tar file; called with growing positions.
      tar_name: Name of the tar file, for error messages.
      sensor_layout: How its patches lie.
      selection: What to take of it.
      keep: Called for each file of the index before what follows it is read;
        default: it stays where it is. All files of a patch go to the same one.

    Raises:
      errors.ArchiveError: A member has no business in the archive.
      errors.UserError: The file is not a whole tar file.
    """
    column_of = columns(sensor_layout)
    # Top folder, and that of the scene where there is one.
    depth = 2 if sensor_layout.scene_parts else 1
    dtype = np.dtype(
        [
            ("name", f"S{_MAX_NAME_BYTES}"),
            ("file", np.uint8),
            ("offset", np.int64, (len(column_of),)),
            ("size", np.int64, (len(column_of),)),
        ]
    )
    rows = _no_rows(dtype, 1024)
    row_of: dict[str, int] = {}
    surplus: dict[str, list[str]] = {}
    num_surplus = 0
    for path, offset, size in _members(read_at, tar_name):
        parts = path.removeprefix("./").rstrip("/").split("/")
        is_folder = offset is None
        if (is_folder and len(parts) <= depth) or parts[-1].startswith("."):
            continue  # Folders above patches; hidden files, as in a folder.
        if not depth < len(parts) <= depth + 2:
            raise _refused(path, "not a file of a patch")
        patch_name = parts[depth]
        if "/".join(parts[1 : depth + 1]) != sensor_layout.place_of(patch_name):
            raise _refused(path, "in the folder of another scene")
        if patch_name in selection.skip:
            continue
        row = row_of.get(patch_name)
        if row is None:
            if len(patch_name.encode()) > _MAX_NAME_BYTES:
                raise _refused(path, "not a file of a patch")
            row = row_of[patch_name] = len(row_of)
            if row == _MAX_PATCHES:
                raise _refused(path, "one of more patches than there are")
            if row == len(rows):
                rows = np.concatenate([rows, _no_rows(dtype, len(rows))])
            rows["name"][row] = patch_name.encode()
        if len(parts) == depth + 1:
            continue
        file_name = parts[-1]
        ending = file_name.removeprefix(patch_name)
        if selection.endings is not None and ending not in selection.endings:
            continue
        column = column_of.get(ending)
        if column is None:
            column = column_of.get(layout.usual_name(ending))
        if column is None or offset is None:
            num_surplus += 1
            if num_surplus > _MAX_SURPLUS:
                raise _refused(path, "one of very many that no patch has")
            surplus.setdefault(patch_name, []).append(file_name)
            continue
        if rows["offset"][row, column] != MISSING:
            raise _refused(path, "there twice, perhaps as .tif and .tiff")
        rows["file"][row], rows["offset"][row, column] = keep(
            patch_name, offset, size
        )
        rows["size"][row, column] = size
    rows = rows[: len(row_of)]
    return TarIndex(rows[np.argsort(rows["name"])], surplus)


def _no_rows(dtype: np.dtype, number: int) -> np.ndarray:
    rows = np.zeros(number, dtype)
    rows["offset"] = MISSING
    return rows


def _members(
    read_at: ReadAt, tar_name: str
) -> Iterator[tuple[str, int | None, int]]:
    """Yields (path, offset of the data, size); no offset for folders.

    Raises:
      errors.ArchiveError: A member is a link, a device or the like, or would
        leave the folder that it is extracted to.
      errors.UserError: The file ends early or holds no tar headers.
    """
    position = 0
    long_path = None
    while (header := read_at(BLOCK_BYTES, position)) != _END:
        try:
            path, kind, size = _parse_header(header)
        except (tarfile.HeaderError, ValueError) as error:
            raise errors.UserError(
                f"{tar_name} is truncated, damaged or not a tar file: no "
                f"header at byte {position:,}. {patch_sources.CHECK_TARBALL}"
            ) from error
        position += BLOCK_BYTES
        if kind in _FILE_KINDS or kind == tarfile.DIRTYPE:
            path = long_path or path
            long_path = None
            _check_path(path)
            if size > _MAX_FILE_BYTES:
                raise _refused(path, "of a size that no patch has")
            yield path, position if kind in _FILE_KINDS else None, size
        elif kind in _HEADER_KINDS:
            if size > _MAX_LONG_HEADER_BYTES:
                raise _refused(path, "an oversized header")
            if kind == tarfile.GNUTYPE_LONGNAME:
                long_path = _decode(read_at(size, position))
            elif kind == tarfile.XHDTYPE:
                data = read_at(size, position)
                long_path = _pax_path(data, path) or long_path
        else:
            path = long_path or path
            _check_path(path)
            raise _refused(path, "a link, a device or another special file")
        position += -(-size // BLOCK_BYTES) * BLOCK_BYTES


def _parse_header(header: bytes) -> tuple[str, bytes, int]:
    """Returns (path, type, size).

    Raises:
      tarfile.HeaderError, ValueError: It is not a header.
    """
    if len(header) != BLOCK_BYTES:
        raise ValueError("Too short.")
    # The checksum counts its own eight bytes as blanks.
    checksum = sum(header) - sum(header[148:156]) + 8 * 32
    if checksum != _number(header[148:156]):
        raise ValueError("Wrong checksum.")
    size = _number(header[124:136])
    if size < 0:
        raise ValueError("Negative size.")
    path = _decode(header[:100])
    if header[257:263] == b"ustar\0" and header[345]:
        path = f"{_decode(header[345:500])}/{path}"
    return path, header[156:157], size


def _number(field: bytes) -> int:
    """Reads a number of a header: octal digits, or base 256 for large ones.

    Relies on `tarfile.nti`, which is not documented: it does exactly this and
    raises `tarfile.HeaderError` for anything else. A test holds it to that.
    """
    return tarfile.nti(field)  # type: ignore[attr-defined] # Not in typeshed.


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
    if any(len(x.encode()) > _MAX_FILE_NAME_BYTES for x in path.split("/")):
        raise _refused(path, "a name longer than file systems allow")


def _refused(path: str, what: str) -> errors.ArchiveError:
    return errors.ArchiveError(
        f"The tar member {path[:200]!r}",
        f"is {what}. Expected only the folders and files of patches. "
        f"{patch_sources.CHECK_TARBALL}",
    )
