"""Parses the JSON file of a patch: labels, footprint and time, all checked."""

import datetime
import functools
import json
import re
from typing import Any
from typing import NamedTuple

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import footprints

# Keys of the file, by sensor. Sentinel-1 files spell the lower corner "lly".
_COMMON_KEYS = {"labels", "coordinates", "projection"}
_KEYS = {
    "S1": _COMMON_KEYS
    | {"corresponding_s2_patch", "scene_source", "acquisition_time"},
    "S2": _COMMON_KEYS | {"tile_source", "acquisition_date"},
}
_TIME_KEYS = {"S1": "acquisition_time", "S2": "acquisition_date"}
_LOWER_KEYS = {"S1": ("lly", "lry"), "S2": ("lry",)}

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}")

# The outermost authority, at the end of the WKT, is that of the projection.
_EPSG_AT_END = re.compile(r'AUTHORITY\["EPSG","(\d{1,6})"\]\]\s*$')
# UTM on WGS 84, zones 1 to 60 of the northern hemisphere.
_UTM_NORTH = range(32601, 32661)
# Eastings and northings that UTM can give, in metres.
_EASTING_RANGE = (100_000, 900_000)
_NORTHING_RANGE = (0, 9_400_000)


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands in it twice")
    return found


# Python's decoder takes NaN and Infinity, which JSON does not know, and of a
# key that stands twice the last.
_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant, object_pairs_hook=_refuse_twice
)


class PatchJson(NamedTuple):
    """The checked content of the JSON file of a patch.

    Attributes:
      labels: Names of the 43-class nomenclature, in the order of CLASSES_43.
      footprint: Where the patch lies.
      time: Acquisition in UTC, ISO 8601 without zone, to the second.
      s2_name: The patch's Sentinel-2 partner; "" in Sentinel-2 files.
    """

    labels: tuple[str, ...]
    footprint: footprints.Footprint
    time: str
    s2_name: str


def parse(data: bytes, *, place: str, sensor: str) -> PatchJson:
    """Parses and checks the bytes of a `*_labels_metadata.json` file.

    Args:
      data: The whole file.
      place: Where the bytes come from, for error messages.
      sensor: "S1" or "S2".

    Raises:
      errors.ArchiveError: The file is not JSON, or a key, type, label or number
        is not what the archive promises.
    """
    try:
        content = _DECODER.decode(data.decode())
    # A hostile file may also be nested too deeply.
    except (ValueError, RecursionError) as error:
        raise errors.ArchiveError(
            place,
            f"is not valid JSON ({errors.first_line(error)}). "
            "Extract this file once more from the tarball.",
        ) from error
    expected_keys = _KEYS[sensor]
    if not isinstance(content, dict) or content.keys() != expected_keys:
        found = sorted(content) if isinstance(content, dict) else type(content)
        raise _unusable(
            place,
            "unexpected content",
            f"the keys {sorted(expected_keys)}",
            found,
        )
    return PatchJson(
        labels=_check_labels(content["labels"], place),
        footprint=footprints.Footprint(
            _check_projection(content["projection"], place),
            _check_corners(content["coordinates"], place, sensor),
        ),
        time=_check_time(content[_TIME_KEYS[sensor]], place),
        s2_name=_check_s2_name(
            content.get("corresponding_s2_patch", ""), place
        ),
    )


def _unusable(
    place: str, what: str, expected: str, received: object
) -> errors.ArchiveError:
    return errors.ArchiveError(
        place,
        f"has {what}. Expected {expected}. Received: {str(received)[:200]}",
    )


def _check_labels(labels: Any, place: str) -> tuple[str, ...]:
    if (
        not isinstance(labels, list)
        or not labels
        or not all(isinstance(label, str) for label in labels)
        or len(set(labels)) != len(labels)
    ):
        raise _unusable(
            place,
            "unusable labels",
            "a list of one or more different class names",
            labels,
        )
    unknown = [x for x in labels if x not in bigearthnet.CLASS_43_TO_19]
    if unknown:
        raise errors.ArchiveError(
            place,
            f"has the unknown label {unknown[0][:100]!r}. Expected names of "
            "the 43 CORINE classes, as in ben_tf.bigearthnet.CLASSES_43.",
        )
    return tuple(x for x in bigearthnet.CLASSES_43 if x in set(labels))


def _check_projection(wkt: Any, place: str) -> int:
    epsg = _epsg_of_wkt(wkt) if isinstance(wkt, str) else None
    if epsg is None:
        raise _unusable(
            place,
            "an unknown projection",
            "the WKT of a northern UTM zone on WGS 84",
            wkt,
        )
    return epsg


# The archive has few projections and one in each of its 1.2 million files.
@functools.lru_cache(maxsize=256)
def _epsg_of_wkt(wkt: str) -> int | None:
    match = _EPSG_AT_END.search(wkt)
    epsg = int(match.group(1)) if match else None
    return epsg if epsg in _UTM_NORTH else None


def _check_corners(
    corners: Any, place: str, sensor: str
) -> tuple[float, float]:
    lower_keys = _LOWER_KEYS[sensor]
    expected = [{"ulx", "uly", "lrx", key} for key in lower_keys]
    if (
        not isinstance(corners, dict)
        or corners.keys() not in expected
        or not all(_is_number(value) for value in corners.values())
    ):
        raise _unusable(
            place,
            "unusable coordinates",
            f"numbers under ulx, uly, lrx, {lower_keys[0]}",
            corners,
        )
    left, upper, right = (float(corners[k]) for k in ("ulx", "uly", "lrx"))
    lower = next(float(corners[k]) for k in lower_keys if k in corners)
    size = bigearthnet.PATCH_SIZE_M
    if (
        # Records hold corners as float32, exact for whole metres only.
        not (left.is_integer() and upper.is_integer())
        or right - left != size
        or upper - lower != size
        or not _EASTING_RANGE[0] <= left <= right <= _EASTING_RANGE[1]
        or not _NORTHING_RANGE[0] <= lower <= upper <= _NORTHING_RANGE[1]
    ):
        raise _unusable(
            place,
            "coordinates out of range",
            f"a square of {size} m at whole metres within a UTM zone",
            corners,
        )
    return left, upper


def _is_number(value: Any) -> bool:
    # A bool is an int in Python but not in JSON; the bound keeps out integers
    # too large for a float, infinities and NaN.
    return type(value) in (int, float) and -1e9 < value < 1e9


def _check_time(text: Any, place: str) -> str:
    try:
        if not _TIME.fullmatch(text):
            raise ValueError("Another layout.")
        time = datetime.datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise _unusable(
            place, "an unusable time", "YYYY-MM-DD HH:MM:SS", text
        ) from error
    return time.isoformat()


def _check_s2_name(name: Any, place: str) -> str:
    if not isinstance(name, str):
        raise _unusable(
            place, "an unusable corresponding_s2_patch", "a patch name", name
        )
    return name
