"""Answers a query given by names or folders."""

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import tabulate

from ben_tf import errors
from ben_tf.retrieval import embedding
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import patch_source


@dataclasses.dataclass(frozen=True)
class Answer:
    """Queries and their hits.

    Attributes:
      query_names: (Q,) names of the queries.
      hits: The nearest patches of each; never the query itself.
      index: The index that was searched.
    """

    query_names: tuple[str, ...]
    hits: index_lib.Hits
    index: index_lib.Index


def query(
    index: index_lib.Index,
    *,
    names: Sequence[str] = (),
    s1_folder: str | os.PathLike | None = None,
    s2_folder: str | os.PathLike | None = None,
    data_dir: str | os.PathLike | None = None,
    modality: str | None = None,
    k: int = 10,
) -> Answer:
    """Finds the k nearest patches of each query.

    Args:
      index: The index to search.
      names: Patches of the index, or, with `data_dir`, of the dataset.
      s1_folder: Folder of an S1 patch of the extracted archive.
      s2_folder: Folder of an S2 patch; with `s1_folder` one query.
      data_dir: Folder of the TFDS dataset, for names that the index lacks.
      modality: What of the queries to look at: "S1", "S2" or "MM"; that of the
        index by default. Another needs a model of a shared space.
      k: Number of hits.

    Returns:
      An answer.

    Raises:
      UserError: No query, or one that cannot be found or read.
    """
    modality = modality or index.manifest.modality
    names = tuple(names)
    queries = []
    if names:
        queries.append(_embeddings_of(index, names, data_dir, modality))
    if folder := s2_folder or s1_folder:
        grids = patch_source.from_folders(
            s1_folder=s1_folder,
            s2_folder=s2_folder,
            grids=embedding.input_names(index.model, modality),
        )
        batch = {name: array[None] for name, array in grids.items()}
        own_name = pathlib.Path(folder).resolve().name
        queries.append(
            embedding.embed(
                index.model, batch, modality=modality, names=[own_name]
            )
        )
        names += (own_name,)
    if not queries:
        raise errors.UserError(
            "No query. Expected names of patches, or the folders of one: "
            "`s1_folder` and `s2_folder`."
        )
    return Answer(
        query_names=names,
        hits=index.search(
            np.concatenate(queries),
            k=k,
            fingerprint=index.manifest.fingerprint,
            modality=modality,
            exclude=names,
        ),
        index=index,
    )


def read_names(path: str | os.PathLike | None) -> list[str]:
    """Reads a text file with one name per line; None gives no names.

    Raises:
      UserError: No such file, or not UTF-8.
    """
    if path is None:
        return []
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise errors.UserError(
            f"The names in {path} cannot be read: {errors.first_line(error)}. "
            "Expected a text file with the name of a patch on each line."
        ) from error
    return [line.strip() for line in lines if line.strip()]


def format_answer(answer: Answer) -> str:
    """An answer as text: a block for each query, a line for each hit."""
    class_names, hits = answer.index.manifest.class_names, answer.hits
    blocks = []
    for row, query_name in enumerate(answer.query_names):
        found = hits.names[row] != ""
        labels = [
            "; ".join(itertools.compress(class_names, present))
            for present in hits.labels[row, found]
        ]
        table = tabulate.tabulate(
            {
                "distance": hits.distances[row, found],
                "patch": hits.names[row, found],
                "labels": labels,
            },
            tablefmt="plain",
            floatfmt=".4f",
            showindex=range(1, len(labels) + 1),
        )
        blocks.append(
            f"{query_name}: most similar patches ({answer.index.distance})\n"
            f"{table}"
        )
    return "\n".join(blocks)


def _embeddings_of(
    index: index_lib.Index,
    names: Sequence[str],
    data_dir: str | os.PathLike | None,
    modality: str,
) -> np.ndarray:
    """Embeddings from the index where it has them, else from the dataset."""
    rows = index.rows_of(names)
    if modality != index.manifest.modality:
        rows = np.full_like(rows, index_lib.EMPTY)
    queries = np.empty((len(names), index.manifest.dimension), np.float32)
    queries[rows >= 0] = index.embeddings[rows[rows >= 0]]
    unknown = np.flatnonzero(rows < 0)
    if not len(unknown):
        return queries
    if not data_dir:
        raise errors.UserError(
            f"{modality} of {len(unknown)} of {len(names)} patches is not in "
            f"the index: {names[unknown[0]]}. Expected names of S2 patches of "
            f"its splits {index.manifest.splits}, and its modality "
            f"{index.manifest.modality}. Give `data_dir` to look in the "
            "dataset."
        )
    grids = embedding.input_names(index.model, modality)
    found = patch_source.from_dataset(
        data_dir, [names[i] for i in unknown], grids=grids
    )
    for i in unknown:
        batch = {grid: found[names[i]][grid][None] for grid in grids}
        queries[i] = embedding.embed(
            index.model, batch, modality=modality, names=[names[i]]
        )[0]
    return queries
