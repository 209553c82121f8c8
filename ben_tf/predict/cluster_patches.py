"""Predicts an archive or a dataset on a cluster.

A task is a file of the dataset or some patches of the archive. Rows come back
in the order in which one process would have predicted them.
"""

import contextlib
import itertools
import os
import pathlib
import shutil
from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import tensorflow_datasets as tfds

from ben_tf import saved_model as saved_models
from ben_tf.archive import patch_files
from ben_tf.cluster import arrays
from ben_tf.cluster import runners
from ben_tf.cluster import tasks as cluster_tasks
from ben_tf.data import built_dataset
from ben_tf.data import record_order
from ben_tf.data import subsets
from ben_tf.predict import output_files
from ben_tf.predict import patch_batches

# Patches of an archive in a task: so few that all workers have some, so many
# that it takes longer to predict them than to begin.
_MANY_TASKS = 16
_BATCHES_AT_MOST = 32


class _Task(NamedTuple):
    """What a worker predicts at once.

    Attributes:
      file_number: Of a dataset, see `input_pipeline.native_batches`.
      names: Of an archive.
    """

    file_number: int | None = None
    names: Sequence[str] = ()


class _Shared(NamedTuple):
    """What all tasks have in common; one of the folders is ""."""

    saved_model: str
    fingerprint: str
    data_dir: str
    split: str
    archive_dir: str
    batch_size: int


class _Part(msgspec.Struct):
    """What a task results in: the fields of `output_files.Patches`, and more.

    Attributes:
      names: See there.
      epsg: See there.
      upper_left: See there.
      true_labels: See there.
      probabilities: (patches, classes) float32.
      faults: What is wrong with each of the other patches.
    """

    names: list[str]
    epsg: arrays.Array
    upper_left: arrays.Array
    true_labels: list[list[str] | None]
    probabilities: arrays.Array
    faults: list[str]

    @property
    def patches(self) -> output_files.Patches:
        """The patches."""
        return output_files.Patches(
            self.names,
            self.epsg.value,
            self.upper_left.value,
            self.true_labels,
        )


@contextlib.contextmanager
def predict(
    cluster: runners.Cluster,
    model: saved_models.ServedModel,
    *,
    saved_model: str | os.PathLike,
    builder: tfds.core.DatasetBuilder | None,
    split: str,
    archive_dir: str | os.PathLike,
    batch_size: int,
    output: str | os.PathLike,
    faults: list[str],
) -> Iterator[tuple[int, Iterator[tuple[output_files.Patches, np.ndarray]]]]:
    """Predicts; results wait in OUTPUT.tasks until the context ends well.

    Args:
      cluster: Where to predict.
      model: From `saved_model.load`.
      saved_model: Its folder, seen by all workers.
      builder: From `built_dataset.open_dataset`; None: there is an archive.
      split: Of the dataset.
      archive_dir: The archive; "" with a dataset.
      batch_size: Patches predicted at once.
      output: What is to be written.
      faults: Takes what is wrong with patches that are left out.

    Yields:
      The number of patches, and batches of them with their probabilities.

    Raises:
      UserError: As of `cluster.tasks.run`, or of what reads the patches.
    """
    shared = _Shared(
        saved_model=os.path.abspath(saved_model),
        fingerprint=model.fingerprint,
        # The folder of its versions, which `open_dataset` takes.
        data_dir=os.path.abspath(builder.data_path.parent) if builder else "",
        split=split if builder else "",
        archive_dir=os.path.abspath(archive_dir) if archive_dir else "",
        batch_size=batch_size,
    )
    identity = msgspec.json.encode(shared).decode()
    if builder:
        number = len(subsets.select(builder, split).files)
        tasks = [_Task(file_number=index) for index in range(number)]
        total = built_dataset.num_examples(builder, split)
        identity += built_dataset.fingerprint(builder)
    else:
        names = patch_files.names_in_folders(archive_dir, model.input_names)
        total = len(names)
        size = batch_size * _batches_of_task(-(-total // batch_size))
        tasks = [
            _Task(names=names[start : start + size])
            for start in range(0, total, size)
        ]
    folder = pathlib.Path(f"{os.path.abspath(output)}.tasks")
    parts = cluster_tasks.run(
        cluster_tasks.Job(_predict_task, _Task, _Part),
        tasks,
        shared,
        folder=folder,
        cluster=cluster,
        identity=identity,
    )
    if builder:
        places = record_order.places(record_order.shards(builder, split))
        yield total, _in_order(parts, places, batch_size)
    else:
        yield total, _one_by_one(parts, faults)
    shutil.rmtree(folder)


def _batches_of_task(num_batches: int) -> int:
    return max(1, min(-(-num_batches // _MANY_TASKS), _BATCHES_AT_MOST))


def _predict_task(task: _Task, shared: _Shared) -> _Part:
    """Runs on a worker."""
    model = saved_models.load_once(shared.saved_model, shared.fingerprint)
    faults: list[str] = []
    if task.file_number is None:
        _, items = patch_files.from_archive(
            shared.archive_dir,
            model.input_names,
            scratch_dir="",
            names=task.names,
        )
        batches = patch_batches.of_items(
            items, model, shared.batch_size, faults
        )
    else:
        batches = patch_batches.of_dataset(
            built_dataset.open_dataset(shared.data_dir),
            shared.split,
            model,
            shared.batch_size,
            file_number=task.file_number,
        )
    predicted = [
        (patches, model.serve(inputs).numpy()) for inputs, patches in batches
    ]
    return _Part(
        [name for patches, _ in predicted for name in patches.names],
        arrays.Array.of(_joined([each.epsg for each, _ in predicted], (0,))),
        arrays.Array.of(
            _joined([each.upper_left for each, _ in predicted], (0, 2))
        ),
        [
            None if labels is None else list(labels)
            for patches, _ in predicted
            for labels in patches.true_labels
        ],
        arrays.Array.of(
            _joined(
                [probabilities for _, probabilities in predicted],
                (0, len(model.class_names)),
            )
        ),
        faults,
    )


def _joined(parts: list[np.ndarray], empty: tuple[int, ...]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(empty, np.float32)


def _one_by_one(
    parts: Iterator[_Part], faults: list[str]
) -> Iterator[tuple[output_files.Patches, np.ndarray]]:
    for part in parts:
        faults += part.faults
        if part.names:
            yield part.patches, part.probabilities.value


def _in_order(
    parts: Iterator[_Part], places: Sequence[tuple[int, int]], batch_size: int
) -> Iterator[tuple[output_files.Patches, np.ndarray]]:
    """Interleaves files as one process reads them, a few of them in memory.

    Args:
      parts: One of each file, in their order.
      places: From `record_order.places`.
      batch_size: Patches yielded at once.
    """
    opened: dict[int, tuple[output_files.Patches, np.ndarray]] = {}
    numbers = itertools.count()
    rest = iter(places)
    while batch := list(itertools.islice(rest, batch_size)):
        rows = []
        for number, place in batch:
            while number not in opened:
                part = next(parts)
                opened[next(numbers)] = (part.patches, part.probabilities.value)
            patches, probabilities = opened[number]
            rows.append(
                (
                    patches.names[place],
                    patches.epsg[place],
                    patches.upper_left[place],
                    patches.true_labels[place],
                    probabilities[place],
                )
            )
            if place == len(patches.names) - 1:
                del opened[number]
        names, epsg, upper_left, true_labels, values = zip(*rows, strict=True)
        yield (
            output_files.Patches(
                names, np.stack(epsg), np.stack(upper_left), true_labels
            ),
            np.stack(values),
        )
