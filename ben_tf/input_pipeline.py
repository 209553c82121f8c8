"""From a TFDS directory to tf.data batches.

Only the arrays that a model needs are parsed, and a whole batch is parsed at
once: `tf.io.parse_example` and `decode_raw` on a batch are two to three times
faster than decoding record by record. TensorFlow Datasets finds the files and
resolves splits such as "train[:10%]"; it does not decode.
"""

import functools
import os
import pathlib
from collections.abc import Sequence

import tensorflow as tf
import tensorflow_datasets as tfds
from google.protobuf import json_format

from ben_tf import bigearthnet
from ben_tf import command_line
from ben_tf import preprocessing

_DATASET_FILE = "dataset_info.json"
_SCALAR = {
    "patch_name": tf.string,
    "s1_name": tf.string,
    "s1_time": tf.string,
    "s2_time": tf.string,
    "country": tf.int64,
    "season": tf.int64,
    "seasonal_snow": tf.int64,
    "cloud_or_shadow": tf.int64,
    "epsg": tf.int64,
}


def open_dataset(data_dir: str | os.PathLike) -> tfds.core.DatasetBuilder:
    """Finds the newest built version of the dataset below `data_dir`.

    Raises:
      UserError: No dataset there, a damaged one, or one whose records are in
        another file format.
    """
    versions = built_versions(data_dir)
    if not versions:
        raise command_line.UserError(
            f"No dataset found. Expected {data_dir}/{bigearthnet.DATASET_NAME}/"
            f"<config>/<version>/{_DATASET_FILE}. Build it with python -m "
            "tfrecords_builder.build --archive_dir=... "
            f"--data_dir={data_dir}, or correct --data_dir."
        )
    try:
        builder = tfds.builder_from_directory(versions[-1])
    except (KeyError, ValueError, json_format.ParseError) as error:
        raise command_line.UserError(
            f"The description of the dataset in {versions[-1]} is damaged: "
            f"{error}. Build it again with python -m tfrecords_builder.build "
            "--overwrite."
        ) from error
    if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
        raise command_line.UserError(
            f"The dataset in {versions[-1]} is stored as "
            f"{builder.info.file_format.value}. Expected tfrecord. Build it "
            "again with python -m tfrecords_builder.build."
        )
    return builder


def built_versions(data_dir: str | os.PathLike) -> list[pathlib.Path]:
    """Folders of the versions that were built to the end, oldest first."""
    root = pathlib.Path(data_dir).expanduser() / bigearthnet.DATASET_NAME
    # A build that is going on has a folder "incomplete...".
    found = root.glob(f"*/[0-9]*/{_DATASET_FILE}")
    return sorted(
        (path.parent for path in found),
        key=lambda path: tfds.core.Version(path.name),
    )


def is_synthetic(builder: tfds.core.DatasetBuilder) -> bool:
    """Whether the records come from the synthetic sample archive."""
    return bool((builder.info.metadata or {}).get("synthetic", False))


def num_examples(builder: tfds.core.DatasetBuilder, split: str) -> int:
    """Number of patches of a split or sub-split such as "test[:100]".

    Raises:
      UserError: The dataset has no such split.
    """
    return _split_info(builder, split).num_examples


