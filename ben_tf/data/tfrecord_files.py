"""Finds the TFRecord file that cannot be read.

TensorFlow says at which byte a record is damaged, but not in which file. A file
is a row of frames: the length of the record, its checksum, the record, its
checksum. Walking over them reads twelve bytes a record.
"""

import os
import pathlib
import struct
from collections.abc import Iterable

import google_crc32c

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")


def masked_crc(data: bytes) -> int:
    """The checksum of TFRecord files: CRC-32C, turned and shifted."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def first_fault(
    files: Iterable[tuple[str | os.PathLike, int]], position: int | None
) -> str | None:
    """Says which file is at fault, and why.

    Args:
      files: Each file with the number of records that it should hold.
      position: The byte of a record whose checksum is wrong in one of the
        files; None to look at numbers of records only.

    Returns:
      A sentence without a full stop, or None if no fault was found.
    """
    for path, num_records in files:
        reason = _fault(pathlib.Path(path), num_records, position)
        if reason:
            return f"{path} {reason}"
    return None


def _fault(
    path: pathlib.Path, num_records: int, position: int | None
) -> str | None:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = number = 0
            while start < size:
                header = file.read(_HEADER.size)
                if len(header) < _HEADER.size:
                    return f"ends within record {number}"
                length, checksum = _HEADER.unpack(header)
                if masked_crc(header[:8]) != checksum:
                    return f"is damaged at byte {start}"
                end = start + _HEADER.size + length + _FOOTER.size
                if end > size:
                    return f"ends within record {number}"
                # TensorFlow names the byte where the frame or its data begin.
                if position in (start, start + _HEADER.size):
                    data, footer = file.read(length), file.read(_FOOTER.size)
                    if _FOOTER.unpack(footer) != (masked_crc(data),):
                        return f"is damaged: record {number}, at byte {start}"
                file.seek(end)
                start = end
                number += 1
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    if number != num_records:
        return f"holds {number} records. Expected {num_records}"
    return None
