"""Patches that a client has sent: read, embedded, and kept for a while."""

import io
import pathlib
import re
import secrets
import tempfile
import zipfile
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import patch_source
from ben_tf.retrieval.server import kept
from ben_tf.scenes import s2_product

# Some 250 patches.
_MOST_BYTES = 96 << 20
# Names of patches have up to 57 letters; file systems end at 255.
_BAND = re.compile(
    rf"(?P<patch>\w{{1,200}})_(?P<band>{'|'.join(bigearthnet.S1_BANDS)}|B\d\w)\.tiff?",
    re.IGNORECASE | re.ASCII,
)
# What the names of files are kept without.
_NOT_IN_NAMES = re.compile(r"[^\w.()-]", re.ASCII)
_LONGEST_NAME = 200
# A product has some 200 files. Each is announced with four bytes of its own.
_MOST_MEMBERS = 5000
_MEMBER = b"PK\x01\x02"
# Images are packed already: what swells when it is unpacked is none of them.
_MOST_UNPACKED_BYTES = 256 << 20

_SUFFIXES = (".zip", ".jp2", ".xml", ".tif", ".tiff")

File = tuple[str, bytes]


class Upload(NamedTuple):
    """A patch that a client has sent.

    Attributes:
      patch: What is known of it.
      grids: Raw grids (size, size, bands) by name.
      embedding: (D,) float32.
      modality: What was embedded.
    """

    patch: patch_facts.Patch
    grids: Mapping[str, np.ndarray]
    embedding: np.ndarray
    modality: str


class Uploads:
    """The newest uploads, by a key that nobody guesses."""

    def __init__(self) -> None:
        self._kept: kept.Kept[str, Upload] = kept.Kept(_MOST_BYTES)

    def keep(self, upload: Upload) -> str:
        """Keeps an upload; returns its key."""
        key = secrets.token_urlsafe(16)
        arrays = (*upload.grids.values(), upload.embedding)
        self._kept.put(key, upload, sum(array.nbytes for array in arrays))
        return key

    def get(self, key: str) -> Upload:
        """An upload by its key.

        Raises:
          GoneError: It is not kept any more, or never was.
        """
        upload = self._kept.get(key)
        if upload is None:
            raise GoneError("This upload is not kept any more. Send it again.")
        return upload


class GoneError(errors.UserError):
    """There is no such upload."""


def read(
    content: Sequence[File],
    *,
    grids: Sequence[str],
    point: tuple[float, float] | None = None,
) -> patch_source.Found:
    """Reads a patch from the files that a client has sent.

    Args:
      content: Name and bytes of each file: the GeoTIFFs of a patch, whose names
        end with that of the band, as "S2A_MSIL2A_20170613T101031_0_45_B02.tif";
        or one GeoTIFF with many bands; or a Sentinel-2 Level-2A product, zipped
        or as band files with its metadata, and a GeoTIFF of Sentinel-1.
      grids: What the model looks at, keys of `bigearthnet.GRIDS`.
      point: Longitude and latitude, degrees, of where in a larger image the
        patch lies; None: in its middle.

    Raises:
      UserError: A file is not a band, or one is missing or damaged; a zip file
        that swells; a point outside.
    """
    # A name may come with a path, of which only its end counts.
    named = [
        (name.replace("\\", "/").rpartition("/")[2], data)
        for name, data in content
    ]
    with tempfile.TemporaryDirectory(prefix="ben_tf_upload_") as scratch:
        folder = pathlib.Path(scratch)
        try:
            bands = [
                (match, data)
                for name, data in named
                if (match := _BAND.fullmatch(name))
            ]
            if len(bands) < len(named):
                scene = _keep_scene(folder, named)
                return patch_source.from_scene(grids, point=point, **scene)
            if point is not None:
                raise errors.UserError(
                    "A patch is queried as a whole. Expected no place in it."
                )
            return _read_bands(folder, bands, grids)
        except errors.UserError as error:
            # Where they lay for a moment is nobody's business.
            text = str(error).replace(f"{scratch}/", "")
            text = text.replace(folder.name, "the upload")
            raise errors.UserError(text) from None


def _keep_scene(
    scratch: pathlib.Path, named: Sequence[File]
) -> Mapping[str, Any]:
    """Writes the files of a scene; returns what `from_scene` takes."""
    products: list[pathlib.Path] = []
    images: list[pathlib.Path] = []
    folder = scratch / "product"
    folder.mkdir()
    for name, data in named:
        if len(named) > 1 and not name.lower().endswith(_SUFFIXES):
            raise errors.UserError(
                "Expected GeoTIFFs whose names end with the band, such as "
                "..._B02.tif or ..._VV.tif, or one GeoTIFF with many bands, or "
                "a Sentinel-2 product: its .zip, or its band files (.jp2) and "
                "MTD_MSIL2A.xml. Received: a file of another name."
            )
        path = scratch / _NOT_IN_NAMES.sub("_", name)[-_LONGEST_NAME:]
        if path.suffix.lower() == ".zip":
            _check_zip(data)
            products.append(path)
        elif s2_product.is_of_product(path.name):
            path = folder / path.name
            products.append(folder)
        else:
            images.append(path)
        path.write_bytes(data)
    if not products:
        return {"image_paths": images}
    if len(set(products)) > 1 or len(images) > 1:
        raise errors.UserError(
            "Expected one Sentinel-2 product, as a .zip or as its band files, "
            "and at most one GeoTIFF with it, of Sentinel-1. Received: more."
        )
    return {"s2_scene": products[0], "s1_scene": images[0] if images else None}


def _check_zip(data: bytes) -> None:
    """Refuses what would swell, before anything is unpacked.

    Raises:
      UserError: It holds too much, or is no zip file.
    """
    num_members = data.count(_MEMBER)
    if num_members > _MOST_MEMBERS:
        raise errors.UserError(
            f"Expected a zip file of at most {_MOST_MEMBERS:,} files. "
            f"Received: {num_members:,}."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            size = sum(member.file_size for member in file.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise errors.UserError(
            f"The zip file cannot be read: {errors.first_line(error)}. "
            "Expected a Sentinel-2 Level-2A product."
        ) from error
    if size > _MOST_UNPACKED_BYTES:
        raise errors.UserError(
            f"Expected a zip file of at most {_MOST_UNPACKED_BYTES:,} bytes "
            f"when unpacked. Received: {size:,}. Cut the bands around the "
            "place with gdal_translate, or start the server with `s2_scene`."
        )


def _read_bands(
    scratch: pathlib.Path,
    bands: Sequence[tuple[re.Match[str], bytes]],
    grids: Sequence[str],
) -> patch_source.Found:
    folders: dict[str, pathlib.Path] = {}
    for match, data in bands:
        band = match["band"].upper()
        sensor = "S1" if band in bigearthnet.S1_BANDS else "S2"
        if sensor not in folders:
            # Of one patch all files have the same name in front.
            folders[sensor] = scratch / match["patch"]
            folders[sensor].mkdir(exist_ok=True)
        patch = folders[sensor].name
        (folders[sensor] / f"{patch}_{band}.tif").write_bytes(data)
    return patch_source.from_folders(
        s1_folder=folders.get("S1"), s2_folder=folders.get("S2"), grids=grids
    )
