"""What a model says about a split: computed once, kept in one .npz file."""

import dataclasses
import hashlib
import io
import os
import pathlib
import struct
import zipfile
import zlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import BinaryIO
from typing import cast

import numpy as np
import tensorflow_datasets as tfds

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf import npy
from ben_tf import saved_model
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline

# What `Predictions` holds, as it lies in the file.
_ARRAYS: Mapping[str, tuple[str, Sequence[int | None]]] = {
    "patch_name": ("str", (None,)),
    "labels": ("uint8", (None, None)),
    "probabilities": ("float32", (None, None)),
    "country": ("int64", (None,)),
    "season": ("int64", (None,)),
    "epsg": ("int64", (None,)),
    "upper_left": ("float64", (None, 2)),
}
_RANGES = {
    "labels": (0, 1),
    "probabilities": (0, 1),
    "country": (bigearthnet.UNKNOWN, len(bigearthnet.COUNTRIES) - 1),
    "season": (bigearthnet.UNKNOWN, len(bigearthnet.SEASONS) - 1),
    "epsg": bigearthnet.UTM_EPSG,
    "upper_left": (-bigearthnet.MOST_UTM_METRES, bigearthnet.MOST_UTM_METRES),
}
# Those of all 590,326 patches take a tenth; a hostile file would fill the
# memory.
_MOST_BYTES = 4 << 30
_METADATA = ("patch_name", "country", "season", "epsg", "upper_left")
_FINGERPRINTS = ("model", "records")


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Labels and probabilities of N patches, in the order of the dataset.

    Attributes:
      patch_name: (N,) unicode.
      labels: (N, classes) uint8, 0 or 1.
      probabilities: (N, classes) float32.
      country: (N,) int64, indices into `bigearthnet.COUNTRIES`, or `UNKNOWN`.
      season: (N,) int64, indices into `bigearthnet.SEASONS`, or `UNKNOWN`.
      epsg: (N,) int64, coordinate system of `upper_left`.
      upper_left: (N, 2) float64, easting and northing in metres.
      model: Fingerprint of the weights that predicted; "" in files of before.
      records: Fingerprint of the dataset's records; "" in files of before.
    """

    patch_name: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    country: np.ndarray
    season: np.ndarray
    epsg: np.ndarray
    upper_left: np.ndarray
    model: str = ""
    records: str = ""

    def __len__(self) -> int:
        return len(self.patch_name)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over names and labels: which data were scored."""
        digest = hashlib.sha256()
        digest.update("\n".join(self.patch_name).encode())
        digest.update(self.labels.tobytes())
        return digest.hexdigest()


def predict(
    model: saved_model.ServedModel,
    builder: tfds.core.DatasetBuilder,
    split: str,
    *,
    batch_size: int,
) -> Predictions:
    """Runs a served model over a split, with a progress bar.

    Args:
      model: From `saved_model.load`.
      builder: The dataset, from `built_dataset.open_dataset`.
      split: TFDS split, such as "test" or "test[:100]".
      batch_size: Patches at a time.

    Raises:
      UserError: The dataset has no such split.
    """
    batches = input_pipeline.read_batches(
        builder,
        split,
        desc=f"predict {split}",
        grids=model.input_names,
        num_classes=len(model.class_names),
        batch_size=batch_size,
        metadata=_METADATA,
    )
    columns: dict[str, list[np.ndarray]] = {name: [] for name in _ARRAYS}
    for batch in batches:
        columns["probabilities"].append(model.serve(batch["inputs"]).numpy())
        columns["labels"].append(batch["labels"].numpy().astype(np.uint8))
        for name in _METADATA:
            columns[name].append(batch[name].numpy())
    arrays = {name: np.concatenate(parts) for name, parts in columns.items()}
    arrays["patch_name"] = np.char.decode(
        arrays["patch_name"].astype(np.bytes_), "utf-8"
    )
    return Predictions(
        **arrays,
        model=model.fingerprint,
        records=built_dataset.fingerprint(builder),
    )


def save(predictions: Predictions, path: str | os.PathLike) -> pathlib.Path:
    """Writes the arrays under the names of the fields; no pickle."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **vars(predictions))
    return files.write(path, buffer.getvalue())


def load(path: str | os.PathLike) -> Predictions:
    """Reads what `save` wrote.

    Raises:
      UserError: No such file, or it is damaged or not such a file.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise errors.UserError(
            f"No predictions found. Expected {path}. Write it with python -m "
            "ben_tf.evaluate."
        )
    try:
        with zipfile.ZipFile(path) as file:
            if sum(info.file_size for info in file.infolist()) > _MOST_BYTES:
                raise ValueError(f"it holds more than {_MOST_BYTES:,} bytes")
            arrays = {
                name: _read_array(file, name, dtype, shape)
                for name, (dtype, shape) in _ARRAYS.items()
            }
            members = file.namelist()
            fingerprints = {
                name: str(_read_array(file, name, "str", ()))
                for name in _FINGERPRINTS
                if f"{name}.npy" in members
            }
        _check(arrays)
    # An unknown compression, a password, a name or a number out of range.
    except (
        EOFError,
        LookupError,
        NotImplementedError,
        OSError,
        OverflowError,
        RuntimeError,
        ValueError,
        struct.error,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise errors.UserError(
            f"The predictions in {path} cannot be read: "
            f"{errors.first_line(error)}. Write them again with python -m "
            "ben_tf.evaluate."
        ) from error
    return Predictions(
        **arrays,
        model=fingerprints.get("model", ""),
        records=fingerprints.get("records", ""),
    )


def _read_array(
    file: zipfile.ZipFile, name: str, dtype: str, shape: Sequence[int | None]
) -> np.ndarray:
    """Reads a member of a .npz file.

    Raises:
      ValueError: It is of another type or shape.
      KeyError: There is none of this name.
    """
    info = file.getinfo(f"{name}.npy")
    with file.open(info) as stream:
        try:
            header = npy.read_header(
                cast(BinaryIO, stream), info.file_size, dtype, shape
            )
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        values = np.frombuffer(stream.read(), header.dtype)
    return values.reshape(header.shape, order="F" if header.is_fortran else "C")


def _check(arrays: Mapping[str, np.ndarray]) -> None:
    """Raises ValueError unless the arrays can be predictions."""
    shape = arrays["labels"].shape
    if (
        not all(shape)
        or arrays["probabilities"].shape != shape
        or any(len(array) != shape[0] for array in arrays.values())
    ):
        raise ValueError("shapes differ, or there are no patches")
    if not npy.are_characters(arrays["patch_name"]):
        raise ValueError("a name is no text")
    for name, (low, high) in _RANGES.items():
        array = arrays[name]
        # Not the other way round: nothing is true of NaN.
        if not ((array >= low) & (array <= high)).all():
            raise ValueError(f"{name}: expected {low:g} to {high:g} only")
