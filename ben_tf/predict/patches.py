"""Predicts patches: folders, an archive or a split of a dataset.

A broken patch is reported and left out; the others are predicted.
"""

import os
import tempfile
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tqdm

from ben_tf import errors
from ben_tf import saved_model as saved_models
from ben_tf.archive import patch_files
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.predict import output_files


class _Batch(NamedTuple):
    """Names, raw grids, EPSG codes and upper left corners of some patches."""

    names: list[str]
    inputs: Mapping[str, np.ndarray | tf.Tensor]
    epsg: np.ndarray
    upper_left: np.ndarray


def predict(
    *,
    saved_model: str | os.PathLike,
    output: str | os.PathLike,
    input_paths: Sequence[str] = (),
    data_dir: str | os.PathLike | None = None,
    split: str = "test",
    batch_size: int = 128,
) -> tuple[int, list[str]]:
    """Predicts patches and writes a table or a map of footprints.

    Args:
      saved_model: Folder of the exported model.
      output: File ending with .csv, .parquet or .geojson.
      input_paths: The folder of a patch, the two folders of a pair, or the
        folder of an archive; empty to predict a dataset.
      data_dir: Folder of the TFDS dataset; None to predict `input_paths`.
      split: Split of the dataset.
      batch_size: Patches predicted at once.

    Returns:
      Number of predicted patches, and what is wrong with each of the others.

    Raises:
      UserError: No model or input there, an unknown kind of output, or every
        single patch is broken.
    """
    if not input_paths and data_dir is None:
        raise errors.UserError(
            "There is nothing to predict. Expected folders of patches in "
            "`input_paths`, or a dataset in `data_dir`."
        )
    model = saved_models.load(saved_model)
    faults: list[str] = []
    num_patches = 0
    with (
        output_files.open_writer(output, model.class_names) as write,
        tempfile.TemporaryDirectory() as scratch_dir,
    ):
        if data_dir is None:
            total, batches = _from_files(
                input_paths, model.input_names, batch_size, faults, scratch_dir
            )
        else:
            total, batches = _from_dataset(data_dir, split, model, batch_size)
        with tqdm.tqdm(total=total, unit="patch", desc="predict") as progress:
            for batch in batches:
                probabilities = model.serve(batch.inputs).numpy()
                write(batch.names, probabilities, batch.epsg, batch.upper_left)
                num_patches += len(batch.names)
                progress.update(len(batch.names))
        if faults and not num_patches:
            raise errors.UserError(
                f"None of the {len(faults)} patches could be read. The first: "
                f"{faults[0]}"
            )
    return num_patches, faults


def _from_files(
    paths: Sequence[str],
    grids: tuple[str, ...],
    batch_size: int,
    faults: list[str],
    scratch_dir: str,
) -> tuple[int | None, Iterator[_Batch]]:
    """Number of patches, if known, and batches; they append to `faults`."""
    total: int | None = 1
    if len(paths) == 1 and patch_files.is_archive(paths[0]):
        total = patch_files.count(paths[0], grids)
        items = patch_files.from_archive(
            paths[0], grids, scratch_dir=scratch_dir
        )
    else:
        items = patch_files.from_folders(list(paths), grids)
    return total, _batches(items, batch_size, faults)


def _batches(
    items: Iterable[patch_files.Item], batch_size: int, faults: list[str]
) -> Iterator[_Batch]:
    patches: list[patch_files.Patch] = []

    def stacked() -> _Batch:
        return _Batch(
            [patch.name for patch in patches],
            {
                name: np.stack([patch.grids[name] for patch in patches])
                for name in patches[0].grids
            },
            np.array([patch.epsg for patch in patches]),
            np.array([patch.upper_left for patch in patches], np.float64),
        )

    for item in items:
        if isinstance(item, Exception):
            faults.append(str(item))
            continue
        patches.append(item)
        if len(patches) == batch_size:
            yield stacked()
            patches = []
    if patches:
        yield stacked()


def _from_dataset(
    data_dir: str | os.PathLike,
    split: str,
    model: saved_models.ServedModel,
    batch_size: int,
) -> tuple[int, Iterator[_Batch]]:
    """Number of patches, and batches."""
    builder = built_dataset.open_dataset(data_dir)
    total = built_dataset.num_examples(builder, split)
    batches = input_pipeline.native_batches(
        builder,
        split,
        grids=model.input_names,
        batch_size=batch_size,
        metadata=("patch_name", "epsg", "upper_left"),
    )
    return total, (
        _Batch(
            [name.decode() for name in batch["patch_name"].numpy()],
            batch["inputs"],
            batch["epsg"].numpy(),
            batch["upper_left"].numpy(),
        )
        for batch in batches
    )
