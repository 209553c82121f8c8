"""Patches of a split as arrays, in memory or in a folder on a fast disk.

Arrays hold what the records hold, in the same types: S2 in 16 bits, S1 in 32.
Nothing is rounded, so a batch is the same with a cache and without; it only
need not be read from files, checked and parsed in every epoch.
"""

import hashlib
import math
import os
import pathlib
import shutil
import zlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import msgspec
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
import tqdm

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf import main_memory
from ben_tf import npy
from ben_tf.data import built_dataset
from ben_tf.data import record_order
from ben_tf.data import records

MEMORY = "memory"
_DESCRIPTION = "cache.json"
_LABELS = "labels_"
_PATCHES_AT_ONCE = 256
_BLOCK_BYTES = 16 << 20
# Of the free memory; the rest is for the network and for the batches.
_SHARE = 0.8
_REMEDY = "Remove the folder, and the next training makes it again."


class Cache(NamedTuple):
    """The patches of a split, by the numbers of `record_order.rows`.

    Attributes:
      inputs: Grid -> (N, size, size, bands) in the dtype of
        `bigearthnet.GRIDS`; may be memory-mapped.
      labels: (N, num_classes) uint8, multi-hot.
    """

    inputs: Mapping[str, np.ndarray]
    labels: np.ndarray

    def batch(self, rows: tf.Tensor) -> dict[str, Any]:
        """Returns "inputs" and "labels" as `records.parse_batch` does.

        Args:
          rows: (B,) int64; where B is static, so is that of the batch.
        """
        arrays = [*self.inputs.values(), self.labels]
        *grids, hot = tf.numpy_function(
            # `take` lets other threads run while it copies.
            lambda wanted: [np.take(array, wanted, axis=0) for array in arrays],
            [rows],
            [array.dtype for array in arrays],
            stateful=False,
        )
        for tensor, array in zip([*grids, hot], arrays, strict=True):
            tensor.set_shape((*rows.shape, *array.shape[1:]))
        return {
            "inputs": dict(zip(self.inputs, grids, strict=True)),
            "labels": tf.cast(hot, tf.float32),
        }


class _Description(msgspec.Struct, frozen=True):
    """cache.json: what the arrays are of.

    Attributes:
      dataset: From `_dataset_of`.
      split: As of `subsets.select`.
      num_examples: Number of patches.
      arrays: Names of the arrays, each in a file of its own.
      checksums: Array -> CRC-32 of its file, hexadecimal.
    """

    dataset: str
    split: str
    num_examples: int
    arrays: list[str]
    checksums: dict[str, str] = {}


def num_bytes(
    builder: tfds.core.DatasetBuilder,
    split: str,
    *,
    grids: Sequence[str],
    num_classes: int,
) -> int:
    """How large the cache of a split is.

    Raises:
      UserError: The dataset has no such split.
    """
    num_examples = built_dataset.num_examples(builder, split)
    return _num_bytes(_shapes(num_examples, grids, num_classes))


def open_cache(
    place: str,
    builder: tfds.core.DatasetBuilder,
    split: str,
    *,
    grids: Sequence[str],
    num_classes: int,
) -> Cache:
    """Reads a split once, or opens the arrays of one that was read before.

    Args:
      place: `MEMORY`, or a folder, in which each split has one of its own.
      builder: From `built_dataset.open_dataset`.
      split: As of `subsets.select`.
      grids: Which arrays to keep, keys of `bigearthnet.GRIDS`.
      num_classes: Nomenclature of the labels, 19 or 43.

    Raises:
      UserError: The dataset has no such split, its records are damaged, memory
        or disk do not suffice, or the arrays of before are damaged.
    """
    num_examples = built_dataset.num_examples(builder, split)
    shapes = _shapes(num_examples, grids, num_classes)
    size = _num_bytes(shapes)
    if place == MEMORY:
        free = int(_SHARE * main_memory.available_bytes())
        _check_room(split, size, free, "that may be taken of the memory")
        arrays = {name: np.empty(*array) for name, array in shapes.items()}
        _fill(arrays, builder, split)
        return _cache_of(arrays)
    wanted = _Description(
        dataset=_dataset_of(builder),
        split=split,
        num_examples=num_examples,
        arrays=list(shapes),
    )
    name = hashlib.sha256(repr(wanted).encode()).hexdigest()[:16]
    folder = pathlib.Path(place) / f"{builder.info.name}-{name}"
    if not folder.exists():
        os.makedirs(place, exist_ok=True)
        free = shutil.disk_usage(place).free
        _check_room(split, size, free, f"that are free in {place}")
        with files.replacing_folder(folder) as part:
            part.mkdir()
            _write(part, wanted, shapes, builder)
    return _open(folder, wanted, shapes)


