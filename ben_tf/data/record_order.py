"""Which records of a split are read, and in which order.

TensorFlow Datasets finds the files, `subsets` the records of splits such as
"train[:10%]" or "train[season=Summer]". The order does not depend on what is
read of a record: `records` are the records themselves, `rows` their numbers in
a `patch_cache`.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from ben_tf.data import records as records_lib
from ben_tf.data import subsets

# Files that are read side by side, and records of one before the next.
_FILES_AT_ONCE = 16
_RECORDS_IN_A_ROW = 16


class Shards(NamedTuple):
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


def shards(builder: tfds.core.DatasetBuilder, split: str) -> Shards:
    """Finds the files of a split.

    Args:
      builder: From `built_dataset.open_dataset`.
      split: As of `subsets.select`.

    Raises:
      UserError: The dataset has no such split.
    """
    selection = subsets.select(builder, split)
    parts, names = selection.files, selection.names
    take = tf.constant([part.take for part in parts], tf.int64)
    return Shards(
        paths=tf.constant([os.fspath(part.filename) for part in parts]),
        skip=tf.constant([part.skip for part in parts], tf.int64),
        take=take,
        first=tf.cumsum(take, exclusive=True),
        names=None if names is None else tf.constant(names, tf.string),
    )


def of_file(found: Shards, number: int) -> Shards:
    """What to read of one file, the first being number 0."""
    columns = ("paths", "skip", "take", "first")
    return found._replace(
        **{name: getattr(found, name)[number : number + 1] for name in columns}
    )


def records(found: Shards) -> tf.data.Dataset:
    """Serialized records () string, in a fixed order."""
    *columns, names = found

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
            .map(records_lib.check_name)
        )

    return _interleave(columns, read)


def rows(found: Shards) -> tf.data.Dataset:
    """Numbers () int64 of the records, in the order of `records`.

    A number is the place of the record in its split, file by file as the split
    lists them; records that are left out have none.
    """
    *columns, names = found

    def count(
        path: tf.Tensor, skip: tf.Tensor, take: tf.Tensor, first: tf.Tensor
    ) -> tf.data.Dataset:
        del path, skip
        if names is None:
            return tf.data.Dataset.range(first, first + take)
        return tf.data.Dataset.from_tensor_slices(
            numbers[first : first + take]
        ).filter(lambda number: number >= 0)

    if names is not None:
        is_kept = names != ""
        numbers = tf.where(
            is_kept, tf.cumsum(tf.cast(is_kept, tf.int64)) - 1, -1
        )
    # The columns may be shuffled, `numbers` stay in the order of the split.
    return _interleave(columns, count)


def places(found: Shards) -> list[tuple[int, int]]:
    """Where the patches lie, in the order of `records`; reads none.

    Returns:
      For each patch the number of its file, from 0, and its place among the
      patches of the split in that file.
    """
    counts = found.take.numpy()
    if found.names is not None:
        files = np.repeat(np.arange(len(counts)), counts)
        counts = np.bincount(
            files[found.names.numpy() != b""], minlength=len(counts)
        )
    ends = np.cumsum(counts)
    order = np.fromiter(rows(found).as_numpy_iterator(), np.int64)
    numbers = np.searchsorted(ends, order, side="right")
    in_file = order - (ends - counts)[numbers]
    return list(zip(numbers.tolist(), in_file.tolist(), strict=True))


def shuffled(
    found: Shards,
    read: Callable[[Shards], tf.data.Dataset],
    *,
    seed: int,
    buffer_size: int,
    batch_size: int,
    epochs: range,
) -> tf.data.Dataset:
    """Batches (B,) of what is read of the patches, in the order of training.

    Args:
      found: From `shards`.
      read: `records` or `rows`.
      seed: Any integer.
      buffer_size: Patches in the shuffle buffer.
      batch_size: Patches in a batch; an epoch drops its last, incomplete one.
      epochs: Their numbers; the order is a function of seed and number.
    """

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        # shuffle() combines its seed with that of this function's graph. Set
        # here, it makes the order independent of tf.random.set_seed, whose 0
        # cannot be combined with a seed that is a tensor.
        tf.compat.v1.set_random_seed(1)
        places = tf.random.experimental.stateless_shuffle(
            tf.range(len(found.paths)), seed=[seed, epoch]
        )
        return (
            read(
                found._replace(
                    paths=tf.gather(found.paths, places),
                    skip=tf.gather(found.skip, places),
                    take=tf.gather(found.take, places),
                    first=tf.gather(found.first, places),
                )
            )
            .shuffle(buffer_size, seed=epoch + seed)
            .batch(batch_size, drop_remainder=True)
        )

    return tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(one_epoch)


def _interleave(
    columns: list[tf.Tensor], read: Callable[..., tf.data.Dataset]
) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(tuple(columns)).interleave(
        read,
        cycle_length=_FILES_AT_ONCE,
        block_length=_RECORDS_IN_A_ROW,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
