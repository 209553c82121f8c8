"""Predicts patches: folders, an archive or a split of a dataset.

A broken patch is reported and left out; the others are predicted.
"""

import itertools
import os
import pathlib
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
import tqdm

from ben_tf import errors
from ben_tf import files
from ben_tf import saved_model as saved_models
from ben_tf.archive import layout
from ben_tf.archive import patch_files
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.predict import origin
from ben_tf.predict import output_files
from ben_tf.predict import stac

# The raw grids of some patches, by name of grid, and which patches they are.
_Batch = tuple[Mapping[str, np.ndarray | tf.Tensor], output_files.Patches]


class Predicted(NamedTuple):
    """What was predicted.

    Attributes:
      num_patches: Number of patches.
      faults: What is wrong with each of the others.
      tags: From `origin.of`.
    """

    num_patches: int
    faults: list[str]
    tags: dict[str, str]


def predict(
    *,
    saved_model: str | os.PathLike,
    output: str | os.PathLike,
    input_paths: Sequence[str] = (),
    data_dir: str | os.PathLike | None = None,
    split: str = "test",
    batch_size: int = 128,
    stac_request: stac.Request | None = None,
) -> Predicted:
    """Predicts patches and writes a table or a map of footprints.

    Args:
      saved_model: Folder of the exported model.
      output: File ending with .csv, .parquet or .geojson.
      input_paths: The folder of a patch, the two folders of a pair, or the
        folder of an archive; empty to predict a dataset.
      data_dir: Folder of the TFDS dataset; None to predict `input_paths`.
      split: Split of the dataset.
      batch_size: Patches predicted at once.
      stac_request: Writes X.stac.json as well, see `stac`.

    Returns:
      What was predicted.

    Raises:
      UserError: No model or input there, an unknown kind of output, or every
        single patch is broken.
    """
    if not input_paths and data_dir is None:
        raise errors.UserError(
            "There is nothing to predict. Expected folders of patches in "
            "`input_paths`, or a dataset in `data_dir`."
        )
    files.check_writable(output)
    if stac_request:
        stac.check(output)
    model = saved_models.load(saved_model)
    builder = None
    if data_dir is not None:
        builder = built_dataset.open_dataset(data_dir)
    tags = origin.of(
        model,
        of_synthetic=built_dataset.is_synthetic(builder)
        if builder
        else _lie_in_synthetic_archive(input_paths),
    )
    faults: list[str] = []
    sources = input_paths if data_dir is None else [data_dir]
    extent = stac.Extent()
    with (
        output_files.open_writer(output, model.class_names, tags) as write,
        files.scratch_folder() as scratch_dir,
    ):
        if builder is None:
            if len(input_paths) == 1 and patch_files.is_archive(input_paths[0]):
                total, items = patch_files.from_archive(
                    input_paths[0], model.input_names, scratch_dir=scratch_dir
                )
            else:
                item = patch_files.from_folders(input_paths, model.input_names)
                total, items = 1, iter([item])
            batches = _batches(items, model, batch_size, faults)
        else:
            total, batches = _from_dataset(builder, split, model, batch_size)
        with tqdm.tqdm(total=total, unit="patch", desc="predict") as progress:
            for inputs, patches in batches:
                extent.add(patches)
                if stac_request:
                    # Raises with the first patches rather than after the last.
                    made_of = stac_request.origin(sources, extent.times)
                write(patches, model.serve(inputs).numpy())
                progress.update(len(patches.names))
        if faults and not extent.num_patches:
            raise errors.UserError(
                f"None of the {len(faults)} patches could be read. The first: "
                f"{faults[0]}"
            )
    if stac_request and extent.num_patches:
        stac.write_table_item(
            pathlib.Path(output),
            extent,
            model=model,
            tags=tags,
            origin=made_of,
        )
    return Predicted(extent.num_patches, faults, tags)


def _lie_in_synthetic_archive(input_paths: Sequence[str]) -> bool:
    """Whether an archive around the patches says that it is synthetic."""
    return any(
        layout.is_synthetic(folder)
        for path in map(pathlib.Path, input_paths)
        # A patch lies at most three folders deep in an archive.
        for folder in (path, *path.resolve().parents[:3])
    )


def _batches(
    items: Iterator[patch_files.Item],
    model: saved_models.ServedModel,
    batch_size: int,
    faults: list[str],
) -> Iterator[_Batch]:
    """Stacks the patches; appends to `faults` what is wrong with the others."""

    def whole() -> Iterator[patch_files.Patch]:
        for item in items:
            if isinstance(item, errors.UserError):
                faults.append(str(item))
            else:
                yield item

    patches = whole()
    while batch := list(itertools.islice(patches, batch_size)):
        yield (
            {
                name: np.stack([patch.grids[name] for patch in batch])
                for name in batch[0].grids
            },
            output_files.Patches(
                [patch.name for patch in batch],
                np.array([patch.footprint.epsg for patch in batch]),
                np.array(
                    [patch.footprint.upper_left for patch in batch], np.float64
                ),
                [patch.labels.get(len(model.class_names)) for patch in batch],
            ),
        )


def _from_dataset(
    builder: tfds.core.DatasetBuilder,
    split: str,
    model: saved_models.ServedModel,
    batch_size: int,
) -> tuple[int, Iterator[_Batch]]:
    """Number of patches, and batches."""
    total = built_dataset.num_examples(builder, split)
    nomenclatures = built_dataset.nomenclatures(builder)
    has_labels = len(model.class_names) in nomenclatures
    batches = input_pipeline.read_batches(
        builder,
        split,
        grids=model.input_names,
        num_classes=(
            len(model.class_names) if has_labels else nomenclatures[0]
        ),
        batch_size=batch_size,
        metadata=("patch_name", "epsg", "upper_left"),
    )
    return total, (
        (
            batch["inputs"],
            output_files.Patches(
                [name.decode() for name in batch["patch_name"].numpy()],
                batch["epsg"].numpy(),
                batch["upper_left"].numpy(),
                output_files.predicted_labels(
                    batch["labels"].numpy(), model.class_names
                )
                if has_labels
                else [None] * len(batch["epsg"]),
            ),
        )
        for batch in batches
    )
