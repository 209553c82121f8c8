"""Batches of patches to predict: of folders, of an archive, of a dataset."""

import itertools
from collections.abc import Iterator
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from ben_tf import errors
from ben_tf import saved_model as saved_models
from ben_tf.archive import patch_files
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.predict import output_files

# The raw grids of some patches, by name of grid, and which patches they are.
Batch = tuple[Mapping[str, np.ndarray | tf.Tensor], output_files.Patches]


def of_items(
    items: Iterator[patch_files.Item],
    model: saved_models.ServedModel,
    batch_size: int,
    faults: list[str],
) -> Iterator[Batch]:
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


def of_dataset(
    builder: tfds.core.DatasetBuilder,
    split: str,
    model: saved_models.ServedModel,
    batch_size: int,
    *,
    file_number: int | None = None,
) -> Iterator[Batch]:
    """Reads a split, or as of `input_pipeline.native_batches` one file of it.

    Raises:
      UserError: As of `input_pipeline.read_batches`.
    """
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
        file_number=file_number,
    )
    return (
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
