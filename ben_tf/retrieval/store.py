"""The index folder: what lies in it, how it is written and how it is checked.

    INDEX/manifest.json       what the index holds, and which data folder counts
    INDEX/data-<random>/      names.npy, labels.npy, embeddings.npy, ...

`manifest.json` is replaced in one step after the data folder is complete, so
a process killed at any moment leaves the old index or the new one. Rows are
sorted by patch name: equal distances in row order are equal distances in
order of names. Arrays are plain .npy files without pickle, read memory-mapped.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.retrieval import distances

FORMAT = 2
EXACT = "flat"
BINARY = "binary"
SEARCHES = (EXACT, "ivf", "hnsw", "pq", BINARY)

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
_MANIFEST_MAX_BYTES = 1 << 20
_DATA_FOLDER = re.compile(r"data-[0-9a-f]{16}")
_BUILD_AGAIN = "Build it again with python -m ben_tf.retrieval build."


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What an index says of itself.

    Attributes:
      data: Name of the folder that holds the arrays.
      num_patches: N, rows of every array.
      dimension: D, columns of the embeddings.
      distance: One of `distances.DISTANCES`.
      search: One of `SEARCHES`.
      num_bits: Length of the binary codes, 0 without codes.
      query_modalities: Rows of the codes' means: what can be looked up by its
        code; () without codes.
      modality: What was embedded: "S1", "S2" or "MM".
      splits: Splits of the dataset, such as ("test",).
      class_names: Columns of the labels.
      fingerprint: That of the model; only its embeddings are comparable.
      saved_model: Path of the model, relative to the index folder.
      non_negative: Whether no embedding has a negative value.
      synthetic: Whether patches or model are synthetic.
      sha256: Digest of each file that another program's code parses.
    """

    data: str
    num_patches: int
    dimension: int
    distance: str
    search: str
    num_bits: int
    query_modalities: tuple[str, ...]
    modality: str
    splits: tuple[str, ...]
    class_names: tuple[str, ...]
    fingerprint: str
    saved_model: str
    non_negative: bool
    synthetic: bool
    sha256: dict[str, str]


@contextlib.contextmanager
def new_data_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Makes an empty data folder inside the index folder `path`.

    It is deleted again unless `commit` makes it the one that counts.

    Raises:
      UserError: `path` exists and is no folder.
    """
    path = pathlib.Path(path)
    if path.exists() and not path.is_dir():
        raise errors.UserError(
            f"The index cannot be written to {path}. Expected a folder, or a "
            "path where one can be made. Received: a file. Choose another one."
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
    text = json.dumps(
        {"format": FORMAT, **dataclasses.asdict(manifest)}, indent=2
    )
    part = path / f"{_MANIFEST}.{manifest.data}.part"
    part.write_text(text + "\n", encoding="utf-8")
    _flush(part)
    os.replace(part, path / _MANIFEST)
    for old in path.iterdir():
        if old.name != manifest.data and _DATA_FOLDER.fullmatch(old.name):
            shutil.rmtree(old, ignore_errors=True)
        elif old.name.startswith(f"{_MANIFEST}.data-"):
            old.unlink(missing_ok=True)


def read_manifest(path: str | os.PathLike) -> Manifest:
    """Reads and checks `manifest.json` of the index folder `path`.

    Raises:
      UserError: No index there, one of another format version, or a manifest
        that does not say what it should.
    """
    file = pathlib.Path(path) / _MANIFEST
    if not file.is_file():
        raise errors.UserError(
            f"No index found in {path}. Expected a folder with {_MANIFEST}; "
            "python -m ben_tf.retrieval build --output_dir=... writes one."
        )
    try:
        if file.stat().st_size > _MANIFEST_MAX_BYTES:
            raise ValueError("it is too large")
        fields = json.loads(file.read_text(encoding="utf-8"))
        version = fields.pop("format")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise _damaged(file, error) from error
    if version != FORMAT:
        raise errors.UserError(
            f"The index in {path} has another format version. Expected "
            f"{FORMAT}. Received: {version!r}. {_BUILD_AGAIN}"
        )
    try:
        for name in ("splits", "class_names", "query_modalities"):
            fields[name] = tuple(fields[name])
        manifest = Manifest(**fields)
        _check(manifest)
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(file, error) from error
    return manifest


def read_array(
    path: str | os.PathLike,
    manifest: Manifest,
    name: str,
    *,
    dtype: str,
    shape: Sequence[int],
) -> np.ndarray:
    """Opens an array of the index, memory-mapped and read-only.

    Args:
      path: The index folder.
      manifest: From `read_manifest`.
      name: File name, such as `NAMES`.
      dtype: Expected kind, such as "float32"; "str" for any unicode width.
      shape: Expected shape.

    Raises:
      UserError: The file is missing, damaged or not as expected.
    """
    file = pathlib.Path(path) / manifest.data / name
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
        kind = "str" if array.dtype.kind == "U" else array.dtype.name
        if (kind, array.shape) != (dtype, tuple(shape)):
            raise ValueError(
                f"expected {dtype} {tuple(shape)}, received {kind} "
                f"{array.shape}"
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


def _check(manifest: Manifest) -> None:
    """Raises ValueError where the manifest cannot be true."""
    for name, choices in (
        ("distance", distances.DISTANCES),
        ("search", SEARCHES),
        ("modality", tuple(bigearthnet.MODALITIES)),
        ("class_names", tuple(bigearthnet.CLASSES.values())),
    ):
        if getattr(manifest, name) not in choices:
            raise ValueError(f"unknown {name}")
    if not _DATA_FOLDER.fullmatch(manifest.data):
        raise ValueError("data is no name of a data folder")
    for name in ("num_patches", "dimension"):
        value = getattr(manifest, name)
        if type(value) is not int or value < 1:
            raise ValueError(f"{name} is no positive whole number")
    if type(manifest.num_bits) is not int or manifest.num_bits < 0:
        raise ValueError("num_bits is no number of bits")
    if not set(manifest.query_modalities) <= set(bigearthnet.MODALITIES):
        raise ValueError("unknown query_modalities")
    for name in ("fingerprint", "saved_model"):
        if not isinstance(getattr(manifest, name), str):
            raise ValueError(f"{name} is no text")
    for name in ("non_negative", "synthetic"):
        if not isinstance(getattr(manifest, name), bool):
            raise ValueError(f"{name} is neither true nor false")
    if not isinstance(manifest.sha256, dict):
        raise ValueError("sha256 is no table")
    if not all(isinstance(split, str) for split in manifest.splits):
        raise ValueError("splits are no names")


def _current_data(path: pathlib.Path) -> str | None:
    try:
        return json.loads((path / _MANIFEST).read_text("utf-8"))["data"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _flush(file: pathlib.Path) -> None:
    """Waits until a file is on the disk."""
    with open(file, "rb+") as stream:
        os.fsync(stream.fileno())


def _damaged(file: pathlib.Path, error: Exception) -> errors.UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return errors.UserError(
        f"The index file {file} is damaged: {reason}. {_BUILD_AGAIN}"
    )
