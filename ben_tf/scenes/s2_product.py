"""Finds the bands of one Sentinel-2 image, wherever its files lie.

Products come as SAFE folders, zipped, unzipped into themselves, or as a folder
of band files; people name the product, a folder around it or one inside it, or
its metadata. Whatever is named has to hold exactly one image, of Level-2A.
"""

import datetime
import os
import pathlib
import re
import zipfile
import zlib
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple
from typing import Protocol

from ben_tf import errors
from ben_tf import files
from ben_tf.scenes import s2_metadata

# File names such as T29SNB_20180517T112119_B02_10m.jp2 or B8A.tif.
_BAND_FILE = re.compile(
    r"(?P<image>|.*_)(?P<band>B(?:\d\d|8A))(?:_(?P<metres>\d\d)m)?"
    r"\.(?:jp2|tiff?)",
    re.IGNORECASE,
)
_RESOLUTION_FOLDER = re.compile(r"R(\d\d)m", re.IGNORECASE)
# MTD_MSIL2A.xml, and before 2016 S2A_OPER_MTD_SAFL1C_PDMC_....xml.
_METADATA_FILE = re.compile(r"(?:MTD_MSI|.*_MTD_SAF)(L\d[A-C]).*\.xml")
# In the name of a product, of its metadata, or of a granule.
_LEVEL_1 = re.compile(r"MSIL1[A-C]|SAFL1[A-C]|^L1[A-C]_T\d\d")
# Folders of masks and pictures, and what other systems put next to files.
_NO_BANDS = {
    *("QI_DATA", "AUX_DATA", "HTML", "rep_info", "qi", "preview"),
    "__MACOSX",
}
_MAX_METADATA_BYTES = 1 << 24
_MAX_NAMED = 3


class Product(NamedTuple):
    """The files of one image.

    Attributes:
      bands: Name of band -> its file, as GDAL names it.
      add: Name of band -> what to add to its digital numbers to get
        reflectance x 10,000.
    """

    bands: Mapping[str, str]
    add: Mapping[str, float]


class _Tree(Protocol):
    """A folder or a zip file; names in it have / between their parts."""

    @property
    def path(self) -> pathlib.Path:
        """Where it lies."""

    def names(self) -> list[str]:
        """All files."""

    def gdal_name(self, name: str) -> str:
        """What GDAL opens."""

    def read(self, name: str) -> bytes:
        """A file of metadata, up to a limit."""


def find(
    path: str | os.PathLike,
    pixel_m: Mapping[str, int],
    *,
    offset: float | None = None,
    reflectance_scale: float | None = None,
) -> Product:
    """Finds a file for each band, at the band's own resolution.

    Args:
      path: A product: its SAFE folder, one around or inside it, its zip file
        or its MTD_MSIL2A.xml; or a folder of band files.
      pixel_m: Name of band -> metres of a pixel, of the bands to find.
      offset: What to add to digital numbers, where no metadata say so.
      reflectance_scale: What a reflectance of 1 is stored as, likewise.

    Raises:
      errors.UserError: Nothing there, no band file, several images, another
        level, or metadata that are damaged.
    """
    tree = _open(pathlib.Path(path).expanduser())
    names = [name for name in tree.names() if _is_wanted(name)]
    metadata = [name for name in names if _METADATA_FILE.fullmatch(_last(name))]
    if len(metadata) > 1:
        raise _several(tree.path, metadata)
    images = _images(names, pixel_m)
    if len(images) > 1:
        first = [
            next(iter(bands.values()))[0].name for bands in images.values()
        ]
        raise _several(tree.path, first)
    _refuse_level_1(tree.path.absolute(), [*metadata, *names])
    found = images.popitem()[1] if images else {}
    bands = {
        band: _one(band, candidates, tree.path)
        for band, candidates in found.items()
    }
    _refuse_missing(bands, pixel_m, names, tree.path)
    add: Mapping[str, float]
    if metadata:
        place = f"{tree.path}/{metadata[0]}"
        if reflectance_scale is not None:
            raise errors.UserError(
                f"{place} says what its numbers mean. Leave out "
                "`reflectance_scale`."
            )
        add = s2_metadata.read_offsets(tree.read(metadata[0]), place, offset)
    elif offset is not None:
        add = dict.fromkeys(pixel_m, offset)
    else:
        s2_metadata.refuse_unknown_offset(bands.values(), tree.path)
        add = {}
    return Product(
        {band: tree.gdal_name(name) for band, name in bands.items()}, add
    )


