"""Patches that a client has sent: read, embedded, and kept for a while."""

import pathlib
import re
import secrets
import tempfile
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import patch_source
from ben_tf.retrieval.server import kept

# Some 250 patches.
_MOST_BYTES = 96 << 20
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
