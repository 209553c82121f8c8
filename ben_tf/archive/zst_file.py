"""Reads a .zst file front to back, and notices where it is cut off.

The reader of zstandard takes the end of the file for the end of what it holds.
"""

from typing import BinaryIO

import zstandard

# So that a hostile piece inflates to some 128 MB at most: a block of four bytes
# can stand for 128 KB.
_PIECE_BYTES = 1 << 12
# As the command `zstd` without --memory.
_MAX_WINDOW_BYTES = 1 << 27


class ZstFile:
    """Reads what a .zst file holds."""

    def __init__(self, raw: BinaryIO):
        """Begins at the start of a file that stays open."""
        self._raw = raw
        self._format = zstandard.ZstdDecompressor(
            max_window_size=_MAX_WINDOW_BYTES
        )
        # None between two frames; most files have one.
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._compressed = b""
        self._ready = bytearray()

    def read(self, num_bytes: int) -> bytes:
        """Returns the next bytes, fewer at the end.

        Raises:
          EOFError: The file is cut off.
          zstandard.ZstdError: It is damaged.
        """
        while len(self._ready) < num_bytes:
            piece = self._compressed or self._raw.read(_PIECE_BYTES)
            if not piece:
                if self._frame:
                    raise EOFError("it is cut off")
                break
            self._frame = self._frame or self._format.decompressobj()
            self._ready += self._frame.decompress(piece)
            self._compressed = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
        data = bytes(self._ready[:num_bytes])
        del self._ready[:num_bytes]
        return data
