"""Builds an index folder; `index.Index` opens it."""

import os
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from ben_tf import errors
from ben_tf.retrieval import approximate_search
from ben_tf.retrieval import binary
from ben_tf.retrieval import distances
from ben_tf.retrieval import embedding
from ben_tf.retrieval import store

_ROWS_AT_ONCE = 16_384


def build_index(
    *,
    saved_model: str | os.PathLike,
    data_dir: str | os.PathLike,
    output_dir: str | os.PathLike,
    splits: Sequence[str] = ("test",),
    distance: str = distances.CHI_SQUARE,
    search: str = store.EXACT,
    num_bits: int = 64,
    modality: str | None = None,
    batch_size: int = 128,
) -> pathlib.Path:
    """Embeds splits with a model and writes an index.

    Args:
      saved_model: Folder of the exported model.
      data_dir: Folder of the TFDS dataset.
      output_dir: The index folder; an index there is replaced at the end.
      splits: Splits of the dataset.
      distance: One of `distances.DISTANCES`; with binary codes the distance
        is Hamming's.
      search: One of `store.SEARCHES`.
      num_bits: Length of binary codes.
      modality: "S1", "S2", "MM", or None for the model's.
      batch_size: Patches embedded at once.

    Returns:
      `output_dir`.

    Raises:
      UserError: No model, no dataset, or options that do not go together.
    """
    check_options(distance, search)
    from ben_tf import saved_model as saved_models
    from ben_tf.data import built_dataset

    model = saved_models.load(saved_model)
    modality = modality or model.modality
    embedding.check_modality(model, modality)
    builder = built_dataset.open_dataset(data_dir)
    with store.new_data_folder(output_dir) as scratch:
        arrays = embedding.embed_split(
            model,
            builder,
            splits,
            modality=modality,
            path=scratch / store.EMBEDDINGS,
            batch_size=batch_size,
        )
        other_means = {}
        if search == store.BINARY:
            other_means = {
                other: embedding.mean_embedding(
                    model,
                    builder,
                    splits[0],
                    modality=other,
                    batch_size=batch_size,
                )
                for other in model.embeddings
                if other != modality
            }
        return write_index(
            output_dir,
            **arrays,
            distance=distance,
            search=search,
            num_bits=num_bits,
            other_means=other_means,
            modality=modality,
            splits=splits,
            class_names=model.class_names,
            fingerprint=model.fingerprint,
            saved_model=saved_model,
            synthetic=(
                model.trained_on_synthetic
                or built_dataset.is_synthetic(builder)
            ),
        )


def write_index(
    output_dir: str | os.PathLike,
    *,
    names: np.ndarray,
    labels: np.ndarray,
    embeddings: np.ndarray,
    epsg: np.ndarray,
    upper_left: np.ndarray,
    modality: str,
    splits: Sequence[str],
    class_names: Sequence[str],
    fingerprint: str,
    saved_model: str | os.PathLike,
    synthetic: bool,
    distance: str = distances.CHI_SQUARE,
    search: str = store.EXACT,
    num_bits: int = 64,
    other_means: Mapping[str, np.ndarray] | None = None,
) -> pathlib.Path:
    """Writes an index of given embeddings, sorted by name.

    Args:
      output_dir: The index folder; an index there is replaced at the end.
      names: (N,) str, all different.
      labels: (N, classes) 0 or 1.
      embeddings: (N, D) float32; may be memory-mapped.
      epsg: (N,) UTM zone of each patch, an EPSG code.
      upper_left: (N, 2) its upper left corner in that zone, metres.
      modality: What was embedded: "S1", "S2" or "MM".
      splits: Where the patches come from.
      class_names: Columns of `labels`.
      fingerprint: That of the model.
      saved_model: Folder of the model.
      synthetic: Whether patches or model are synthetic.
      distance: See `build_index`.
      search: See `build_index`.
      num_bits: See `build_index`.
      other_means: Other modality -> (D,) mean of its embeddings, to look up
        its patches by their codes.

    Returns:
      `output_dir`.

    Raises:
      UserError: A name comes twice, or chi-square with negative embeddings.
    """
    check_options(distance, search)
    order = np.argsort(names, kind="stable")
    names = names[order]
    repeated = names[:-1][names[1:] == names[:-1]]
    if len(repeated):
        raise errors.UserError(
            f"Patch {repeated[0]} comes twice. Expected each patch once: name "
            "splits that do not overlap."
        )
    with store.new_data_folder(output_dir) as data:
        np.save(data / store.NAMES, names)
        np.save(data / store.LABELS, labels[order].astype(np.uint8))
        np.save(data / store.EPSG, epsg[order].astype(np.int32))
        np.save(data / store.UPPER_LEFT, upper_left[order].astype(np.float64))
        rows, smallest = _write_sorted(
            embeddings, order, data / store.EMBEDDINGS
        )
        if distance == distances.CHI_SQUARE and search == store.EXACT:
            distances.check_non_negative(smallest, what="embeddings")
        digests = {}
        means: dict[str, np.ndarray] = {}
        if search in approximate_search.KINDS:
            file = data / store.FAISS_INDEX
            approximate_search.save(
                approximate_search.build(search, distance, rows), file
            )
            digests[file.name] = store.digest(file)
        elif search == store.BINARY:
            projection, mean = binary.train(rows, num_bits=num_bits)
            means = {modality: mean}
            for other, other_mean in (other_means or {}).items():
                # A head that learnt its codes has put their zero itself.
                means[other] = other_mean if mean.any() else mean
            np.save(data / store.PROJECTION, projection)
            np.save(data / store.MEANS, np.stack([*means.values()]))
            codes = binary.encode(rows, projection, mean)
            np.save(data / store.CODES, codes)
        manifest = store.Manifest(
            data=data.name,
            num_patches=len(names),
            dimension=embeddings.shape[1],
            distance=distance,
            search=search,
            num_bits=num_bits if search == store.BINARY else 0,
            query_modalities=tuple(means),
            modality=modality,
            splits=tuple(splits),
            class_names=tuple(class_names),
            fingerprint=fingerprint,
            saved_model=os.path.relpath(saved_model, output_dir),
            non_negative=smallest >= 0,
            synthetic=synthetic,
            sha256=digests,
        )
        store.commit(output_dir, manifest)
    return pathlib.Path(output_dir)


def check_options(distance: str, search: str) -> None:
    """Raises UserError unless the two go together."""
    if distance not in distances.DISTANCES:
        raise errors.UserError(
            f"Unknown distance. Expected one of {distances.DISTANCES}. "
            f"Received: --distance={distance}."
        )
    if search not in store.SEARCHES:
        raise errors.UserError(
            f"Unknown search. Expected one of {store.SEARCHES}. Received: "
            f"--search={search}."
        )
    if distance == distances.CHI_SQUARE and search in approximate_search.KINDS:
        raise errors.UserError(
            f"Search {search!r} does not know the chi-square distance. Use "
            "--search=flat, or --distance=euclidean or cosine."
        )


def _write_sorted(
    embeddings: np.ndarray, order: np.ndarray, path: pathlib.Path
) -> tuple[np.ndarray, float]:
    """Writes rows in `order`; returns them mapped, and the smallest value."""
    rows = np.lib.format.open_memmap(path, "w+", np.float32, embeddings.shape)
    smallest = np.inf
    for start in range(0, len(order), _ROWS_AT_ONCE):
        part = embeddings[order[start : start + _ROWS_AT_ONCE]]
        rows[start : start + _ROWS_AT_ONCE] = part
        smallest = min(smallest, float(part.min()))
    rows.flush()
    return rows, smallest
