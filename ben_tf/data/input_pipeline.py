"""From a TFDS directory to tf.data batches.

TensorFlow Datasets finds the files, `subsets` the records of splits such as
"train[:10%]" or "train[season=Summer]". Neither decodes: `records` parses whole
batches.
"""

import dataclasses
import functools
import os
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
import tqdm

from ben_tf.data import built_dataset
from ben_tf.data import preprocessing as preprocessing_lib
from ben_tf.data import records
from ben_tf.data import subsets


class _Shards(NamedTuple):
    """What to read of a split.

    Attributes:
      paths: (files,) names.
      skip: (files,) records to skip.
      take: (files,) records to take.
      first: (files,) where the taken records of each file begin in `names`.
      names: (records,) names of the patches, "" for those to leave out; None
        to leave out none.
    """

    paths: tf.Tensor
    skip: tf.Tensor
    take: tf.Tensor
    first: tf.Tensor
    names: tf.Tensor | None

    def only(self, number: int) -> "_Shards":
        """Those of one file."""
        return self._replace(
            **{
                name: getattr(self, name)[number : number + 1]
                for name in ("paths", "skip", "take", "first")
            }
        )


@dataclasses.dataclass(frozen=True)
class BatchSpec:
    """What a batch for a network holds, and how training visits the patches.

    Attributes:
      preprocessing: Which arrays to parse, and how to make them ready.
      batch_size: Patches in a batch. An epoch has num_examples // batch_size
        batches: its last, incomplete batch is dropped, since XLA would compile
        another program for it; the shuffle makes it other patches every time.
      num_classes: Nomenclature of the labels, 19 or 43.
      on_device: Whether to leave the arrays raw, since `preprocessing` runs in
        front of the network on the device.
      seed: Any integer.
      shuffle_buffer: Records in the buffer, about 275 kB each.
      augment: Whether training flips and turns patches.
    """

    preprocessing: preprocessing_lib.Preprocessing
    batch_size: int
    num_classes: int = 19
    on_device: bool = False
    seed: int = 0
    shuffle_buffer: int = 2000
    augment: bool = False

    def prepare(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Raw grids become what the batch holds."""
        return inputs if self.on_device else self.preprocessing(inputs)


def native_batches(
    builder: tfds.core.DatasetBuilder,
    split: str,
    *,
    grids: Sequence[str],
    num_classes: int = 19,
    batch_size: int = 256,
    metadata: Sequence[str] = (),
    file_number: int | None = None,
) -> tf.data.Dataset:
    """Batches of raw patches in a fixed order, each patch once.

    Args:
      builder: From `open_dataset`.
      split: As of `subsets.select`, such as "test" or "train[:10%]".
      grids: Which arrays to parse, keys of `bigearthnet.GRIDS`.
      num_classes: Nomenclature of the labels, 19 or 43.
      batch_size: Patches in a batch; the last batch may be smaller.
      metadata: Other features to parse, such as "patch_name".
      file_number: Only this one of the files that `record_places` counts; None:
        all, interleaved.

    Returns:
      A dataset of dicts: "inputs", a dict of arrays (B, size, size, bands) in
      the dtypes of `bigearthnet.GRIDS`; "labels", (B, num_classes) float32
      multi-hot; and each of `metadata`, (B,), "upper_left" (B, 2) float64.

    Raises:
      UserError: The dataset has no such split, labels or sensor.
    """
    built_dataset.check_num_classes(builder, num_classes)
    built_dataset.check_grids(builder, grids)
    parse = functools.partial(
        records.parse_batch,
        grids=grids,
        num_classes=num_classes,
        metadata=metadata,
    )
    shards = _shards(builder, split)
    if file_number is not None:
        shards = shards.only(file_number)
    return (
        _records(shards)
        .batch(batch_size)
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def record_places(
    builder: tfds.core.DatasetBuilder, split: str
) -> list[tuple[int, int]]:
    """Where the patches of `native_batches` lie, in their order; reads none.

    Args:
      builder: From `open_dataset`.
      split: As of `subsets.select`.

    Returns:
      For each patch the number of its file, from 0, and its place among the
      patches of the split in that file.
    """
    shards = _shards(builder, split)

    def rows(
        path: tf.Tensor, skip: tf.Tensor, take: tf.Tensor, first: tf.Tensor
    ) -> tf.data.Dataset:
        del path, skip
        found = tf.data.Dataset.range(first, first + take)
        if shards.names is None:
            return found
        return found.filter(lambda row: shards.names[row] != "")

    order = np.fromiter(_interleaved(shards, rows).as_numpy_iterator(), int)
    ends = np.cumsum(shards.take.numpy())
    numbers = np.searchsorted(ends, order, side="right")
    places = np.empty_like(order)
    for number in range(len(ends)):
        in_file = np.flatnonzero(numbers == number)
        # Interleaving keeps the order within a file.
        places[in_file] = np.arange(len(in_file))
    return list(zip(numbers.tolist(), places.tolist(), strict=True))


def read_batches(
    builder: tfds.core.DatasetBuilder,
    split: str,
    *,
    desc: str | None = None,
    **content: Any,
) -> Iterator[dict[str, Any]]:
    """Yields `native_batches` of a whole split, with a progress bar.

    Args:
      builder: From `open_dataset`.
      split: As of `subsets.select`.
      desc: What the bar says; None for no bar.
      **content: What a batch holds, as of `native_batches`.

    Raises:
      UserError: The dataset has no such split, its records are damaged, or
        it was changed meanwhile.
    """
    before = built_dataset.state(builder)
    batches = native_batches(builder, split, **content)
    with (
        tqdm.tqdm(
            total=built_dataset.num_examples(builder, split),
            unit="patch",
            desc=desc,
            disable=desc is None,
        ) as progress,
        records.explained_errors(builder),
    ):
        for batch in batches:
            yield batch
            progress.update(len(batch["labels"]))
    built_dataset.check_unchanged(builder, before)


def training_batches(
    builder: tfds.core.DatasetBuilder,
    split: str,
    spec: BatchSpec,
    *,
    epochs: range,
    first_step: int = 0,
    part: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Shuffled batches of the given epochs, one after the other.

    The order of patches and their augmentation are functions of the seed and
    the number of the epoch, so training that stops after epoch 7 resumes with
    `epochs=range(7, 100)` as if nothing had happened. Patches are shuffled
    three times: by the builder when it writes, by file, and in a buffer.

    Args:
      builder: From `open_dataset`.
      split: As of `subsets.select`.
      spec: What a batch holds, and how to visit the patches.
      epochs: Numbers of the epochs.
      first_step: Batches of the first epoch to leave out.
      part: (index, count): of each batch only this one of `count` equal parts.
        All parts read all records, so that together they are the batches that
        one machine would see, but each parses only its own.

    Returns:
      A dataset of (inputs, labels).

    Raises:
      UserError: The dataset has no such split, labels or sensor.
    """
    built_dataset.check_num_classes(builder, spec.num_classes)
    built_dataset.check_grids(builder, spec.preprocessing.raw_grids)
    steps = built_dataset.num_examples(builder, split) // spec.batch_size
    index, num_parts = part
    size = spec.batch_size // num_parts
    start = epochs.start * steps + first_step

    def take_part(serialized: tf.Tensor) -> tf.Tensor:
        # Its length is known to XLA.
        return tf.ensure_shape(
            serialized[index * size : (index + 1) * size], (size,)
        )

    def prepare(
        step: tf.Tensor, serialized: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        batch = records.parse_batch(
            serialized,
            grids=spec.preprocessing.raw_grids,
            num_classes=spec.num_classes,
        )
        return compute(batch["inputs"], step), batch["labels"]

    @tf.function(jit_compile=True)
    def compute(
        inputs: dict[str, tf.Tensor], step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        if spec.augment:
            # Mix the part's index into the seed, so that parts augment
            # differently; a single part keeps the plain step.
            inputs = preprocessing_lib.augment(
                inputs, seed=[spec.seed, step * num_parts + index]
            )
        return spec.prepare(inputs)

    return (
        _shuffled_batches(builder, split, spec, epochs)
        # What is skipped is read, but neither parsed nor computed on.
        .skip(first_step)
        .map(take_part)
        .enumerate(start=start)
        .map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def training_patch_names(
    builder: tfds.core.DatasetBuilder,
    split: str,
    spec: BatchSpec,
    *,
    epoch: int,
    step: int,
) -> list[str]:
    """Names of the patches in one batch of `training_batches`.

    Finds them again from the seed, so that training need not carry names.

    Args:
      builder: From `open_dataset`.
      split: As of `subsets.select`.
      spec: That of the training.
      epoch: Number of the epoch, from 0.
      step: Number of the batch within the epoch, from 0.
    """
    batches = _shuffled_batches(builder, split, spec, range(epoch, epoch + 1))
    (serialized,) = batches.skip(step).take(1)
    batch = records.parse_batch(
        serialized,
        grids=(),
        num_classes=spec.num_classes,
        metadata=["patch_name"],
    )
    return [name.decode() for name in tfds.as_numpy(batch["patch_name"])]


def _shuffled_batches(
    builder: tfds.core.DatasetBuilder,
    split: str,
    spec: BatchSpec,
    epochs: range,
) -> tf.data.Dataset:
    """Batches (B,) of serialized records in the order of training."""
    shards = _shards(builder, split)

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        # shuffle() combines its seed with that of this function's graph. Set
        # here, it makes the order independent of tf.random.set_seed, whose 0
        # cannot be combined with a seed that is a tensor.
        tf.compat.v1.set_random_seed(1)
        places = tf.random.experimental.stateless_shuffle(
            tf.range(len(shards.paths)), seed=[spec.seed, epoch]
        )
        return (
            _records(
                shards._replace(
                    paths=tf.gather(shards.paths, places),
                    skip=tf.gather(shards.skip, places),
                    take=tf.gather(shards.take, places),
                    first=tf.gather(shards.first, places),
                )
            )
            .shuffle(spec.shuffle_buffer, seed=epoch + spec.seed)
            .batch(spec.batch_size, drop_remainder=True)
        )

    return tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(one_epoch)


def validation_batches(
    builder: tfds.core.DatasetBuilder, split: str, spec: BatchSpec
) -> tf.data.Dataset:
    """Batches as the model saw them in training, in a fixed order.

    Args:
      builder: From `open_dataset`.
      split: As of `subsets.select`.
      spec: What a batch holds; the last batch may be smaller.

    Returns:
      A dataset of (inputs, labels).

    Raises:
      UserError: The dataset has no such split, labels or sensor.
    """
    compute = tf.function(spec.prepare, jit_compile=True)
    return (
        native_batches(
            builder,
            split,
            grids=spec.preprocessing.raw_grids,
            num_classes=spec.num_classes,
            batch_size=spec.batch_size,
        )
        .map(
            lambda batch: (compute(batch["inputs"]), batch["labels"]),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .prefetch(tf.data.AUTOTUNE)
    )


def _shards(builder: tfds.core.DatasetBuilder, split: str) -> _Shards:
    selection = subsets.select(builder, split)
    parts, names = selection.files, selection.names
    take = tf.constant([part.take for part in parts], tf.int64)
    return _Shards(
        paths=tf.constant([os.fspath(part.filename) for part in parts]),
        skip=tf.constant([part.skip for part in parts], tf.int64),
        take=take,
        first=tf.cumsum(take, exclusive=True),
        names=None if names is None else tf.constant(names, tf.string),
    )


def _records(shards: _Shards) -> tf.data.Dataset:
    """Serialized records, several files interleaved, in a fixed order."""
    names = shards.names

    def read(
        path: tf.Tensor, skip: tf.Tensor, take: tf.Tensor, first: tf.Tensor
    ) -> tf.data.Dataset:
        taken = (
            tf.data.TFRecordDataset(path)
            .skip(skip)
            .take(take)
            # A file that was cut between two records is read to its end.
            .apply(tf.data.experimental.assert_cardinality(take))
        )
        if names is None:
            return taken
        expected = tf.data.Dataset.from_tensor_slices(
            names[first : first + take]
        )
        return (
            tf.data.Dataset.zip((taken, expected))
            .filter(lambda _, name: name != "")
            .map(records.check_name)
        )

    return _interleaved(shards, read)


def _interleaved(
    shards: _Shards, read: Callable[..., tf.data.Dataset]
) -> tf.data.Dataset:
    """What `read` makes of each file, interleaved in a fixed order."""
    columns = (shards.paths, shards.skip, shards.take, shards.first)
    return tf.data.Dataset.from_tensor_slices(columns).interleave(
        read,
        cycle_length=16,
        block_length=16,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
