"""Patches that a client has sent: read, embedded, and kept for a while."""

import collections
import pathlib
import re
import secrets
import tempfile
import threading
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import patch_source

# 370 kB of pixels each.
_MOST_KEPT = 256
# Names of patches have up to 57 letters; file systems end at 255.
_BAND = re.compile(
    rf"(?P<patch>\w{{1,200}})_(?P<band>{'|'.join(bigearthnet.S1_BANDS)}|B\d\w)\.tiff?",
    re.IGNORECASE | re.ASCII,
)


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
        self._kept: collections.OrderedDict[str, Upload] = (
            collections.OrderedDict()
        )
        self._lock = threading.Lock()

    def keep(self, upload: Upload) -> str:
        """Keeps an upload; returns its key."""
        key = secrets.token_urlsafe(16)
        with self._lock:
            self._kept[key] = upload
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return key

    def get(self, key: str) -> Upload:
        """An upload by its key.

        Raises:
          GoneError: It is not kept any more, or never was.
        """
        with self._lock:
            if key not in self._kept:
                raise GoneError(
                    "This upload is not kept any more. Send it again."
                )
            return self._kept[key]


class GoneError(errors.UserError):
    """There is no such upload."""


def read(
    content: Sequence[tuple[str, bytes]], *, grids: Sequence[str]
) -> patch_source.Found:
    """Reads a patch from the files that a client has sent.

    Args:
      content: Name and bytes of each file: the GeoTIFFs of a patch, whose names
        end with that of the band, as "S2A_MSIL2A_20170613T101031_0_45_B02.tif";
        or one GeoTIFF with many bands.
      grids: What the model looks at, keys of `bigearthnet.GRIDS`.

    Raises:
      UserError: A file is not a band, or one is missing or damaged.
    """
    # A name may come with a path, of which only its end counts.
    named = [
        (_BAND.fullmatch(name.replace("\\", "/").rpartition("/")[2]), data)
        for name, data in content
    ]
    with tempfile.TemporaryDirectory(prefix="ben_tf_upload_") as scratch:
        try:
            if len(named) == 1 and named[0][0] is None:
                image = pathlib.Path(scratch, "upload.tif")
                image.write_bytes(named[0][1])
                return patch_source.from_image([image], grids=grids)
            return _read_bands(pathlib.Path(scratch), named, grids)
        except errors.UserError as error:
            # Where they lay for a moment is nobody's business.
            text = str(error).replace(f"{scratch}/", "")
            text = text.replace(pathlib.Path(scratch).name, "the upload")
            raise errors.UserError(text) from None


def _read_bands(
    scratch: pathlib.Path,
    named: Sequence[tuple[re.Match[str] | None, bytes]],
    grids: Sequence[str],
) -> patch_source.Found:
    folders: dict[str, pathlib.Path] = {}
    for match, data in named:
        if match is None:
            raise errors.UserError(
                "Expected GeoTIFFs whose names end with the band, such as "
                "..._B02.tif or ..._VV.tif, or one GeoTIFF with many bands. "
                "Received: a file of another name."
            )
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
