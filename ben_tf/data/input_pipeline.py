"""From a TFDS directory to tf.data batches.

`record_order` finds the records of a split, `records` parses whole batches of
them; where a split is cached, `patch_cache` gives the same batches.
"""

import dataclasses
import functools
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds
import tqdm

from ben_tf.data import built_dataset
from ben_tf.data import patch_cache
from ben_tf.data import preprocessing as preprocessing_lib
from ben_tf.data import record_order
from ben_tf.data import records


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
      file_number: Only this one of the files that `record_order.places` counts;
        None: all, interleaved.

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
    shards = record_order.shards(builder, split)
    if file_number is not None:
        shards = record_order.of_file(shards, file_number)
    return (
        record_order.records(shards)
        .batch(batch_size)
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


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
    cache: patch_cache.Cache | None = None,
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
      cache: The patches of the split, which are read from there then, in the
        same order.

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

    parse = _parser(spec, cache)

    def take_part(patches: tf.Tensor) -> tf.Tensor:
        # Its length is known to XLA.
        return tf.ensure_shape(
            patches[index * size : (index + 1) * size], (size,)
        )

    def prepare(
        step: tf.Tensor, patches: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        batch = parse(patches)
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
        _in_training_order(
            record_order.shards(builder, split), spec, epochs, _reader(cache)
        )
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
    batches = _in_training_order(
        record_order.shards(builder, split),
        spec,
        range(epoch, epoch + 1),
        record_order.records,
    )
    (serialized,) = batches.skip(step).take(1)
    batch = records.parse_batch(
        serialized,
        grids=(),
        num_classes=spec.num_classes,
        metadata=["patch_name"],
    )
    return [name.decode() for name in tfds.as_numpy(batch["patch_name"])]


def validation_batches(
    builder: tfds.core.DatasetBuilder,
    split: str,
    spec: BatchSpec,
    *,
    cache: patch_cache.Cache | None = None,
) -> tf.data.Dataset:
    """Batches as the model saw them in training, in a fixed order.

    Args:
      builder: From `open_dataset`.
      split: As of `subsets.select`.
      spec: What a batch holds; the last batch may be smaller.
      cache: The patches of the split, which are read from there then.

    Returns:
      A dataset of (inputs, labels).

    Raises:
      UserError: The dataset has no such split, labels or sensor.
    """
    built_dataset.check_num_classes(builder, spec.num_classes)
    built_dataset.check_grids(builder, spec.preprocessing.raw_grids)
    parse = _parser(spec, cache)
    compute = tf.function(spec.prepare, jit_compile=True)

    def prepare(
        patches: tf.Tensor,
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        batch = parse(patches)
        return compute(batch["inputs"]), batch["labels"]

    return (
        _reader(cache)(record_order.shards(builder, split))
        .batch(spec.batch_size)
        .map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def _reader(
    cache: patch_cache.Cache | None,
) -> Callable[[record_order.Shards], tf.data.Dataset]:
    """What to read of each patch: its record, or its number in the cache."""
    return record_order.records if cache is None else record_order.rows


def _parser(
    spec: BatchSpec, cache: patch_cache.Cache | None
) -> Callable[[tf.Tensor], dict[str, Any]]:
    """Function of (B,) that `_reader` reads -> "inputs" and "labels"."""
    if cache is not None:
        return cache.batch
    return functools.partial(
        records.parse_batch,
        grids=spec.preprocessing.raw_grids,
        num_classes=spec.num_classes,
    )


def _in_training_order(
    shards: record_order.Shards,
    spec: BatchSpec,
    epochs: range,
    read: Callable[[record_order.Shards], tf.data.Dataset],
) -> tf.data.Dataset:
    """Batches (B,) of what is read of the patches."""
    return record_order.shuffled(
        shards,
        read,
        seed=spec.seed,
        buffer_size=spec.shuffle_buffer,
        batch_size=spec.batch_size,
        epochs=epochs,
    )
