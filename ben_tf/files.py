"""Files that are either complete or not there, and JSON that is checked."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any
from typing import TypeVar

import msgspec

from ben_tf import errors

Content = TypeVar("Content")

# No file of ours comes near it; a hostile one would fill the memory.
_MAX_JSON_BYTES = 64 << 20


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
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


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
