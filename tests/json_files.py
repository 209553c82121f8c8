"""Reads JSON files to change them: without the checksum, which is another."""

import json
import pathlib
from typing import Any


def read(path: pathlib.Path) -> dict[str, Any]:
    """The content of a file that `files.write_json` wrote, or a test."""
    content = json.loads(path.read_text())
    content.pop("crc32", None)
    return content
