"""Files that are either complete or not there.

Standard library only.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator


def write(path: str | os.PathLike, content: bytes | str) -> pathlib.Path:
    """Writes a file at once; see `replacing`.

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
