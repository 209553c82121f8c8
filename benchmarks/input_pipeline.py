"""Measures reading: python benchmarks/input_pipeline.py [--pairs=2000].

Makes its own data: a synthetic archive in the official layout, the TFRecords
that the builder makes of it, and an LMDB of safetensors as BigEarthNet's
PyTorch users have it. Everything is in the page cache. Every figure is the
median of --rounds, in which the contestants take turns. The last lines:

  model_ready_vs_rasterio  our model-ready batches (12 channels, cubic,
                           standardised) over reading the same 12 bands with one
                           `rasterio.open` a band, in one process: nothing is
                           upsampled or batched there
  model_ready_vs_lmdb      ... over the LMDB: safetensors, bicubic interpolation
                           and standardisation in a PyTorch DataLoader with two
                           worker processes
  native_of_tfrecord       our batches of raw grids over a bare loop over
                           `TFRecordDataset(files).batch(...)`, the faster of
                           one file and two files at a time

Before them: pairs per second of all contestants, and how a batch's time adds up
stage by stage. The LMDB needs PyTorch (CPU), lmdb and safetensors, which only
this script uses: pip install torch lmdb safetensors
"""

import functools
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from absl import flags

from ben_tf import bigearthnet
from ben_tf import command_line

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_datasets as tfds

# The folders of an S1 and an S2 patch.
Pair = tuple[pathlib.Path, pathlib.Path]
_GRIDS = ("s1", "s2_10m", "s2_20m")
# Slow contestants are linear: a part of the pairs is enough.
_RASTERIO_PAIRS = 200
_MAP_SIZE_BYTES = 2**34


# --- Contestants: each yields the number of pairs of a batch ------------------


def ours(
    builder: "tfds.core.DatasetBuilder", *, batch_size: int, passes: int
) -> Iterator[int]:
    """Model-ready batches of (inputs, labels)."""
    for _, labels in _ready(builder, batch_size).repeat(passes):
        yield len(labels)


def _ready(
    builder: "tfds.core.DatasetBuilder", batch_size: int
) -> "tf.data.Dataset":
    from ben_tf.data import input_pipeline
    from ben_tf.data import preprocessing

    spec = input_pipeline.BatchSpec(
        preprocessing.Preprocessing(), batch_size=batch_size
    )
    return input_pipeline.validation_batches(builder, "all", spec)


def native(
    builder: "tfds.core.DatasetBuilder", *, batch_size: int, passes: int
) -> Iterator[int]:
    """Batches of raw arrays and labels."""
    from ben_tf.data import input_pipeline

    batches = input_pipeline.native_batches(
        builder, "all", grids=_GRIDS, batch_size=batch_size
    )
    for batch in batches.repeat(passes):
        yield len(batch["labels"])


def bare(
    files: list[str], num_parallel_reads: int, *, batch_size: int, passes: int
) -> Iterator[int]:
    """Batches of serialized records: nothing is parsed."""
    import tensorflow as tf

    records = tf.data.TFRecordDataset(
        files, num_parallel_reads=num_parallel_reads
    )
    for batch in records.batch(batch_size).repeat(passes):
        yield len(batch)


def with_rasterio(pairs: list[Pair]) -> Iterator[int]:
    """Arrays of one pair at a time, each band opened by itself."""
    import rasterio

    for s1_folder, s2_folder in pairs:
        folders = {"S1": s1_folder, "S2": s2_folder}
        for name in _GRIDS:
            grid = bigearthnet.GRIDS[name]
            folder = folders[grid.sensor]
            bands = []
            for band in grid.bands:
                path = folder / f"{folder.name}_{band}.tif"
                with rasterio.open(path) as dataset:
                    bands.append(dataset.read(1))
            np.stack(bands, axis=-1)
        yield 1


def with_lmdb(
    dataset: "LmdbPatches", *, batch_size: int, passes: int
) -> Iterator[int]:
    """A DataLoader with two workers."""
    import torch

    loader = torch.utils.data.DataLoader(
        torch.utils.data.ConcatDataset([dataset] * passes),
        batch_size=batch_size,
        num_workers=2,
        # TensorFlow's threads do not survive a fork.
        multiprocessing_context="spawn",
    )
    for _, labels in loader:
        yield len(labels)


