"""Progress where there is no terminal: a line every half minute, for logs.

tqdm draws its bars over each other with carriage returns, ten times a second.
"""

import io
import os
import sys
from typing import TextIO

_SECONDS = "30"


def use() -> None:
    """Applies to what is imported from here on, unless stderr is a terminal."""
    if sys.stderr is None or sys.stderr.isatty():
        return
    # tqdm reads it when it is imported.
    os.environ.setdefault("TQDM_MININTERVAL", _SECONDS)
    os.environ.setdefault("TQDM_MAXINTERVAL", _SECONDS)
    sys.stderr = Lines(sys.stderr)


class Lines(io.TextIOBase):
    """Gives each bar a line of its own."""

    def __init__(self, stream: TextIO):
        """Passes everything else on to `stream` as it comes."""
        self._stream = stream
        self._is_after_bar = False

    def write(self, text: str) -> int:
        """Writes text; a bar is what begins with a carriage return."""
        if text.startswith("\r"):
            bar = text[1:].rstrip()
            self._stream.write(f"{bar}\n" if bar else "")
            self._is_after_bar = True
        # A bar that has ended goes to the next line.
        elif not (self._is_after_bar and text == "\n"):
            self._stream.write(text)
            self._is_after_bar = self._is_after_bar and not text
        return len(text)

    def flush(self) -> None:
        """Flushes the stream."""
        self._stream.flush()

    def fileno(self) -> int:
        """That of the stream."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override] # Read-only there.
        """That of the stream."""
        return self._stream.encoding