def is_of_product(name: str) -> bool:
    """Whether a file is called as a band of a product, or as its metadata."""
    return bool(_BAND_FILE.fullmatch(name) or _METADATA_FILE.fullmatch(name))


def sensing_time(path: str | os.PathLike) -> datetime.datetime | None:
    """When a product was taken (UTC): by its metadata, else by its names.

    Args:
      path: As `find` takes it.

    Returns:
      None where neither metadata nor the names of bands or product say it.

    Raises:
      errors.UserError: Nothing there, or metadata that are damaged.
    """
    tree = _open(pathlib.Path(path).expanduser())
    names = [name for name in tree.names() if _is_wanted(name)]
    for name in names:
        if _METADATA_FILE.fullmatch(_last(name)):
            time = s2_metadata.sensing_time(
                tree.read(name), f"{tree.path}/{name}"
            )
            if time:
                return time
    bands = [x for x in map(_last, names) if _BAND_FILE.fullmatch(x)]
    times = map(s2_metadata.time_in, (*bands, tree.path.absolute().name))
    return next(filter(None, times), None)


# --- Where to look ---------------------------------------------------------


class _Folder(NamedTuple):
    path: pathlib.Path

    def names(self) -> list[str]:
        return sorted(
            pathlib.Path(folder, name).relative_to(self.path).as_posix()
            for folder, _, names in os.walk(self.path, onerror=_stop)
            for name in names
        )

    def gdal_name(self, name: str) -> str:
        return str(self.path / name)

    def read(self, name: str) -> bytes:
        with open(self.path / name, "rb", opener=files.regular) as file:
            return file.read(_MAX_METADATA_BYTES)


def _stop(error: OSError) -> None:
    """A folder that may not be read is not an empty one."""
    raise error


class _Zip(NamedTuple):
    path: pathlib.Path

    def names(self) -> list[str]:
        with zipfile.ZipFile(self.path) as file:
            return sorted(
                name
                for name in file.namelist()
                # Others could lead GDAL somewhere else.
                if not name.startswith("/")
                and not {"..", ""} & set(name.split("/"))
                and not {"{", "}", "\\"} & set(name)
            )

    def gdal_name(self, name: str) -> str:
        return f"/vsizip/{{{self.path.absolute()}}}/{name}"

    def read(self, name: str) -> bytes:
        try:
            with zipfile.ZipFile(self.path) as file, file.open(name) as member:
                return member.read(_MAX_METADATA_BYTES)
        # Damaged, encrypted, or of a newer version of the format.
        except (zipfile.BadZipFile, RuntimeError, zlib.error) as error:
            raise errors.UserError(
                f"{name} in {self.path} cannot be read: "
                f"{errors.first_line(error)}. Expected the product as it was "
                "downloaded."
            ) from error


def _open(path: pathlib.Path) -> _Tree:
    if path.is_dir():
        return _Folder(_product_of(path))
    if path.is_file():
        if _METADATA_FILE.fullmatch(path.name) or path.name == "manifest.safe":
            return _Folder(path.parent)
        if zipfile.is_zipfile(path):
            return _Zip(path)
        if path.suffix.lower() == ".zip":
            raise errors.UserError(
                f"{path} is no whole zip file. Expected a Sentinel-2 Level-2A "
                "product as it was downloaded; fetch it once more, to another "
                "place."
            )
        raise errors.UserError(
            f"{path} is one file. Expected a Sentinel-2 Level-2A product: its "
            "SAFE folder, .zip or MTD_MSIL2A.xml, or a folder of band files "
            "such as B02.tif; one GeoTIFF with all bands is an `image`."
        )
    raise errors.UserError(
        f"There is no {path}. Expected a Sentinel-2 Level-2A product: its SAFE "
        "folder, .zip or MTD_MSIL2A.xml, or a folder of band files such as "
        "B02.tif."
    )