class LmdbPatches:
    """A PyTorch map-style dataset: (12, 120, 120) float32 and (19,) float32.

    A record is a safetensors dictionary of the bands of one patch, in native
    resolution, as the strongest converter of BigEarthNet writes them.
    """

    def __init__(
        self, path: pathlib.Path, pairs: list[Pair], labels: list[np.ndarray]
    ):
        self._path = os.fspath(path)
        self._pairs = [(s1.name, s2.name) for s1, s2 in pairs]
        self._labels = labels
        self._environment: Any = None

    def __len__(self) -> int:
        return len(self._pairs)

    @functools.cached_property
    def _statistics(self) -> dict[str, tuple[np.ndarray, ...]]:
        return {
            name: tuple(
                np.array(
                    [table[band] for band in bigearthnet.GRIDS[name].bands],
                    np.float32,
                )[:, np.newaxis, np.newaxis]
                for table in (
                    bigearthnet.PAPER_STATISTICS.mean,
                    bigearthnet.PAPER_STATISTICS.std,
                )
            )
            for name in _GRIDS
        }

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        import lmdb
        import safetensors.numpy
        import torch

        if self._environment is None:
            self._environment = lmdb.open(
                self._path, readonly=True, lock=False, readahead=False
            )
        with self._environment.begin(buffers=True) as transaction:
            bands: dict[str, np.ndarray] = {}
            for name in self._pairs[index]:
                value = bytes(transaction.get(name.encode()))
                bands |= safetensors.numpy.load(value)
        images = []
        for name in ("s2_10m", "s2_20m", "s1"):
            mean, std = self._statistics[name]
            grid = np.stack(
                [bands[band] for band in bigearthnet.GRIDS[name].bands]
            )
            image = torch.from_numpy((grid.astype(np.float32) - mean) / std)
            if image.shape[1] != bigearthnet.GRIDS["s1"].size_px:
                image = torch.nn.functional.interpolate(
                    image[None], (120, 120), mode="bicubic"
                )[0]
            images.append(image)
        return torch.cat(images), torch.from_numpy(self._labels[index])


# --- Data ---------------------------------------------------------------------


def write_lmdb(path: pathlib.Path, pairs: list[Pair]) -> None:
    """Writes every patch of both sensors as safetensors under its name."""
    import lmdb
    import rasterio
    import safetensors.numpy

    with (
        lmdb.open(os.fspath(path), map_size=_MAP_SIZE_BYTES) as environment,
        environment.begin(write=True) as transaction,
    ):
        for folder in (folder for pair in pairs for folder in pair):
            bands = {}
            for file in folder.glob("*.tif"):
                with rasterio.open(file) as dataset:
                    bands[file.stem.rpartition("_")[2]] = dataset.read(1)
            transaction.put(folder.name.encode(), safetensors.numpy.save(bands))


def find_pairs(
    archive_dir: pathlib.Path, builder: "tfds.core.DatasetBuilder"
) -> tuple[list[Pair], list[np.ndarray]]:
    """Folders (S1, S2) and labels of all pairs, in the order of the records."""
    from ben_tf.data import input_pipeline

    pairs, labels = [], []
    for batch in input_pipeline.native_batches(
        builder, "all", grids=(), metadata=("patch_name", "s1_name")
    ):
        for s1_name, s2_name, label in zip(
            batch["s1_name"].numpy(),
            batch["patch_name"].numpy(),
            batch["labels"].numpy(),
            strict=True,
        ):
            pairs.append(
                (
                    archive_dir / "BigEarthNet-S1-v1.0" / s1_name.decode(),
                    archive_dir / "BigEarthNet-v1.0" / s2_name.decode(),
                )
            )
            labels.append(label)
    return pairs, labels


def check_same_work(
    builder: "tfds.core.DatasetBuilder", dataset: LmdbPatches
) -> None:
    """The LMDB's images equal ours where nothing is interpolated."""
    inputs, labels = next(iter(_ready(builder, batch_size=4)))
    for index in range(4):
        image, label = dataset[index]
        image = np.transpose(image.numpy(), (1, 2, 0))
        np.testing.assert_allclose(
            image[..., :4], inputs["s2"][index, ..., :4], atol=1e-4
        )
        np.testing.assert_allclose(
            image[..., 10:], inputs["s1"][index], atol=1e-4
        )
        np.testing.assert_array_equal(label, labels[index])


# --- Measuring ----------------------------------------------------------------


