"""From patches to embeddings, with a loaded SavedModel."""

import os
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import tqdm

from ben_tf import errors

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

    from ben_tf import saved_model

Arrays = dict[str, np.ndarray]


def embed(
    model: "saved_model.ServedModel",
    inputs: Mapping[str, np.ndarray],
    *,
    modality: str,
) -> np.ndarray:
    """Raw grids (B, size, size, bands) -> (B, D) float32.

    Args:
      model: A `saved_model.ServedModel`.
      inputs: Arrays by name of grid, keys of `bigearthnet.GRIDS`.
      modality: Which embedding of the model: "S1", "S2" or "MM".

    Raises:
      UserError: The model has no embedding for that modality.
    """
    check_modality(model, modality)
    embeddings = np.asarray(model.embed(inputs, modality=modality), np.float32)
    if not np.isfinite(embeddings).all():
        raise errors.UserError(
            "The model's embedding is not finite. Expected numbers. Check "
            "the pixels of the patches and that the model was trained."
        )
    return embeddings


def input_names(
    model: "saved_model.ServedModel", modality: str
) -> tuple[str, ...]:
    """Raw grids that `embed` needs, keys of `bigearthnet.GRIDS`."""
    check_modality(model, modality)
    return model.inputs_of(modality)


def check_modality(model: "saved_model.ServedModel", modality: str) -> None:
    """Raises UserError unless the model embeds that modality."""
    if modality not in model.embeddings:
        raise errors.UserError(
            f"The model has no embedding of {modality}. Expected one of "
            f"{', '.join(model.embeddings)}. Change --modality or use another "
            "model; one trained with --fusion=shared embeds each sensor alone."
        )


def mean_embedding(
    model: "saved_model.ServedModel",
    builder: "tfds.core.DatasetBuilder",
    split: str,
    *,
    modality: str,
    batch_size: int,
    max_patches: int = 4096,
) -> np.ndarray:
    """Mean (D,) float32 over the first patches of a split.

    The builder has mixed the records, so that the first are a sample of all.

    Args:
      model: A `saved_model.ServedModel`.
      builder: From `built_dataset.open_dataset`.
      split: Of the dataset.
      modality: "S1", "S2" or "MM".
      batch_size: Patches embedded at once.
      max_patches: Size of the sample, rounded up to whole batches.
    """
    from ben_tf.data import input_pipeline

    batches = input_pipeline.native_batches(
        builder,
        split,
        grids=input_names(model, modality),
        num_classes=len(model.class_names),
        batch_size=batch_size,
    ).take(-(-max_patches // batch_size))
    rows = [embed(model, x["inputs"], modality=modality) for x in batches]
    return np.concatenate(rows).mean(axis=0)


def embed_split(
    model: "saved_model.ServedModel",
    builder: "tfds.core.DatasetBuilder",
    splits: Sequence[str],
    *,
    modality: str,
    path: str | os.PathLike,
    batch_size: int,
) -> Arrays:
    """Embeds splits of the dataset, in the dataset's order.

    Memory stays flat: embeddings go straight to a file.

    Args:
      model: A `saved_model.ServedModel`.
      builder: From `built_dataset.open_dataset`.
      splits: Such as ("test",) or ("validation", "test").
      modality: "S1", "S2" or "MM".
      path: The .npy file to write, (N, D) float32.
      batch_size: Patches embedded at once.

    Returns:
      "names" (N,) str, "labels" (N, classes) uint8, "epsg" (N,) int32,
      "upper_left" (N, 2) float64 in metres, and "embeddings", the file,
      memory-mapped.
    """
    from ben_tf.data import built_dataset
    from ben_tf.data import input_pipeline

    counts = [built_dataset.num_examples(builder, split) for split in splits]
    path = pathlib.Path(path)
    embeddings = np.lib.format.open_memmap(
        path, "w+", np.float32, (sum(counts), model.embedding_size)
    )
    metadata = ("patch_name", "epsg", "upper_left")
    collected: dict[str, list[np.ndarray]] = {
        name: [] for name in ("labels", *metadata)
    }
    end = 0
    with tqdm.tqdm(
        total=len(embeddings), desc="embedding", unit="patch"
    ) as progress:
        for split in splits:
            for batch in input_pipeline.native_batches(
                builder,
                split,
                grids=input_names(model, modality),
                num_classes=len(model.class_names),
                batch_size=batch_size,
                metadata=metadata,
            ):
                rows = embed(model, batch["inputs"], modality=modality)
                start, end = end, end + len(rows)
                embeddings[start:end] = rows
                for name, parts in collected.items():
                    parts.append(batch[name].numpy())
                progress.update(len(rows))
    embeddings.flush()
    joined = {name: np.concatenate(p) for name, p in collected.items()}
    return {
        "names": np.char.decode(joined["patch_name"].astype(bytes), "utf-8"),
        "labels": joined["labels"].astype(np.uint8),
        "epsg": joined["epsg"].astype(np.int32),
        "upper_left": joined["upper_left"],
        "embeddings": embeddings,
    }
