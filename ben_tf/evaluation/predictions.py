"""What a model says about a split: computed once, kept in one .npz file."""

import dataclasses
import io
import os
import pathlib
import zipfile

import numpy as np
import tensorflow_datasets as tfds

from ben_tf import errors
from ben_tf import files
from ben_tf import saved_model
from ben_tf.data import input_pipeline

_METADATA = ("patch_name", "country", "season", "epsg", "upper_left")


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Labels and probabilities of N patches, in the order of the dataset.

    Attributes:
      patch_name: (N,) unicode.
      labels: (N, classes) uint8, 0 or 1.
      probabilities: (N, classes) float32.
      country: (N,) int64, indices into `bigearthnet.COUNTRIES`.
      season: (N,) int64, indices into `bigearthnet.SEASONS`.
      epsg: (N,) int64, coordinate system of `upper_left`.
      upper_left: (N, 2) float64, easting and northing in metres.
    """

    patch_name: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    country: np.ndarray
    season: np.ndarray
    epsg: np.ndarray
    upper_left: np.ndarray

    def __len__(self) -> int:
        return len(self.patch_name)


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
    columns: dict[str, list[np.ndarray]] = {
        field.name: [] for field in dataclasses.fields(Predictions)
    }
    for batch in batches:
        columns["probabilities"].append(model.serve(batch["inputs"]).numpy())
        columns["labels"].append(batch["labels"].numpy().astype(np.uint8))
        for name in _METADATA:
            columns[name].append(batch[name].numpy())
    arrays = {name: np.concatenate(parts) for name, parts in columns.items()}
    arrays["patch_name"] = np.char.decode(
        arrays["patch_name"].astype(np.bytes_), "utf-8"
    )
    return Predictions(**arrays)


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
        with np.load(path, allow_pickle=False) as file:
            arrays = {
                field.name: file[field.name]
                for field in dataclasses.fields(Predictions)
            }
        shape = arrays["labels"].shape
        if (
            len(shape) != 2
            or arrays["probabilities"].shape != shape
            or any(len(array) != shape[0] for array in arrays.values())
            or arrays["upper_left"].shape != (shape[0], 2)
        ):
            raise ValueError("shapes differ")
    except (
        EOFError,
        KeyError,
        OSError,
        ValueError,
        zipfile.BadZipFile,
    ) as error:
        raise errors.UserError(
            f"The predictions in {path} cannot be read: "
            f"{errors.first_line(error)}. Write them again with python -m "
            "ben_tf.evaluate."
        ) from error
    return Predictions(**arrays)