def pairs_per_second(contestant: Callable[[], Iterator[int]]) -> float:
    """Rate after the first batch, which starts workers and compiles."""
    batches = contestant()
    next(batches)
    start = time.perf_counter()
    num_pairs = sum(batches)
    return num_pairs / (time.perf_counter() - start)


def command() -> Callable[[], None]:
    """Defines the flags; returns what the script does."""
    pairs_flag = flags.DEFINE_integer(
        "pairs", 2000, "Pairs of the archive.", lower_bound=600
    )
    rounds = flags.DEFINE_integer(
        "rounds", 5, "Medians are over so many.", lower_bound=1
    )
    batch_size = flags.DEFINE_integer("batch_size", 128, "Pairs in a batch.")
    passes = flags.DEFINE_integer(
        "passes", 3, "Times that a round reads all records."
    )
    lmdb = flags.DEFINE_bool("lmdb", True, "Whether to measure the LMDB.")

    def main() -> None:
        command_line.import_tensorflow()
        from ben_tf.data import built_dataset
        from tfrecords_builder import dataset
        from tfrecords_builder import sample_writer

        options = {"batch_size": batch_size.value, "passes": passes.value}
        with tempfile.TemporaryDirectory() as scratch:
            scratch_dir = pathlib.Path(scratch)
            archive_dir = sample_writer.write_sample_archive(
                scratch_dir / "archive", num_pairs=pairs_flag.value
            )
            dataset.build(
                archive_dir=archive_dir, data_dir=scratch_dir / "data"
            )
            builder = built_dataset.open_dataset(scratch_dir / "data")
            pairs, labels = find_pairs(archive_dir, builder)
            files = [
                os.fspath(path)
                for path in builder.data_path.glob("*.tfrecord*")
            ]
            contestants = {
                "model_ready": functools.partial(ours, builder, **options),
                "native": functools.partial(native, builder, **options),
                "records": functools.partial(bare, files, 1, **options),
                "records, 2 files at a time": functools.partial(
                    bare, files, 2, **options
                ),
                "rasterio": functools.partial(
                    with_rasterio, pairs[:_RASTERIO_PAIRS]
                ),
            }
            if lmdb.value:
                write_lmdb(scratch_dir / "lmdb", pairs)
                patches = LmdbPatches(scratch_dir / "lmdb", pairs, labels)
                check_same_work(builder, patches)
                patches = LmdbPatches(scratch_dir / "lmdb", pairs, labels)
                contestants["lmdb"] = functools.partial(
                    with_lmdb, patches, **options
                )
            for contestant in contestants.values():
                # The first pass fills the page cache.
                pairs_per_second(contestant)
            os.sync()
            rates: dict[str, list[float]] = {name: [] for name in contestants}
            for _ in range(rounds.value):
                for name, contestant in contestants.items():
                    rates[name].append(pairs_per_second(contestant))
        _print(rates, batch_size.value)

    return main


def _print(rates: dict[str, list[float]], batch_size: int) -> None:
    """Prints rates, the stages of a batch, and the figures."""
    medians = {
        name: statistics.median(values) for name, values in rates.items()
    }
    for name, rate in medians.items():
        print(
            f"{name}: {rate:,.0f} pairs per second "
            f"({min(rates[name]):,.0f} to {max(rates[name]):,.0f})"
        )
    milliseconds = {
        name: 1000 * batch_size / rate for name, rate in medians.items()
    }
    fastest = max(
        (name for name in medians if name.startswith("records")),
        key=medians.__getitem__,
    )
    records, native_ms = milliseconds[fastest], milliseconds["native"]
    print(
        f"a batch of {batch_size}: {records:.1f} ms to read the records, "
        f"{native_ms - records:+.1f} ms to parse and decode them, "
        f"{milliseconds['model_ready'] - native_ms:+.1f} ms to standardise, "
        "upsample and stack"
    )

    def ratio(first: str, second: str) -> float:
        return statistics.median(
            a / b for a, b in zip(rates[first], rates[second], strict=True)
        )

    print(f"model_ready_vs_rasterio: {ratio('model_ready', 'rasterio'):.1f}")
    if "lmdb" in rates:
        print(f"model_ready_vs_lmdb: {ratio('model_ready', 'lmdb'):.2f}")
    print(f"native_of_tfrecord: {ratio('native', fastest):.2f}")


if __name__ == "__main__":
    command_line.run(command)
