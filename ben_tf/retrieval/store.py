"""The index folder: what lies in it, how it is written and how it is checked.

    INDEX/manifest.json       what the index holds, and which data folder counts
    INDEX/data-<random>/      names.npy, labels.npy, embeddings.npy, ...

`manifest.json` is replaced in one step after the data folder is complete, so
a process killed at any moment leaves the old index or the new one. Rows are
sorted by patch name: equal distances in row order are equal distances in
order of names. Arrays are plain .npy files without pickle, read memory-mapped.
"""

import contextlib
import hashlib
import os
import pathlib
import re
import secrets
import shutil
from collections.abc import Iterator
from typing import Annotated
from typing import Any

import msgspec
import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf.retrieval import approximate_search
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
FAISS_INDEX = "faiss.index"
CODES = "codes.npy"
PROJECTION = "projection.npy"
MEANS = "means.npy"

_MANIFEST = "manifest.json"
_DATA_FOLDER = "data-[0-9a-f]{16}"
_BUILD_AGAIN = "Build it again with python -m ben_tf.retrieval build."
_DAMAGED = f"The index is damaged. {_BUILD_AGAIN}"

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
      sha256: Digest of each file that another program's code parses.
    """

    data: Annotated[str, msgspec.Meta(pattern=f"^{_DATA_FOLDER}$")]
    num_patches: _Positive
    dimension: _Positive
    distance: str
    search: str
    num_bits: Annotated[int, msgspec.Meta(ge=0)]
    query_modalities: tuple[str, ...]
    non_negative: bool
    sha256: dict[str, str]

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

    Of two processes that build the same index at the same time, the first to
    finish wins; the other fails.
    """
    path = pathlib.Path(path)
    for file in (path / manifest.data).iterdir():
        _flush(file)
    relative = os.path.relpath(manifest.saved_model, path)
    with files.replacing(path / _MANIFEST) as part:
        files.write_json(
            part, msgspec.structs.replace(manifest, saved_model=relative)
        )
        _flush(part)
    for old in path.iterdir():
        if old.name != manifest.data and re.fullmatch(_DATA_FOLDER, old.name):
            shutil.rmtree(old, ignore_errors=True)
        # Left over by processes that were killed.
        elif old.name.startswith(f"{_MANIFEST}."):
            old.unlink(missing_ok=True)


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
            f"{FORMAT}. Received: {version!r}. {_BUILD_AGAIN}"
        )
    manifest = files.read_json(file, Manifest, remedy=_DAMAGED)
    return msgspec.structs.replace(
        manifest, saved_model=os.path.join(path, manifest.saved_model)
    )


def read_array(
    path: str | os.PathLike,
    manifest: Manifest,
    name: str,
    dtype: str,
    *shape: int,
) -> np.ndarray:
    """Opens an array of the index, memory-mapped and read-only.

    Args:
      path: The index folder.
      manifest: From `read_manifest`.
      name: File name, such as `NAMES`.
      dtype: Expected kind, such as "float32"; "str" for any unicode width.
      *shape: Expected shape.

    Raises:
      UserError: The file is missing, damaged or not as expected.
    """
    file = pathlib.Path(path) / manifest.data / name
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
        kind = "str" if array.dtype.kind == "U" else array.dtype.name
        if (kind, array.shape) != (dtype, shape):
            raise ValueError(
                f"expected {dtype} {shape}, received {kind} {array.shape}"
            )
        if not array.flags.c_contiguous:
            raise ValueError("expected C order")
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(file, error) from error
    return array


def checked_file(
    path: str | os.PathLike, manifest: Manifest, name: str
) -> pathlib.Path:
    """Returns the path of a file whose digest is that of the manifest.

    Raises:
      UserError: The file is missing or another one.
    """
    file = pathlib.Path(path) / manifest.data / name
    try:
        if digest(file) != manifest.sha256.get(name):
            raise ValueError("its SHA-256 is not that of the manifest")
    except (OSError, ValueError) as error:
        raise _damaged(file, error) from error
    return file


def digest(file: pathlib.Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _current_data(path: pathlib.Path) -> str | None:
    try:
        return read_manifest(path).data
    except errors.UserError:
        return None


def _flush(file: pathlib.Path) -> None:
    """Waits until a file is on the disk."""
    with open(file, "rb+") as stream:
        os.fsync(stream.fileno())


def _damaged(file: pathlib.Path, error: Exception) -> errors.UserError:
    return errors.UserError(
        f"The index file {file} is damaged: {errors.first_line(error)}. "
        f"{_BUILD_AGAIN}"
    )
