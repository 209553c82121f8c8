"""Files that are either complete or not there, and JSON that is checked."""

import contextlib
import errno
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any
from typing import TypeVar

import msgspec

from ben_tf import errors

Content = TypeVar("Content")

# No file of ours comes near it; a hostile one would fill the memory.
_MAX_JSON_BYTES = 64 << 20
_TRIED_BYTES = 1 << 20


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
    new one, never a part. An error leaves the old one as it was.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _refuse_folder(path)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


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

    Raises:
      ValueError: A float is NaN or infinite, which JSON cannot hold.
    """
    plain = msgspec.to_builtins(value)
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    return write(path, text + "\n")


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
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ValueError(f"it is larger than {_MAX_JSON_BYTES:,} bytes")
        return msgspec.json.decode(path.read_bytes(), type=content)
    except FileNotFoundError as error:
        raise errors.UserError(f"No file {path}. {remedy}") from error
    # Malformed JSON, wrong types, text that is not UTF-8, deep nesting.
    except (OSError, ValueError, RecursionError) as error:
        raise errors.UserError(
            f"{path} cannot be read: {errors.first_line(error)}. {remedy}"
        ) from error
