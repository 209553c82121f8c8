"""Files and folders that are whole or not there, and JSON that is checked."""

import contextlib
import ctypes
import errno
import fnmatch
import json
import os
import pathlib
import re
import shutil
import socket
import stat
import tempfile
import zlib
from collections.abc import Iterator
from typing import Any
from typing import TypeVar

import msgspec

from ben_tf import errors

Content = TypeVar("Content")

# No file of ours comes near it; a hostile one would fill the memory.
_MAX_JSON_BYTES = 64 << 20
_TRIED_BYTES = 1 << 20
# However another program has laid it out.
_CHECKSUM = re.compile(rb',\s*"crc32":\s*"([0-9a-f]{8})"\s*\}\s*\Z')
# Name, host and number of the process, and one of these make a name of ours.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PART = ".part"
_OLD = ".old"
_SCRATCH = "ben_tf"


def write(path: str | os.PathLike, content: bytes | str) -> pathlib.Path:
    """Writes a file whole or not at all; see `replacing`.

    Args:
      path: Where to write.
      content: Bytes, or text that is written as UTF-8.

    Returns:
      The path.
    """
    if isinstance(content, str):
        content = content.encode("utf-8")
    with replacing(path) as part:
        part.write_bytes(content)
    return pathlib.Path(path)


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Gives a temporary name to write to; at the end it becomes `path`.

    Creates the folder. Whoever reads `path` meanwhile sees the old file or the
    new one, never a part. An error leaves the old one as it was, and so does a
    process that is killed; what that leaves behind, the next one removes.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _refuse_folder(path)
    part = _part_of(path)
    try:
        yield part
        sync(part)
        os.replace(part, path)
        sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """As `replacing`, for a folder, which is yet to be made.

    Old and new change places in one step where the system can do so, as Linux
    can on local disks. Elsewhere there is a moment without either, and the
    next process that writes `path` puts the old one back if that was the last.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part_of(path)
    old = part.with_suffix(_OLD)
    try:
        yield part
        for folder, _, names in os.walk(part):
            for name in names:
                sync(pathlib.Path(folder, name))
            sync(pathlib.Path(folder))
        if not path.exists():
            part.rename(path)
        elif not _exchange(part, path):
            path.rename(old)
            part.rename(path)
        sync(path.parent)
    finally:
        _remove_folder(part)
        _remove_folder(old)


@contextlib.contextmanager
def scratch_folder(
    place: str | os.PathLike | None = None,
) -> Iterator[pathlib.Path]:
    """Makes a temporary folder, and removes those of processes that are gone.

    Args:
      place: The folder to make it in; default: the system's.
    """
    parent = pathlib.Path(place or tempfile.gettempdir())
    for left in _left_over(parent, _SCRATCH):
        _remove_folder(left)
    with tempfile.TemporaryDirectory(
        prefix=f"{_SCRATCH}.{_me()}.", dir=parent
    ) as folder:
        yield pathlib.Path(folder)


def _remove_folder(path: pathlib.Path) -> None:
    """Removes as much as can be, folders that may not be listed as well."""
    _allow_listing(path)
    for folder, names, _ in os.walk(path):
        for name in names:
            _allow_listing(pathlib.Path(folder, name))
    shutil.rmtree(path, ignore_errors=True)


def _allow_listing(folder: pathlib.Path) -> None:
    with contextlib.suppress(OSError):
        if not folder.is_symlink():
            folder.chmod(stat.S_IRWXU)


def _part_of(path: pathlib.Path) -> pathlib.Path:
    """A name for this process to write to; removes what others left behind."""
    for left in _left_over(path.parent, path.name):
        if left.suffix == _OLD and not path.exists():
            left.rename(path)
        elif left.is_dir():
            _remove_folder(left)
        else:
            left.unlink(missing_ok=True)
    return path.with_name(f"{path.name}.{_me()}{_PART}")


def _me() -> str:
    """This process; the host as well, since folders may be shared."""
    return f"{host()}.{os.getpid()}"


def _left_over(folder: pathlib.Path, name: str) -> list[pathlib.Path]:
    """What processes of this host that have ended left in a folder."""
    pattern = re.compile(
        rf"{re.escape(name)}\.{re.escape(host())}\.(\d{{1,9}})\.\w+"
    )
    try:
        found = [
            (path, match)
            for path in folder.iterdir()
            if (match := pattern.fullmatch(path.name))
        ]
    except OSError:
        # Not to be listed, or not there: so there is nothing to remove.
        return []
    return [path for path, match in found if not is_running(int(match[1]))]


def host() -> str:
    """Name of this host, of letters, digits and hyphens."""
    return "".join(c if c.isalnum() else "-" for c in socket.gethostname())


def is_running(process: int) -> bool:
    """Whether a process of this host has that number."""
    try:
        os.kill(process, 0)
    except (OverflowError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    return True


def sync(path: pathlib.Path) -> None:
    """Brings a file, or the names in a folder, to the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        # Whoever writes to a part may have made no file of it.
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network folders cannot.
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _exchange(first: pathlib.Path, second: pathlib.Path) -> bool:
    """Swaps two names in one step; returns whether the system can do so."""
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    here = -100  # AT_FDCWD
    exchange = 2  # RENAME_EXCHANGE
    names = (os.fsencode(first), os.fsencode(second))
    return not function(here, names[0], here, names[1], exchange)


