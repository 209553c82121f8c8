"""Files that are either complete or not there.

Standard library only.
"""

import os
import pathlib


def write(path: str | os.PathLike, content: bytes | str) -> pathlib.Path:
    """Writes a file under a temporary name, then moves it into place.

    Creates the folder. Whoever reads `path` meanwhile sees the old file or the
    new one, never a part.

    Args:
      path: Where to write.
      content: Bytes, or text that is written as UTF-8.

    Returns:
      The path.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = content.encode("utf-8")
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path
