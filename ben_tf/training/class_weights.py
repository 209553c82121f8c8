"""Weights of each class's positives in the class-weighted loss."""

import msgspec
import numpy as np
import tensorflow_datasets as tfds

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import files
from ben_tf import workdir as workdir_lib
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline

LARGEST_WEIGHT = 100.0
_REMEDY = "Move it to another folder, and the labels are counted again."


class ClassWeights(msgspec.Struct, frozen=True):
    """class_weights.json: the training split's labels, counted once.

    Attributes:
      patches: Patches with each class.
      weights: Weight of each class's positives.
      split: The split.
      data: Fingerprint of the dataset; "" in files of before.
    """

    patches: list[float]
    weights: list[float]
    split: str = ""
    data: str = ""


def of_run(
    config: config_lib.Config,
    builder: tfds.core.DatasetBuilder,
    workdir: workdir_lib.Workdir | None,
) -> list[float] | None:
    """The weights for `loss=class_weighted`; None for other losses.

    The labels of the training split are counted once, which reads it once, and
    kept in the workdir's class_weights.json. Without a workdir nothing is kept.
    """
    if config.loss != "class_weighted":
        return None
    data = built_dataset.fingerprint(builder)
    if workdir is not None and workdir.class_weights_file.exists():
        counted = files.read_json(
            workdir.class_weights_file, ClassWeights, remedy=_REMEDY
        )
        # A try that failed may have counted something else.
        same = (config.train_split, data, config.num_classes)
        if not counted.data or same == (
            *(counted.split, counted.data, len(counted.patches)),
        ):
            return _checked(counted.weights, config.num_classes, workdir)
    counts = np.zeros(config.num_classes)
    for batch in input_pipeline.read_batches(
        builder,
        config.train_split,
        desc="counting labels",
        grids=(),
        num_classes=config.num_classes,
    ):
        counts += batch["labels"].numpy().sum(axis=0)
    num_patches = built_dataset.num_examples(builder, config.train_split)
    weights = positive_weights(counts, num_patches).tolist()
    if workdir is not None:
        files.write_json(
            workdir.class_weights_file,
            ClassWeights(counts.tolist(), weights, config.train_split, data),
        )
    return weights


def _checked(
    weights: list[float], num_classes: int, workdir: workdir_lib.Workdir
) -> list[float]:
    """Raises UserError for weights that cannot come from counting."""
    if len(weights) != num_classes or not all(
        0 <= weight <= LARGEST_WEIGHT for weight in weights
    ):
        raise errors.UserError(
            f"{workdir.class_weights_file} is damaged. Expected {num_classes} "
            f"weights from 0 to {LARGEST_WEIGHT:g}. {_REMEDY}"
        )
    return weights


def positive_weights(counts: np.ndarray, num_patches: int) -> np.ndarray:
    """From labels to weights: patches without a class / patches with it.

    So a class's positives weigh as much together as its negatives. At most
    `LARGEST_WEIGHT`, so that no single patch rules a batch; 1 for a class that
    does not occur.

    Args:
      counts: (classes,) patches with each class.
      num_patches: All patches.

    Returns:
      (classes,) float64.
    """
    counts = np.asarray(counts, np.float64)
    ratio = (num_patches - counts) / np.maximum(counts, 1)
    return np.where(counts > 0, np.minimum(ratio, LARGEST_WEIGHT), 1.0)