def native_batches(
    builder: tfds.core.DatasetBuilder,
    split: str,
    *,
    grids: Sequence[str],
    num_classes: int = 19,
    batch_size: int = 256,
    metadata: Sequence[str] = (),
) -> tf.data.Dataset:
    """Batches of raw patches in a fixed order, each patch once.

    Args:
      builder: From `open_dataset`.
      split: TFDS split, such as "test" or "train[:10%]".
      grids: Which arrays to parse, keys of `bigearthnet.GRIDS`.
      num_classes: Nomenclature of the labels, 19 or 43.
      batch_size: Patches in a batch; the last batch may be smaller.
      metadata: Other features to parse, such as "patch_name".

    Returns:
      A dataset of dicts: "inputs", a dict of arrays (B, size, size, bands) in
      the dtypes of `bigearthnet.GRIDS`; "labels", (B, num_classes) float32
      multi-hot; and each of `metadata`, (B,), "upper_left" (B, 2) float64.

    Raises:
      UserError: The dataset has no such split.
    """
    parse = functools.partial(
        parse_batch, grids=grids, num_classes=num_classes, metadata=metadata
    )
    return (
        _records(_shards(builder, split))
        .batch(batch_size)
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def training_batches(
    builder: tfds.core.DatasetBuilder,
    split: str,
    *,
    grids: Sequence[str],
    layout: str | None,
    num_classes: int,
    batch_size: int,
    seed: int,
    epochs: range,
    shuffle_buffer: int,
    augment: bool,
) -> tf.data.Dataset:
    """Shuffled batches of the given epochs, one after the other.

    The order of patches and their augmentation are functions of the seed and
    the number of the epoch, so training that stops after epoch 7 goes on with
    `epochs=range(7, 100)` as if nothing had happened. Patches are shuffled
    three times: by the builder when it writes, by file, and in a buffer.

    Args:
      builder: From `open_dataset`.
      split: TFDS split.
      grids: Which arrays to parse, keys of `bigearthnet.GRIDS`.
      layout: One of `preprocessing.LAYOUTS` for model-ready batches, or None
        for raw native grids (preprocessing then runs on the device).
      num_classes: Nomenclature of the labels, 19 or 43.
      batch_size: Patches in a batch. An epoch has num_examples // batch_size
        batches: its last, incomplete batch is dropped, since XLA would compile
        another program for it; the shuffle makes it other patches every time.
      seed: Any integer.
      epochs: Numbers of the epochs.
      shuffle_buffer: Records in the buffer, about 275 kB each.
      augment: Whether to flip and turn.

    Returns:
      A dataset of (inputs, labels).

    Raises:
      UserError: The dataset has no such split.
    """
    steps = num_examples(builder, split) // batch_size
    shards = _shards(builder, split)

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        # The seed of this function's graph, which shuffle() combines with its
        # own: the order is no matter of tf.random.set_seed, with whose 0 a
        # seed that is a tensor could not be combined.
        tf.compat.v1.set_random_seed(1)
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(shards[0])), seed=[seed, epoch]
        )
        shuffled_shards = tuple(tf.gather(column, order) for column in shards)
        return (
            _records(shuffled_shards)
            .shuffle(shuffle_buffer, seed=epoch + seed)
            .batch(batch_size, drop_remainder=True)
        )

    def prepare(step, serialized):
        batch = parse_batch(serialized, grids=grids, num_classes=num_classes)
        return compute(batch["inputs"], step), batch["labels"]

    @tf.function(jit_compile=True)
    def compute(inputs, step):
        if augment:
            inputs = preprocessing.augment(inputs, seed=[seed, step])
        if layout is not None:
            inputs = preprocessing.to_model_inputs(inputs, layout=layout)
        return inputs

    return (
        tf.data.Dataset.range(epochs.start, epochs.stop)
        .flat_map(one_epoch)
        .enumerate(start=epochs.start * steps)
        .map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def validation_batches(
    builder: tfds.core.DatasetBuilder,
    split: str,
    *,
    grids: Sequence[str],
    layout: str | None,
    num_classes: int,
    batch_size: int,
) -> tf.data.Dataset:
    """Batches as the model saw them in training, in a fixed order.

    Arguments as in `training_batches`; the last batch may be smaller.

    Returns:
      A dataset of (inputs, labels).

    Raises:
      UserError: The dataset has no such split.
    """

    @tf.function(jit_compile=True)
    def compute(inputs):
        if layout is None:
            return inputs
        return preprocessing.to_model_inputs(inputs, layout=layout)

    return (
        native_batches(
            builder,
            split,
            grids=grids,
            num_classes=num_classes,
            batch_size=batch_size,
        )
        .map(
            lambda batch: (compute(batch["inputs"]), batch["labels"]),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .prefetch(tf.data.AUTOTUNE)
    )


def parse_batch(
    serialized: tf.Tensor,
    *,
    grids: Sequence[str],
    num_classes: int,
    metadata: Sequence[str] = (),
) -> dict[str, tf.Tensor | dict[str, tf.Tensor]]:
    """Parses (B,) serialized records; see `native_batches` for the result."""
    labels_name = f"labels_{num_classes}"
    spec = {name: tf.io.FixedLenFeature((), tf.string) for name in grids}
    spec[labels_name] = tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)
    for name in metadata:
        spec[name] = (
            tf.io.FixedLenFeature((2,), tf.float32)
            if name == "upper_left"
            else tf.io.FixedLenFeature((), _SCALAR[name])
        )
    features = tf.io.parse_example(serialized, spec)
    batch = {name: features[name] for name in metadata}
    if "upper_left" in batch:
        # TFDS stores floats as float32, which holds whole metres exactly.
        batch["upper_left"] = tf.cast(batch["upper_left"], tf.float64)
    batch["inputs"] = {name: _decode(features[name], name) for name in grids}
    batch["labels"] = _multi_hot(features[labels_name], num_classes)
    return batch


def _decode(values: tf.Tensor, grid_name: str) -> tf.Tensor:
    """(B,) bytes -> (B, size, size, bands)."""
    grid = bigearthnet.GRIDS[grid_name]
    flat = tf.io.decode_raw(values, tf.as_dtype(grid.dtype))
    return tf.reshape(flat, (-1, *grid.shape))


def _multi_hot(labels: tf.RaggedTensor, num_classes: int) -> tf.Tensor:
    """Ragged (B, None) class indices -> (B, num_classes) float32 of 0 and 1."""
    rows = labels.value_rowids()
    indices = tf.stack([rows, labels.values], axis=1)
    shape = tf.stack([labels.nrows(), tf.constant(num_classes, tf.int64)])
    hot = tf.scatter_nd(indices, tf.ones_like(labels.values, tf.float32), shape)
    # The batch size is known to XLA only if it is restored after scatter_nd.
    return tf.ensure_shape(tf.minimum(hot, 1.0), (None, num_classes))


def _split_info(builder: tfds.core.DatasetBuilder, split: str):
    """TFDS's description of a split or sub-split."""
    try:
        info = builder.info.splits[split]
        if info.num_examples:
            return info
    except (KeyError, ValueError):
        pass
    sizes = {name: s.num_examples for name, s in builder.info.splits.items()}
    raise command_line.UserError(
        f"The dataset in {builder.data_path} has no patch in split {split!r}. "
        f"Expected one of {sizes} or a part of it such as 'test[:100]'."
    )


def _shards(builder, split) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """File names, records to skip and records to take of a split's files."""
    parts = _split_info(builder, split).file_instructions
    return (
        tf.constant([os.fspath(part.filename) for part in parts]),
        tf.constant([part.skip for part in parts], tf.int64),
        tf.constant([part.take for part in parts], tf.int64),
    )


def _records(shards: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.data.Dataset:
    """Serialized records, several files side by side, in a fixed order."""
    return tf.data.Dataset.from_tensor_slices(shards).interleave(
        lambda path, skip, take: (
            tf.data.TFRecordDataset(path).skip(skip).take(take)
        ),
        cycle_length=16,
        block_length=16,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
