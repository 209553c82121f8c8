"""Reads the official lists: split, partner, country, season and flags.

The lists are data files of the package bigearthnet-common. Only its files are
read; its modules cannot be imported together with newer releases of fastcore.
"""

import bz2
import contextlib
import functools
import gc
import importlib.resources
import types
from collections.abc import Iterator
from collections.abc import Mapping
from concurrent import futures
from typing import NamedTuple

_PACKAGE = "bigearthnet_common"
_PAIRS_FILE = "s1_s2_name_country_season.csv.bz2"
_SPLIT_FILES = {
    "train": "train.csv.bz2",
    "validation": "val.csv.bz2",
    "test": "test.csv.bz2",
}
_SNOW_FILE = "patches_with_seasonal_snow.csv.bz2"
_CLOUD_FILE = "patches_with_cloud_and_shadow.csv.bz2"


class OfficialPatch(NamedTuple):
    """What the official lists, or a table of own patches, say about a pair.

    Attributes:
      s2_name: Folder name of the Sentinel-2 patch; the key of the archive.
      s1_name: Folder name of the Sentinel-1 patch of the same footprint.
      country: One of `bigearthnet.COUNTRIES`; "" if the table does not say.
      season: One of `bigearthnet.SEASONS`; "" likewise.
      split: One of `bigearthnet.SPLIT_SIZES`; "excluded" if on no split list.
      seasonal_snow: On the list of patches with seasonal snow.
      cloud_or_shadow: On the list of patches with clouds or cloud shadows.
      labels_19: Names of the 19-class nomenclature, in the order of CLASSES_19,
        where the list gives them, as that of v2.0 does.
      v1_name: S2 name of the same patch in v1.0; "" if it is of v1.0.
      labels_43: Names of the 43-class nomenclature, in the order of CLASSES_43,
        where the list gives them, as that of own patches may.
      s1_time: Acquisition of the S1 patch, ISO 8601, where the list gives it.
      s2_time: Acquisition of the S2 patch, likewise.
    """

    s2_name: str
    s1_name: str
    country: str
    season: str
    split: str
    seasonal_snow: bool
    cloud_or_shadow: bool
    labels_19: tuple[str, ...] = ()
    v1_name: str = ""
    labels_43: tuple[str, ...] = ()
    s1_time: str = ""
    s2_time: str = ""


def data_file(name: str) -> importlib.resources.abc.Traversable:
    """Returns a data file of bigearthnet-common, opened as `.open("rb")`."""
    return importlib.resources.files(_PACKAGE) / name


def example_tarballs() -> dict[str, importlib.resources.abc.Traversable]:
    """Returns the two tarballs (bzip2) of the six real pairs, by sensor.

    Members lie in `BigEarthNet-S{1,2}-Example/<patch>/` and are otherwise as
    in the archive.
    """
    return {
        sensor: data_file(f"BigEarthNet-{sensor}-Example.tar.bz2")
        for sensor in ("S1", "S2")
    }


@functools.cache
def official_patches() -> Mapping[str, OfficialPatch]:
    """Returns the 590,326 pairs of BigEarthNet-MM v1.0 by S2 name.

    The result is read-only, in the order of the official list, and made once
    in a process.
    """
    # Decompression takes most of the time and releases the interpreter lock.
    with futures.ThreadPoolExecutor() as executor:
        pairs, *split_lists, snow_list, cloud_list = executor.map(
            _read_lines,
            (_PAIRS_FILE, *_SPLIT_FILES.values(), _SNOW_FILE, _CLOUD_FILE),
        )
    split_of = {
        s2_name: split
        for split, s2_names in zip(_SPLIT_FILES, split_lists, strict=True)
        for s2_name in s2_names
    }
    snow = frozenset(snow_list)
    cloud = frozenset(cloud_list)
    # One object for each distinct word instead of one for each row.
    words: dict[str, str] = {}
    patches = {}
    with uncollected():
        for line in pairs[1:]:  # The first line is the header.
            s1_name, s2_name, country, season = line.split(",")
            patches[s2_name] = OfficialPatch(
                s2_name,
                s1_name,
                words.setdefault(country, country),
                words.setdefault(season, season),
                split_of.get(s2_name, "excluded"),
                s2_name in snow,
                s2_name in cloud,
            )
    return types.MappingProxyType(patches)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Keeps the collector from scanning a growing list again and again."""
    is_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_collecting:
            gc.enable()


def _read_lines(name: str) -> list[str]:
    return bz2.decompress(data_file(name).read_bytes()).decode().splitlines()