def _product_of(path: pathlib.Path) -> pathlib.Path:
    """The product that a folder inside it belongs to; else the folder."""
    path = path.absolute()
    for parent in path.parents:
        if path.relative_to(parent).parts[0] == "GRANULE" and any(
            _METADATA_FILE.fullmatch(file.name)
            for file in files.listed(parent, "*.xml")
        ):
            return parent
    return path


def _is_wanted(name: str) -> bool:
    *folders, last = name.split("/")
    return not (
        any(part.startswith(".") for part in (*folders, last))
        or last.startswith("MSK_")
        or _NO_BANDS & set(folders)
    )


def _last(name: str) -> str:
    return name.rpartition("/")[2]


# --- Which files -----------------------------------------------------------


class _Candidate(NamedTuple):
    """A file of a band; `metres` is 0 where its name does not say."""

    name: str
    metres: int


def _images(
    names: Iterable[str], pixel_m: Mapping[str, int]
) -> dict[str, dict[str, list[_Candidate]]]:
    """What tells images apart -> name of band -> its files."""
    images: dict[str, dict[str, list[_Candidate]]] = {}
    for name in names:
        *folders, last = name.split("/")
        match = _BAND_FILE.fullmatch(last)
        if not match or (band := match["band"].upper()) not in pixel_m:
            continue
        # The resolution stands in the name or in that of a folder.
        of_folders = [_RESOLUTION_FOLDER.fullmatch(x) for x in folders]
        metres = [
            int(match["metres"] or 0),
            *(int(m[1]) for m in of_folders if m),
        ]
        metres = [x for x in metres if x] or [0]
        if metres[0] not in (0, pixel_m[band]):
            continue
        place = [
            folder
            for folder, of_folder in zip(folders, of_folders, strict=True)
            if not of_folder
        ]
        image = "/".join([*place, match["image"].strip("_")])
        bands = images.setdefault(image, {})
        bands.setdefault(band, []).append(_Candidate(name, metres[0]))
    return images


def _one(
    band: str, candidates: Sequence[_Candidate], path: pathlib.Path
) -> str:
    """The file of a band: one that says its resolution comes first."""
    best = [x for x in candidates if x.metres] or candidates
    if len(best) > 1:
        names = ", ".join(x.name for x in best[:_MAX_NAMED])
        raise errors.UserError(
            f"{path} has several files for {band}: {names}. Expected one."
        )
    return best[0].name


def _several(path: pathlib.Path, names: Iterable[str]) -> errors.UserError:
    listed = sorted(names)
    shown = ", ".join(listed[:_MAX_NAMED])
    if len(listed) > _MAX_NAMED:
        shown += f" and {len(listed) - _MAX_NAMED} more"
    return errors.UserError(
        f"{path} holds several Sentinel-2 images: {shown}. Expected one; name "
        "its own folder."
    )


def _refuse_level_1(path: pathlib.Path, names: Iterable[str]) -> None:
    for name in (*path.parts[::-1], *names):
        if any(_LEVEL_1.search(part) for part in name.split("/")):
            raise errors.UserError(
                f"{name} is of Level 1, reflectance above the atmosphere. "
                "Expected Level-2A, surface reflectance, as BigEarthNet is: "
                "fetch the Level-2A product of the same name, or make it with "
                "sen2cor."
            )


def _refuse_missing(
    bands: Iterable[str],
    pixel_m: Mapping[str, int],
    names: Iterable[str],
    path: pathlib.Path,
) -> None:
    missing = sorted(pixel_m.keys() - set(bands))
    if not missing:
        return
    others = [
        name
        for name in names
        if (match := _BAND_FILE.fullmatch(_last(name)))
        and match["band"].upper() in missing
    ]
    there = f" It has only {', '.join(others[:_MAX_NAMED])}." if others else ""
    raise errors.UserError(
        f"The scene {path} lacks the bands {', '.join(missing)}.{there} "
        "Expected a file for each of "
        f"{', '.join(f'{band} at {pixel_m[band]} m' for band in missing)}, "
        "such as B02.tif or T29SNB_20180517T112119_B02_10m.jp2."
    )
