"""Embeds splits of the dataset and writes an index of them."""

import itertools
import os
import pathlib
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds

from ben_tf import errors
from ben_tf import files
from ben_tf import folder_lock
from ben_tf import origin
from ben_tf import saved_model as saved_models
from ben_tf.cluster import runners
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.data import run_data
from ben_tf.retrieval import embedding
from ben_tf.retrieval import embedding_batches
from ben_tf.retrieval import index_writer
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import store


def build_index(
    *,
    saved_model: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
    output_dir: str | os.PathLike,
    splits: Sequence[str] = ("test",),
    modality: str | None = None,
    options: index_writer.IndexOptions = index_writer.DEFAULT_OPTIONS,
    batch_size: int = 128,
    beam_runner: str | None = None,
    beam_pipeline_options: str | None = None,
) -> pathlib.Path:
    """Embeds splits with a model and writes an index.

    Args:
      saved_model: Folder of the exported model.
      data_dir: Folder of the TFDS dataset; None: the one that the model was
        trained on, if it lies in its workdir.
      output_dir: The index folder; an index there is replaced at the end.
      splits: Splits of the dataset.
      modality: "S1", "S2", "MM", or None for the model's.
      options: How the index is searched.
      batch_size: Patches embedded at once.
      beam_runner: Name of a runner of Apache Beam, whose workers embed, and
        find model, dataset and the folder of `output_dir` under the same names.
        Finished tasks lie in OUTPUT_DIR.tasks until all are.
      beam_pipeline_options: Options of Beam: "name=value,name=value".

    Returns:
      `output_dir`.

    Raises:
      UserError: No model, no dataset, or options that do not go together; or
        the cluster fails.
    """
    files.check_writable(output_dir, is_folder=True)
    if len(splits) > patch_facts.UNKNOWN:
        raise errors.UserError(
            f"Expected at most {patch_facts.UNKNOWN} splits. Received: "
            f"{len(splits)}."
        )
    cluster = runners.choose(beam_runner, beam_pipeline_options)
    data_dir = run_data.of_model(saved_model, data_dir)
    model = saved_models.load(saved_model)
    modality = modality or model.modality
    embedding.check_modality(model, modality)
    builder = built_dataset.open_dataset(data_dir)
    options = options.for_size(
        sum(built_dataset.num_examples(builder, split) for split in splits),
        model.embedding_size,
    )
    provenance = embedding.Provenance(
        modality=modality,
        splits=tuple(splits),
        class_names=model.class_names,
        fingerprint=model.fingerprint,
        saved_model=os.fspath(saved_model),
        synthetic=(
            model.trained_on_synthetic or built_dataset.is_synthetic(builder)
        ),
        dataset=builder.info.full_name,
        model=model.model,
        trained_on=model.trained_on,
        records=built_dataset.fingerprint(builder),
        origin=origin.here_and_now(),
    )
    with (
        folder_lock.alone_in(
            output_dir,
            message=f"Another process is building the index in {output_dir}. "
            "Wait for it, or choose another `output_dir`.",
        ),
        store.new_data_folder(output_dir) as scratch,
    ):
        embedded = embed_splits(
            model,
            builder,
            provenance,
            path=scratch / store.EMBEDDINGS,
            batch_size=batch_size,
            batches=embedding_batches.on_cluster(
                cluster,
                model,
                builder,
                splits,
                saved_model=saved_model,
                modality=modality,
                batch_size=batch_size,
                output=output_dir,
            )
            if cluster
            else None,
        )
        other_means = {}
        if options.search == store.BINARY:
            other_means = {
                other: mean_embedding(
                    model,
                    builder,
                    splits[0],
                    modality=other,
                    batch_size=batch_size,
                )
                for other in model.embeddings
                if other != modality
            }
        return index_writer.write_index(
            output_dir, embedded, options, other_means=other_means
        )


def embed_splits(
    model: saved_models.ServedModel,
    builder: tfds.core.DatasetBuilder,
    provenance: embedding.Provenance,
    *,
    path: str | os.PathLike,
    batch_size: int,
    batches: Iterator[embedding_batches.Batch] | None = None,
) -> embedding.Embedded:
    """Embeds splits of the dataset, one after the other.

    Memory stays flat: embeddings go straight to a file.

    Args:
      model: From `saved_model.load`.
      builder: From `built_dataset.open_dataset`.
      provenance: Which splits and which modality to embed.
      path: The .npy file to write, (N, D) float32.
      batch_size: Patches embedded at once.
      batches: What others have embedded of these splits; None: embed them.

    Returns:
      The patches; their embeddings are the file, memory-mapped.
    """
    splits = provenance.splits
    counts = [built_dataset.num_examples(builder, split) for split in splits]
    embeddings = np.lib.format.open_memmap(
        path, "w+", np.float32, (sum(counts), model.embedding_size)
    )
    collected: dict[str, list[np.ndarray]] = {
        name: [] for name in ("labels", *embedding_batches.METADATA)
    }
    if batches is None:
        batches = itertools.chain.from_iterable(
            embedding_batches.of_split(
                model,
                builder,
                split,
                modality=provenance.modality,
                batch_size=batch_size,
                desc=f"embedding {split}",
            )
            for split in splits
        )
    end = 0
    for batch in batches:
        rows = batch[embedding_batches.EMBEDDINGS]
        start, end = end, end + len(rows)
        embeddings[start:end] = rows
        for name, parts in collected.items():
            parts.append(batch[name])
    embeddings.flush()
    joined = {name: np.concatenate(p) for name, p in collected.items()}
    return embedding.Embedded(
        names=np.char.decode(joined["patch_name"].astype(bytes), "utf-8"),
        labels=joined["labels"].astype(np.uint8),
        embeddings=embeddings,
        epsg=joined["epsg"].astype(np.int32),
        upper_left=joined["upper_left"],
        countries=joined["country"].astype(np.uint8),
        seasons=joined["season"].astype(np.uint8),
        days=patch_facts.days_of_times(joined["s2_time"]),
        split_numbers=np.repeat(np.arange(len(splits), dtype=np.uint8), counts),
        provenance=provenance,
    )


def mean_embedding(
    model: saved_models.ServedModel,
    builder: tfds.core.DatasetBuilder,
    split: str,
    *,
    modality: str,
    batch_size: int,
    max_patches: int = 4096,
) -> np.ndarray:
    """Mean (D,) float32 over the first patches of a split.

    Records are stored shuffled, so the first ones are a random sample.

    Args:
      model: From `saved_model.load`.
      builder: From `built_dataset.open_dataset`.
      split: Of the dataset.
      modality: "S1", "S2" or "MM".
      batch_size: Patches embedded at once.
      max_patches: Size of the sample, rounded up to whole batches.
    """
    batches = input_pipeline.read_batches(
        builder,
        split,
        grids=embedding.input_names(model, modality),
        num_classes=len(model.class_names),
        batch_size=batch_size,
        metadata=("patch_name",),
    )
    rows = [
        embedding.embed(
            model,
            batch["inputs"],
            modality=modality,
            names=batch["patch_name"].numpy(),
        )
        for batch in itertools.islice(batches, -(-max_patches // batch_size))
    ]
    return np.concatenate(rows).mean(axis=0)
