"""Reads the files that `shards` writes, and says what is wrong with them.

The mirror of `record`: worker processes do not load TensorFlow, and the
checksums take a tenth of a millisecond a record.
"""

import os
import struct
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from google.protobuf import message

from ben_tf import bigearthnet
from ben_tf import errors
from tfrecords_builder import record
from tfrecords_builder import tfds_internals

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")

# Feature -> (kind of its list, number of values; None: any number).
_FEATURES: Mapping[str, tuple[str, int | None]] = {
    **{
        name: ("bytes_list", 1)
        for name in (
            *("patch_name", "s1_name", "s1_time", "s2_time"),
            *bigearthnet.GRIDS,
        )
    },
    **{f"labels_{num}": ("int64_list", None) for num in bigearthnet.CLASSES},
    **{
        name: ("int64_list", 1)
        for name in (
            *("country", "season", "seasonal_snow", "cloud_or_shadow"),
            "epsg",
        )
    },
    "upper_left": ("float_list", 2),
}


class Frame(NamedTuple):
    """One record of a file.

    Attributes:
      data: The serialized example.
      is_intact: Whether its checksum is right.
    """

    data: bytes
    is_intact: bool


def read_frames(path: str | os.PathLike[str]) -> Iterator[Frame]:
    """Yields the records of a TFRecord file, front to back.

    Raises:
      errors.ArchiveError: The file ends within a record, or a length is
        damaged, so that nothing after it can be found; or it cannot be read.
    """
    place = os.path.basename(path)
    try:
        with open(path, "rb") as file:
            left = os.fstat(file.fileno()).st_size
            number = 0
            while left:
                header = file.read(_HEADER.size)
                if len(header) < _HEADER.size:
                    raise _truncated(place, number)
                length, checksum = _HEADER.unpack(header)
                if record.masked_crc(header[:8]) != checksum:
                    raise errors.ArchiveError(
                        place,
                        f"is damaged: the length of record {number} has "
                        "another checksum than when it was written. What "
                        "follows it cannot be read.",
                    )
                left -= _HEADER.size + length + _FOOTER.size
                # Before memory is asked for: a hostile length is any number.
                if left < 0:
                    raise _truncated(place, number)
                data = file.read(length)
                footer = file.read(_FOOTER.size)
                if len(data) < length or len(footer) < _FOOTER.size:
                    raise _truncated(place, number)
                yield Frame(
                    data,
                    _FOOTER.unpack(footer) == (record.masked_crc(data),),
                )
                number += 1
    except OSError as error:
        raise errors.ArchiveError(
            place, f"cannot be read: {error.strerror or error}."
        ) from error


def _truncated(place: str, number: int) -> errors.ArchiveError:
    return errors.ArchiveError(
        place, f"is truncated: it ends within record {number}."
    )


def parse(data: bytes) -> dict[str, Sequence]:
    """Returns the features of a serialized example: name -> its values.

    Raises:
      ValueError: It is no example, or not one with the features of a pair; the
        message is a sentence without its subject.
    """
    try:
        features = tfds_internals.parse_example(data).features.feature
    except message.DecodeError as error:
        raise ValueError("is not a serialized tf.train.Example.") from error
    if features.keys() != _FEATURES.keys():
        odd = sorted(features.keys() ^ _FEATURES.keys())
        raise ValueError(
            f"has other features than a pair. Expected {sorted(_FEATURES)}. "
            f"Missing or surplus: {str(odd)[:200]}."
        )
    values = {}
    for name, (kind, number) in _FEATURES.items():
        values[name] = getattr(features[name], kind).value
        if number not in (None, len(values[name])):
            raise ValueError(
                f"has an unusable {name}. Expected {number} of {kind}. "
                f"Received: {len(values[name])}."
            )
    return values
