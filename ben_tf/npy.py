"""Arrays in files of NumPy's format, checked before memory is asked for.

NumPy reads a header by evaluating it, and believes what it says of the size.
Here a header must be what np.save writes, and the file as long as it says.
"""

import math
import re
from collections.abc import Sequence
from typing import BinaryIO
from typing import NamedTuple

import numpy as np

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '([<|][A-Za-z]\d{1,4})', 'fortran_order': (True|False), "
    rb"'shape': \(([\d, ]{0,64})\), \} *\n"
)
_SURROGATES = (0xD800, 0xDFFF)
_LAST_CHARACTER = 0x10FFFF
_SPACE = 0x20  # What comes before it steers a terminal.


class Header(NamedTuple):
    """What a file says of its array.

    Attributes:
      dtype: Type of its values.
      shape: Its shape.
      is_fortran: Whether the first index changes fastest.
      offset: Where the values begin, in bytes.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    is_fortran: bool
    offset: int


def read_header(
    stream: BinaryIO, size: int, dtype: str, shape: Sequence[int | None]
) -> Header:
    """Reads the head of an array.

    Args:
      stream: At the beginning of the file.
      size: Bytes of the whole file.
      dtype: Expected kind, such as "float32"; "str" for any unicode width.
      shape: Expected shape; None where any length will do.

    Raises:
      ValueError: The file holds something else, or is longer or shorter.
    """
    magic = stream.read(len(_MAGIC))
    length = int.from_bytes(stream.read(2), "little")
    header = _HEADER.fullmatch(stream.read(length))
    if magic != _MAGIC or header is None:
        raise ValueError(f"expected an array of {dtype} as NumPy writes it")
    descr, is_fortran, dimensions = (part.decode() for part in header.groups())
    found = tuple(int(number) for number in re.findall(r"\d+", dimensions))
    is_expected_type = (
        bool(re.fullmatch(r"<U[1-9]\d*", descr))
        if dtype == "str"
        else descr == np.dtype(dtype).str
    )
    is_expected_shape = len(found) == len(shape) and all(
        expected in (None, number)
        for expected, number in zip(shape, found, strict=True)
    )
    if not (is_expected_type and is_expected_shape):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(
            f"expected {dtype} ({wanted}), received {descr} "
            f"({', '.join(map(str, found))})"
        )
    offset = len(_MAGIC) + 2 + length
    expected = offset + np.dtype(descr).itemsize * math.prod(found)
    if size != expected:
        raise ValueError(f"{size:,} bytes, expected {expected:,}")
    return Header(
        np.dtype(descr), found, is_fortran == "True" and len(found) > 1, offset
    )


def are_characters(texts: np.ndarray) -> bool:
    """Whether an array of text holds only what can be shown.

    Args:
      texts: (N,) str, contiguous; a file may hold any number in place of a
        character, which Python would refuse only where it is looked at.
    """
    codes = texts.view(np.uint32)
    low, high = _SURROGATES
    if codes.size and codes.max() >= low:
        if codes.max() > _LAST_CHARACTER:
            return False
        if ((codes >= low) & (codes <= high)).any():
            return False
    # 0 fills up a short text.
    return not ((codes > 0) & (codes < _SPACE)).any()
