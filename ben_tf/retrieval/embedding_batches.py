"""Embeds splits of the dataset batch by batch, here or on a cluster."""

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
from ben_tf.cluster import arrays
from ben_tf.cluster import runners
from ben_tf.cluster import tasks as cluster_tasks
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.data import subsets
from ben_tf.retrieval import embedding

EMBEDDINGS = "embeddings"
METADATA = (
    *("patch_name", "epsg", "upper_left"),
    *("country", "season", "s2_time"),
)

# (B, D) float32 `EMBEDDINGS`, (B, classes) "labels", each of `METADATA`.
Batch = dict[str, np.ndarray]


class _Task(NamedTuple):
    """A file of a split, see `input_pipeline.native_batches`."""

    split: str
    file_number: int


class _Shared(NamedTuple):
    """What all tasks have in common."""

    saved_model: str
    fingerprint: str
    data_dir: str
    modality: str
    batch_size: int


def of_split(
    model: saved_models.ServedModel,
    builder: tfds.core.DatasetBuilder,
    split: str,
    *,
    modality: str,
    batch_size: int,
    desc: str | None = None,
    file_number: int | None = None,
) -> Iterator[Batch]:
    """Embeds a split in the dataset's order, or one file of it.

    Args:
      model: From `saved_model.load`.
      builder: From `built_dataset.open_dataset`.
      split: As of `subsets.select`.
      modality: "S1", "S2" or "MM".
      batch_size: Patches embedded at once.
      desc: What a progress bar says; None for no bar.
      file_number: As of `input_pipeline.native_batches`.

    Raises:
      UserError: As of `input_pipeline.read_batches` and `embedding.embed`.
    """
    for batch in input_pipeline.read_batches(
        builder,
        split,
        desc=desc,
        grids=embedding.input_names(model, modality),
        num_classes=len(model.class_names),
        batch_size=batch_size,
        metadata=METADATA,
        file_number=file_number,
    ):
        found = {name: batch[name].numpy() for name in ("labels", *METADATA)}
        found[EMBEDDINGS] = embedding.embed(
            model,
            batch["inputs"],
            modality=modality,
            names=found["patch_name"],
        )
        yield found


def on_cluster(
    cluster: runners.Cluster,
    model: saved_models.ServedModel,
    builder: tfds.core.DatasetBuilder,
    splits: Sequence[str],
    *,
    saved_model: str | os.PathLike,
    modality: str,
    batch_size: int,
    output: str | os.PathLike,
) -> Iterator[Batch]:
    """Embeds splits one after the other, each file by file.

    Results wait in OUTPUT.tasks until the last one was yielded.

    Args:
      cluster: Where to embed.
      model: The one in `saved_model`.
      builder: From `built_dataset.open_dataset`.
      splits: As of `subsets.select`.
      saved_model: Folder of the model, seen by all workers.
      modality: "S1", "S2" or "MM".
      batch_size: Patches embedded at once.
      output: What is to be written.

    Raises:
      UserError: As of `of_split` and `cluster.tasks.run`.
    """
    shared = _Shared(
        saved_model=os.path.abspath(saved_model),
        fingerprint=model.fingerprint,
        # The folder of its versions, which `open_dataset` takes.
        data_dir=os.path.abspath(builder.data_path.parent),
        modality=modality,
        batch_size=batch_size,
    )
    folder = pathlib.Path(f"{os.path.abspath(output)}.tasks")
    yield from (
        {name: array.value for name, array in part.items()}
        for part in cluster_tasks.run(
            cluster_tasks.Job(_embed_file, _Task, dict[str, arrays.Array]),
            [
                _Task(split, number)
                for split in splits
                for number in range(len(subsets.select(builder, split).files))
            ],
            shared,
            folder=folder,
            cluster=cluster,
            identity=msgspec.json.encode(
                (shared, built_dataset.fingerprint(builder))
            ).decode(),
        )
        if part
    )
    shutil.rmtree(folder)


def _embed_file(task: _Task, shared: _Shared) -> dict[str, arrays.Array]:
    """Runs on a worker; {} for a file without patches of the split."""
    batches = list(
        of_split(
            saved_models.load_once(shared.saved_model, shared.fingerprint),
            built_dataset.open_dataset(shared.data_dir),
            task.split,
            modality=shared.modality,
            batch_size=shared.batch_size,
            file_number=task.file_number,
        )
    )
    return {
        name: arrays.Array.of(np.concatenate([each[name] for each in batches]))
        for name in (batches[0] if batches else ())
    }
