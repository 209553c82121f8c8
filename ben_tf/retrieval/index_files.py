"""Files of an index folder, checked before anything believes them.

Each is a plain .npy file, or that of FAISS, and has its SHA-256 in the
manifest. Those of an index that an older version wrote, with that of the FAISS
file alone, are known by their size, type and shape.
"""

import hashlib
import os
import pathlib

import numpy as np

from ben_tf import errors
from ben_tf import files
from ben_tf import npy
from ben_tf.retrieval import store


def digests(folder: pathlib.Path) -> dict[str, str]:
    """SHA-256 of each file of a data folder, hexadecimal, by name."""
    return {file.name: _digest(file) for file in sorted(folder.iterdir())}


def read_array(
    path: str | os.PathLike,
    manifest: store.Manifest,
    name: str,
    dtype: str,
    *shape: int,
) -> np.ndarray:
    """Opens an array of the index, memory-mapped and read-only.

    Args:
      path: The index folder.
      manifest: From `store.read_manifest`.
      name: File name, such as `store.NAMES`.
      dtype: Expected kind, such as "float32"; "str" for any unicode width.
      *shape: Expected shape.

    Raises:
      UserError: The file is missing, damaged or not as expected.
    """
    file = path_of(path, manifest, name)
    try:
        with open(file, "rb", opener=files.regular) as stream:
            size = os.fstat(stream.fileno()).st_size
            header = npy.read_header(stream, size, dtype, shape)
        if header.is_fortran:
            raise ValueError("expected C order")
        if store.NAMES in manifest.sha256:
            _check_digest(file, manifest)
        return np.memmap(file, header.dtype, "r", header.offset, shape)
    except (OSError, ValueError) as error:
        raise damaged(file, error) from error


def checked_file(
    path: str | os.PathLike, manifest: store.Manifest, name: str
) -> pathlib.Path:
    """Returns the path of a file whose digest is that of the manifest.

    Raises:
      UserError: The file is missing or another one.
    """
    file = path_of(path, manifest, name)
    try:
        _check_digest(file, manifest)
    except (OSError, ValueError) as error:
        raise damaged(file, error) from error
    return file


def damaged(file: pathlib.Path, error: Exception | str) -> errors.UserError:
    """Says which file is damaged, and the way out.

    Args:
      file: Of the index.
      error: What is wrong, without a full stop.
    """
    if isinstance(error, OSError) and error.strerror:
        error = error.strerror
    elif isinstance(error, Exception):
        error = errors.first_line(error)
    return errors.UserError(
        f"The index file {file} is damaged: {error}. {store.BUILD_AGAIN}"
    )


def path_of(
    path: str | os.PathLike, manifest: store.Manifest, name: str
) -> pathlib.Path:
    """Where a file of the index lies."""
    return pathlib.Path(path) / manifest.data / name


def _check_digest(file: pathlib.Path, manifest: store.Manifest) -> None:
    if _digest(file) != manifest.sha256.get(file.name):
        raise ValueError("its SHA-256 is not that of the manifest")


def _digest(file: pathlib.Path) -> str:
    with open(file, "rb", opener=files.regular) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