def csv_cell(text: str) -> str:
    """A text as a cell that no spreadsheet takes for a formula.

    Names of files come from strangers; a spreadsheet would run =HYPERLINK(...).
    An apostrophe in front makes it text, and is not shown.
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def regular(path: str | os.PathLike, flags: int) -> int:
    """Opens a file that is one: an `opener` for `open`.

    To open a pipe that lies in the place of a file would wait for ever.

    Raises:
      OSError: ENXIO, as for a device that is not there: it is a pipe, a socket
        or a device.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    # What opens it says itself what a folder is.
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        os.close(descriptor)
        raise OSError(errno.ENXIO, "It is no regular file", os.fspath(path))
    return descriptor


def check_regular(path: str | os.PathLike) -> None:
    """Refuses what `regular` refuses, for a reader that opens by name.

    Raises:
      OSError: There is no such file, it is not readable, or it is a pipe, a
        socket or a device.
    """
    os.close(regular(path, os.O_RDONLY))


def listed(folder: str | os.PathLike, pattern: str = "*") -> list[pathlib.Path]:
    """What lies in a folder under names like `pattern`, sorted.

    `pathlib.Path.glob` takes a folder that may not be read for an empty one.

    Raises:
      OSError: There is no such folder, or it may not be read.
    """
    return sorted(
        path
        for path in pathlib.Path(folder).iterdir()
        if fnmatch.fnmatchcase(path.name, pattern)
    )


def check_writable(path: str | os.PathLike, *, is_folder: bool = False) -> None:
    """Fails now as writing `path` would fail after hours of work.

    Creates nothing: a file without a name is written where `path` will be, or
    in the folder above that exists already.

    Args:
      path: What will be written.
      is_folder: Whether that is a folder, which may exist already.

    Raises:
      OSError: There is a folder of that name, the place is no folder, must not
        be written or is read-only, or the disk is full. `foreign_errors` makes
        a sentence of it.
    """
    path = pathlib.Path(path)
    if not is_folder:
        _refuse_folder(path)
    folder = path if is_folder else path.parent
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_TRIED_BYTES))
    except OSError as error:
        if isinstance(error, NotADirectoryError):
            # TensorFlow's and our own messages name the file in the way.
            folder = next(x for x in (folder, *folder.parents) if x.is_file())
        raise type(error)(
            error.errno, error.strerror, os.fspath(folder)
        ) from error


def _refuse_folder(path: pathlib.Path) -> None:
    if path.is_dir():
        code = errno.EISDIR
        raise IsADirectoryError(code, os.strerror(code), os.fspath(path))


def write_json(path: str | os.PathLike, value: Any) -> pathlib.Path:
    """Writes a dataclass, a struct or plain values as JSON, indented.

    The last member of an object, "crc32", is the checksum of the file without
    that line: `read_json` compares it, so that a digit that a disk has changed
    is noticed.

    Raises:
      ValueError: A float is NaN or infinite, which JSON cannot hold.
    """
    plain = msgspec.to_builtins(value)
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    if isinstance(plain, dict) and plain:
        checksum = crc32(f"{text}\n".encode())
        text = text.removesuffix("\n}") + f',\n  "crc32": "{checksum}"\n}}'
    return write(path, f"{text}\n")


def read_json(
    path: str | os.PathLike, content: type[Content], *, remedy: str
) -> Content:
    """Reads a JSON file and checks it against a type.

    Args:
      path: The file.
      content: What it must hold: a dataclass, a `msgspec.Struct`, or a type
        such as dict[str, float].
      remedy: A sentence that says how to get a file that is whole.

    Raises:
      UserError: The file is missing, damaged or holds something else.
    """
    path = pathlib.Path(path)
    try:
        with open(path, "rb", opener=regular) as file:
            data = file.read(_MAX_JSON_BYTES + 1)
        if len(data) > _MAX_JSON_BYTES:
            raise ValueError(f"it is larger than {_MAX_JSON_BYTES:,} bytes")
        return msgspec.json.decode(_checked(data), type=content)
    except FileNotFoundError as error:
        raise errors.UserError(f"No file {path}. {remedy}") from error
    # Malformed JSON, wrong types, text that is not UTF-8, deep nesting.
    except (OSError, ValueError, RecursionError) as error:
        raise errors.UserError(
            f"{path} cannot be read: {errors.first_line(error)}. {remedy}"
        ) from error


def _checked(data: bytes) -> bytes:
    """Takes the checksum off a file that has one.

    Raises:
      ValueError: It is not the file's.
    """
    match = _CHECKSUM.search(data)
    if not match:
        return data
    plain = data[: match.start()] + b"\n}\n"
    if crc32(plain) != match[1].decode():
        raise ValueError(
            "it was changed after it was written, its CRC-32 is another one "
            '(if that is meant, remove "crc32" and its value)'
        )
    return plain


def crc32(data: bytes) -> str:
    """The checksum of a file or a row of it, eight hexadecimal digits."""
    return f"{zlib.crc32(data):08x}"
