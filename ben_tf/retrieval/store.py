"""The index folder: what lies in it, how it is written and how it is checked.

    INDEX/manifest.json       what the index holds, and which data folder counts
    INDEX/data-<random>/      names.npy, labels.npy, embeddings.npy, ...

`manifest.json` is replaced in one step after the data folder is complete, so
a process killed at any moment leaves the old index or the new one. Rows are
sorted by patch name: equal distances in row order are equal distances in
order of names. Arrays are plain .npy files without pickle, read memory-mapped.
"""

import contextlib
import os
import pathlib
import re
import secrets
import shutil
from collections.abc import Iterator
from typing import Annotated
from typing import Any

import msgspec

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf.retrieval import approximate_search
from ben_tf.retrieval import binary
from ben_tf.retrieval import distances
from ben_tf.retrieval import embedding

FORMAT = 2
EXACT = "flat"
BINARY = "binary"
SEARCHES = (EXACT, *approximate_search.KINDS, BINARY)

NAMES = "names.npy"
LABELS = "labels.npy"
EMBEDDINGS = "embeddings.npy"
EPSG = "epsg.npy"
UPPER_LEFT = "upper_left.npy"
COUNTRIES = "countries.npy"
SEASONS = "seasons.npy"
DAYS = "days.npy"
SPLITS = "splits.npy"
FAISS_INDEX = "faiss.index"
CODES = "codes.npy"
PROJECTION = "projection.npy"
MEANS = "means.npy"

_MANIFEST = "manifest.json"
_DATA_FOLDER = "data-[0-9a-f]{16}"
BUILD_AGAIN = (
    "Bring it back from a copy, or build the index again with python -m "
    "ben_tf.retrieval build."
)
_DAMAGED = f"The index is damaged. {BUILD_AGAIN}"

_Positive = Annotated[int, msgspec.Meta(ge=1)]


class Manifest(
    embedding.Provenance,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="format",
    tag=FORMAT,
):
    """What an index says of itself, besides where its embeddings come from.

    Attributes:
      data: Name of the folder that holds the arrays.
      num_patches: N, rows of every array.
      dimension: D, columns of the embeddings.
      distance: One of `distances.DISTANCES`.
      search: One of `SEARCHES`.
      num_bits: Length of the binary codes, 0 without codes.
      query_modalities: Rows of the codes' means: what can be looked up by its
        code; () without codes.
      non_negative: Whether no embedding has a negative value.
      sha256: Digest of each file of the data folder; of indexes of before,
        of the FAISS index alone.
    """

    data: Annotated[str, msgspec.Meta(pattern=f"^{_DATA_FOLDER}$")]
    num_patches: _Positive
    dimension: _Positive
    distance: str
    search: str
    num_bits: Annotated[int, msgspec.Meta(ge=0)]
    query_modalities: tuple[str, ...]
    non_negative: bool
    sha256: dict[str, Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]]

    def __post_init__(self) -> None:
        for name, values, choices in (
            ("distance", [self.distance], distances.DISTANCES),
            ("search", [self.search], SEARCHES),
            ("modality", [self.modality], bigearthnet.MODALITIES),
            ("query_modalities", self.query_modalities, bigearthnet.MODALITIES),
            ("class_names", [self.class_names], bigearthnet.CLASSES.values()),
        ):
            if not all(value in choices for value in values):
                raise ValueError(f"unknown {name}")
        if (
            self.distance == distances.CHI_SQUARE
            and self.search in approximate_search.KINDS
        ):
            raise ValueError(f"{self.search} does not know {self.distance}")
        has_codes = self.search == BINARY
        if has_codes != (self.modality in self.query_modalities) or (
            len(set(self.query_modalities)) < len(self.query_modalities)
        ):
            raise ValueError("query_modalities do not fit the search")
        if has_codes != bool(self.num_bits) or (
            self.num_bits % 8 or self.num_bits > binary.MAX_BITS
        ):
            raise ValueError("num_bits do not fit the search")


class _Versioned(msgspec.Struct):
    """The part of a manifest that all format versions share."""

    format: Any


@contextlib.contextmanager
def new_data_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Makes an empty data folder inside the index folder `path`.

    It is deleted again unless `commit` makes it the one that counts.

    Raises:
      UserError: `path` is a file.
    """
    path = pathlib.Path(path)
    if path.exists() and not path.is_dir():
        raise errors.UserError(
            f"The index cannot be written to {path}. Expected a folder, or a "
            "path where one can be made. Received: a file. Choose another "
            "`output_dir`."
        )
    path.mkdir(parents=True, exist_ok=True)
    data = path / f"data-{secrets.token_hex(8)}"
    data.mkdir()
    try:
        yield data
    finally:
        if _current_data(path) != data.name:
            shutil.rmtree(data, ignore_errors=True)


def commit(path: str | os.PathLike, manifest: Manifest) -> None:
    """Makes `manifest.data` the data of the index; deletes older data.

    Its builder holds the lock of the folder, so that nobody else commits.
    """
    path = pathlib.Path(path)
    for file in (path / manifest.data).iterdir():
        files.sync(file)
    relative = os.path.relpath(manifest.saved_model, path)
    files.write_json(
        path / _MANIFEST,
        msgspec.structs.replace(manifest, saved_model=relative),
    )
    for old in path.iterdir():
        if old.name != manifest.data and re.fullmatch(_DATA_FOLDER, old.name):
            shutil.rmtree(old, ignore_errors=True)


def read_manifest(path: str | os.PathLike) -> Manifest:
    """Reads and checks `manifest.json` of the index folder `path`.

    Raises:
      UserError: No index there, one of another format version, or a manifest
        that is damaged.
    """
    path = pathlib.Path(path)
    file = path / _MANIFEST
    if not file.is_file():
        raise errors.UserError(
            f"No index found in {path}. Expected a folder with {_MANIFEST}; "
            "python -m ben_tf.retrieval build --output_dir=... writes one."
        )
    version = files.read_json(file, _Versioned, remedy=_DAMAGED).format
    if version != FORMAT:
        raise errors.UserError(
            f"The index in {path} has another format version. Expected "
            f"{FORMAT}. Received: {version!r}. {BUILD_AGAIN}"
        )
    manifest = files.read_json(file, Manifest, remedy=_DAMAGED)
    return msgspec.structs.replace(
        manifest, saved_model=os.path.join(path, manifest.saved_model)
    )


def _current_data(path: pathlib.Path) -> str | None:
    try:
        return read_manifest(path).data
    except errors.UserError:
        return None
