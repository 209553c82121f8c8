"""Walks over TFRecord files and says which of them cannot be read, and where.

TensorFlow says at which byte a record is damaged, but not in which file. A file
is a row of frames: the length of the record, its checksum, the record, its
checksum. Walking over them reads twelve bytes a record. Does not load
TensorFlow.
"""

import os
import struct
from collections.abc import Iterable
from collections.abc import Iterator
from typing import BinaryIO
from typing import NamedTuple

import google_crc32c

from ben_tf import errors
from ben_tf import files

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")


class Frame(NamedTuple):
    """Where a record lies.

    Attributes:
      file: The open file.
      start: First byte of the frame; its data begin 12 bytes later.
      length: Number of bytes of the data.
    """

    file: BinaryIO
    start: int
    length: int

    def stored_checksum(self) -> bytes:
        """Returns the checksum that was written behind the data."""
        self.file.seek(self.start + _HEADER.size + self.length)
        return self.file.read(_FOOTER.size)

    def read(self) -> tuple[bytes, bool]:
        """Returns the data, and whether their checksum is right."""
        self.file.seek(self.start + _HEADER.size)
        data = self.file.read(self.length)
        footer = self.file.read(_FOOTER.size)
        return data, footer == _FOOTER.pack(masked_crc(data))


def size(num_bytes: int, num_records: int) -> int:
    """Bytes of files with `num_bytes` of data in `num_records` frames."""
    return num_bytes + num_records * (_HEADER.size + _FOOTER.size)


def frames(path: str | os.PathLike[str]) -> Iterator[Frame]:
    """Yields the frames of a file, front to back; does not read their data.

    Raises:
      errors.ArchiveError: The file ends within a record, or a length is
        damaged, so that nothing after it can be found; or it cannot be read.
    """
    place = os.fspath(path)
    try:
        with open(path, "rb", opener=files.regular) as file:
            size = os.fstat(file.fileno()).st_size
            start = number = 0
            while start < size:
                file.seek(start)
                header = file.read(_HEADER.size)
                cut_off = f"is truncated: it ends within record {number}."
                if len(header) < _HEADER.size:
                    raise errors.ArchiveError(place, cut_off)
                length, checksum = _HEADER.unpack(header)
                if masked_crc(header[:8]) != checksum:
                    raise errors.ArchiveError(
                        place,
                        f"is damaged: the length of record {number} has "
                        "another checksum than when it was written. What "
                        "follows it cannot be read.",
                    )
                end = start + _HEADER.size + length + _FOOTER.size
                # Before memory is asked for: a hostile length is any number.
                if end > size:
                    raise errors.ArchiveError(place, cut_off)
                yield Frame(file, start, length)
                start = end
                number += 1
    except OSError as error:
        raise errors.ArchiveError(
            place, f"cannot be read: {error.strerror or error}."
        ) from error


def check_files(
    files: Iterable[tuple[str | os.PathLike[str], int]], position: int | None
) -> None:
    """Finds the file at fault.

    Args:
      files: Each file with the number of records that it should hold.
      position: The byte of a record whose checksum is wrong in one of the
        files; None to look at lengths and numbers of records only.

    Raises:
      errors.ArchiveError: The first fault that was found.
    """
    for path, num_records in files:
        number = 0
        for frame in frames(path):
            # TensorFlow names the byte where the frame or its data begin.
            if position in (frame.start, frame.start + _HEADER.size):
                _, is_intact = frame.read()
                if not is_intact:
                    raise errors.ArchiveError(
                        os.fspath(path),
                        f"is damaged: record {number} has another checksum "
                        "than when it was written.",
                    )
            number += 1
        check_number(path, number, num_records)


def check_number(
    path: str | os.PathLike[str], received: int, expected: int
) -> None:
    """Compares the number of records of a file with what should be there.

    Raises:
      errors.ArchiveError: They differ.
    """
    if received != expected:
        raise errors.ArchiveError(
            os.fspath(path),
            f"holds {received:,} records. Expected {expected:,}, as "
            "dataset_info.json says.",
        )


def masked_crc(data: bytes) -> int:
    """The checksum of TFRecord files: CRC-32C, turned and shifted."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
