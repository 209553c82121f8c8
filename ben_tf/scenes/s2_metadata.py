"""What the digital numbers of a Sentinel-2 product mean: its metadata."""

import datetime
import os
import pathlib
import re
from collections.abc import Iterable
from collections.abc import Iterator
from xml.etree import ElementTree

from ben_tf import errors

# How Sentinel-2 metadata numbers the bands.
_BAND_IDS = "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B10 B11 B12".split()
_QUANTIFICATION = 10_000
# Products since processing baseline 04.00 are shifted by 1,000.
_FIRST_SHIFTED_BASELINE = 4.0
_DATE = re.compile(
    r"(?<![0-9])(20\d\d)(\d\d)(\d\d)T\d{6}(?![0-9])"
    r"|/(20\d\d)/(\d\d?)/(\d\d?)(?=/|$)"
)
# 20170613T101031 in the names of products, bands and exports.
_TIME = re.compile(r"(?<!\d)(20\d{6}T\d{6})(?!\d)")
_TIME_TAGS = ("PRODUCT_START_TIME", "DATATAKE_SENSING_START")
_FIRST_SHIFTED_DAY = datetime.date(2022, 1, 25)


def read_offsets(
    data: bytes, place: str, expected: float | None
) -> dict[str, float]:
    """Name of band -> what to add to its digital numbers.

    BigEarthNet is older than baseline 04.00 and is not shifted; for older
    products the result is empty.

    Args:
      data: Content of MTD_MSIL2A.xml.
      place: Where it comes from, for messages.
      expected: What a user says that it is; None without.

    Raises:
      errors.UserError: It is damaged, incomplete, of another scale, or says
        otherwise than expected.
    """
    elements = list(_elements(data, place))
    offsets: dict[str, float] = {}
    baseline = scale = None
    try:
        for element, tag, text in elements:
            if tag == "BOA_ADD_OFFSET":
                band = _BAND_IDS[int(element.attrib["band_id"])]
                offsets[band] = int(text)
                if abs(offsets[band]) > _QUANTIFICATION:
                    raise ValueError(f"an offset of {offsets[band]}")
            elif tag == "PROCESSING_BASELINE":
                baseline = float(text)
            elif tag == "BOA_QUANTIFICATION_VALUE":
                scale = float(text)
    except (IndexError, KeyError, ValueError) as error:
        raise _damaged(place, error) from error
    if scale not in (None, _QUANTIFICATION):
        raise errors.UserError(
            f"{place} has reflectance x {scale:g}. Expected x "
            f"{_QUANTIFICATION:,}."
        )
    if not offsets and (baseline or 0) >= _FIRST_SHIFTED_BASELINE:
        raise errors.UserError(
            f"{place} is of baseline {baseline:05.2f} and lacks the offsets "
            "(BOA_ADD_OFFSET) that such products have. Expected the metadata "
            "as they were downloaded."
        )
    if expected is not None and set(offsets.values() or {0}) != {expected}:
        raise errors.UserError(
            f"{place} says {sorted(set(offsets.values())) or 'no offset'}, not "
            f"`s2_offset={expected:g}`. Leave that out."
        )
    return offsets


def sensing_time(data: bytes, place: str) -> datetime.datetime | None:
    """When the image was taken (UTC); None where the metadata do not say.

    Args:
      data: Content of MTD_MSIL2A.xml.
      place: Where it comes from, for messages.

    Raises:
      errors.UserError: It is damaged.
    """
    for _, tag, text in _elements(data, place):
        if tag in _TIME_TAGS:
            try:
                time = datetime.datetime.fromisoformat(text)
            except ValueError as error:
                raise _damaged(place, error) from error
            return time.replace(tzinfo=time.tzinfo or datetime.UTC)
    return None


def _elements(
    data: bytes, place: str
) -> Iterator[tuple[ElementTree.Element, str, str]]:
    """Elements, their names without namespaces, and their texts.

    Raises:
      errors.UserError: It is no XML, or defines entities.
    """
    # They would define entities, which metadata have no use for.
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise errors.UserError(
            f"{place} defines entities. Expected the metadata of a Sentinel-2 "
            "product as they were downloaded."
        )
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise _damaged(place, error) from error
    for element in root.iter():
        tag = element.tag.rpartition("}")[2]
        yield element, tag, (element.text or "").strip()


def _damaged(place: str, error: Exception) -> errors.UserError:
    return errors.UserError(
        f"{place} is damaged: {errors.first_line(error)}. Expected the "
        "metadata of a Sentinel-2 product as they were downloaded."
    )


def refuse_unknown_offset(
    names: Iterable[str], path: str | os.PathLike
) -> None:
    """Refuses files without metadata of a time from which they may be shifted.

    Args:
      names: Files of the bands, relative to `path`.
      path: Where they are. Names without a date may lie in a folder with one.

    Raises:
      errors.UserError: A date is since January 2022.
    """
    for name in names:
        file = pathlib.PurePath(os.path.abspath(path), name)
        day = _day_in(file.name) or _day_in(os.fspath(file.parent))
        if day and day >= _FIRST_SHIFTED_DAY:
            raise errors.UserError(
                f"{file.name} in {path} is of {day} and may be shifted by "
                f"1,000, as products since {_FIRST_SHIFTED_DAY:%B %Y} are, and "
                "there is no MTD_MSIL2A.xml to say so. Put it next to the "
                "bands, or set `s2_offset=-1000`; 0 if the shift has been "
                "removed."
            )


def time_in(name: str) -> datetime.datetime | None:
    """The first time in a name (UTC), which is that of the acquisition."""
    for text in _TIME.findall(name):
        try:
            time = datetime.datetime.strptime(text, "%Y%m%dT%H%M%S")
        except ValueError:
            continue
        return time.replace(tzinfo=datetime.UTC)
    return None


def _day_in(name: str) -> datetime.date | None:
    """The last date in a name: 20230101T112351, or 2023/1/1 as on AWS."""
    found = _DATE.findall(name)
    try:
        return datetime.date(*map(int, filter(None, found[-1])))
    except (IndexError, ValueError):
        return None