def _dataset_of(builder: tfds.core.DatasetBuilder) -> str:
    """Tells the records from any others, hexadecimal.

    The fingerprint knows the first record of each file. A build that mends
    another one leaves sizes as they were, but not the times of the files.
    """
    times = sorted(
        (name, mtime_ns)
        for name, _, _, mtime_ns in built_dataset.state(builder)
    )
    told = (built_dataset.fingerprint(builder), times)
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _shapes(
    num_examples: int, grids: Sequence[str], num_classes: int
) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and dtype of each array."""
    shapes = {
        name: (
            (num_examples, *bigearthnet.GRIDS[name].shape),
            np.dtype(bigearthnet.GRIDS[name].dtype),
        )
        for name in grids
    }
    labels = f"{_LABELS}{num_classes}"
    return shapes | {labels: ((num_examples, num_classes), np.dtype(np.uint8))}


def _num_bytes(shapes: Mapping[str, tuple[tuple[int, ...], np.dtype]]) -> int:
    return sum(
        math.prod(shape) * dtype.itemsize for shape, dtype in shapes.values()
    )


def _check_room(split: str, size: int, free: int, of_what: str) -> None:
    """Refuses to begin what would fill the memory or the disk.

    Raises:
      UserError: It would.
    """
    if size > free:
        raise errors.UserError(
            f"The cache of split {split!r} takes {size / 1e9:,.1f} GB, more "
            f"than the {free / 1e9:,.1f} GB {of_what}. Choose another `cache`: "
            "a folder on a disk with room, or none."
        )


def _cache_of(arrays: Mapping[str, np.ndarray]) -> Cache:
    *grids, labels = arrays
    return Cache({name: arrays[name] for name in grids}, arrays[labels])


def _fill(
    arrays: Mapping[str, np.ndarray],
    builder: tfds.core.DatasetBuilder,
    split: str,
) -> None:
    """Reads all records of a split into arrays.

    Raises:
      UserError: A record is damaged, or the dataset was changed meanwhile.
    """
    before = built_dataset.state(builder)
    inputs, labels = _cache_of(arrays)
    shards = record_order.shards(builder, split)
    both = tf.data.Dataset.zip(
        (record_order.rows(shards), record_order.records(shards))
    ).batch(_PATCHES_AT_ONCE)

    def parse(
        rows: tf.Tensor, serialized: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, Any]]:
        return rows, records.parse_batch(
            serialized, grids=list(inputs), num_classes=labels.shape[1]
        )

    batches = both.map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
    with (
        tqdm.tqdm(
            total=len(labels), unit="patch", desc=f"Caching {split}"
        ) as progress,
        records.explained_errors(builder),
    ):
        for rows, batch in batches.as_numpy_iterator():
            for name, array in inputs.items():
                array[rows] = batch["inputs"][name]
            labels[rows] = batch["labels"]
            progress.update(len(rows))
    built_dataset.check_unchanged(builder, before)


# --- In a folder -------------------------------------------------------------


def _write(
    folder: pathlib.Path,
    wanted: _Description,
    shapes: Mapping[str, tuple[tuple[int, ...], np.dtype]],
    builder: tfds.core.DatasetBuilder,
) -> None:
    """Writes all arrays and what they are.

    Raises:
      UserError: A record is damaged, or the dataset was changed meanwhile.
    """
    arrays = {
        name: np.lib.format.open_memmap(
            _file(folder, name), "w+", dtype=dtype, shape=shape
        )
        for name, (shape, dtype) in shapes.items()
    }
    _fill(arrays, builder, wanted.split)
    for array in arrays.values():
        array.flush()
    checksums = {name: _checksum(_file(folder, name), name) for name in arrays}
    files.write_json(
        folder / _DESCRIPTION,
        msgspec.structs.replace(wanted, checksums=checksums),
    )


def _open(
    folder: pathlib.Path,
    wanted: _Description,
    shapes: Mapping[str, tuple[tuple[int, ...], np.dtype]],
) -> Cache:
    """Maps the arrays, which are read once to compare their checksums.

    Raises:
      UserError: A file is missing or damaged.
    """
    found = files.read_json(folder / _DESCRIPTION, _Description, remedy=_REMEDY)
    checksums = found.checksums
    if msgspec.structs.replace(found, checksums={}) != wanted:
        raise _damaged(folder / _DESCRIPTION, "it tells of other patches")
    arrays = {}
    for name, (shape, dtype) in shapes.items():
        path = _file(folder, name)
        try:
            with open(path, "rb", opener=files.regular) as file:
                size = os.fstat(file.fileno()).st_size
                header = npy.read_header(file, size, dtype.name, shape)
        except (OSError, ValueError) as error:
            raise _damaged(path, errors.first_line(error)) from error
        if _checksum(path, name) != checksums.get(name):
            raise _damaged(path, "its checksum is another")
        arrays[name] = np.memmap(path, dtype, "r", header.offset, shape)
    return _cache_of(arrays)


def _file(folder: pathlib.Path, name: str) -> pathlib.Path:
    return folder / f"{name}.npy"


def _checksum(path: pathlib.Path, name: str) -> str:
    """CRC-32 of a file, with progress: it may have tens of gigabytes."""
    crc = 0
    with (
        open(path, "rb", opener=files.regular) as file,
        tqdm.tqdm(
            total=os.fstat(file.fileno()).st_size,
            unit="B",
            unit_scale=True,
            desc=f"Checking {name}",
            leave=False,
        ) as progress,
    ):
        while block := file.read(_BLOCK_BYTES):
            crc = zlib.crc32(block, crc)
            progress.update(len(block))
    return f"{crc:08x}"


def _damaged(path: pathlib.Path, reason: str) -> errors.UserError:
    return errors.UserError(
        f"The cached patches in {path} are damaged: {reason}. {_REMEDY}"
    )
