"""Answers a query given by names or folders."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ben_tf import errors
from ben_tf.archive import layout
from ben_tf.data import built_dataset
from ben_tf.data import run_data
from ben_tf.retrieval import embedding
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import patch_source


@dataclasses.dataclass(frozen=True)
class Answer:
    """Queries and their hits.

    Attributes:
      queries: (Q,) the queries.
      hits: The nearest patches of each; never the query itself.
      index: The index that was searched.
      modality: What of the queries was looked at.
      synthetic: Whether model, index or a query is synthetic.
    """

    queries: tuple[patch_facts.Patch, ...]
    hits: index_lib.Hits
    index: index_lib.Index
    modality: str
    synthetic: bool

    @property
    def query_names(self) -> tuple[str, ...]:
        """(Q,) names of the queries."""
        return tuple(patch.name for patch in self.queries)


class _Query(NamedTuple):
    """A query: what is known of it, and its embedding, (D,) float32."""

    patch: patch_facts.Patch
    embedding: np.ndarray
    is_synthetic: bool


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
      names: Patches of the index or of the dataset.
      s1_folder: Folder of an S1 patch of the extracted archive.
      s2_folder: Folder of an S2 patch; with `s1_folder` one query.
      data_dir: Folder of the TFDS dataset, for names that the index lacks;
        None: the one that the model of the index was trained on.
      modality: What of the queries to look at: "S1", "S2" or "MM"; that of the
        index by default. Another needs a model of a shared space.
      k: Number of hits.

    Returns:
      An answer.

    Raises:
      UserError: No query, or one that cannot be found or read.
    """
    modality = modality or index.manifest.modality
    queries = _from_names(index, names, data_dir, modality) if names else []
    if s1_folder or s2_folder:
        queries.append(_from_folders(index, s1_folder, s2_folder, modality))
    if not queries:
        raise errors.UserError(
            "No query. Expected names of patches, or the folders of one: "
            "`s1_folder` and `s2_folder`."
        )
    return Answer(
        queries=tuple(query.patch for query in queries),
        hits=index.search(
            np.stack([query.embedding for query in queries]),
            k=k,
            fingerprint=index.manifest.fingerprint,
            modality=modality,
            exclude=[query.patch.name for query in queries],
        ),
        index=index,
        modality=modality,
        synthetic=(
            index.manifest.synthetic
            or any(query.is_synthetic for query in queries)
        ),
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


def _from_names(
    index: index_lib.Index,
    names: Sequence[str],
    data_dir: str | os.PathLike | None,
    modality: str,
) -> list[_Query]:
    """Queries from the index where it has them, else from the dataset."""
    rows = index.rows_of(names)
    if modality != index.manifest.modality:
        rows = np.full_like(rows, index_lib.EMPTY)
    known = rows[rows >= 0]
    queries = {
        patch.name: _Query(patch, row, is_synthetic=index.manifest.synthetic)
        for patch, row in zip(
            index.describe(known), index.embeddings[known], strict=True
        )
    }
    unknown = [names[i] for i in np.flatnonzero(rows < 0)]
    if unknown:
        try:
            data_dir = run_data.of_model(index.manifest.saved_model, data_dir)
        except errors.UserError as error:
            raise errors.UserError(
                f"{modality} of {len(unknown)} of {len(names)} patches is not "
                f"in the index: {unknown[0]}. Expected names of S2 patches of "
                f"its splits {index.manifest.splits}, and its modality "
                f"{index.manifest.modality}; or the dataset, to look there: "
                f"{error}"
            ) from error
        found = patch_source.find(
            data_dir,
            unknown,
            grids=embedding.input_names(index.model, modality),
            num_classes=len(index.manifest.class_names),
        )
        is_synthetic = built_dataset.is_synthetic(
            built_dataset.open_dataset(data_dir)
        )
        for name, patch in found.items():
            queries[name] = _embed(index, patch, modality, is_synthetic)
    return [queries[name] for name in names]


def _from_folders(
    index: index_lib.Index,
    s1_folder: str | os.PathLike | None,
    s2_folder: str | os.PathLike | None,
    modality: str,
) -> _Query:
    """The query that lies in folders of the extracted archive."""
    found = patch_source.from_folders(
        s1_folder=s1_folder,
        s2_folder=s2_folder,
        grids=embedding.input_names(index.model, modality),
        num_classes=len(index.manifest.class_names),
    )
    # The archive holds patches in the folder of a sensor, v2.0 in that of a
    # scene below.
    places = [
        parent
        for folder in (s1_folder, s2_folder)
        if folder
        for parent in pathlib.Path(folder).resolve().parents[1:3]
    ]
    is_synthetic = any(map(layout.is_synthetic, places))
    return _embed(index, found, modality, is_synthetic)


def _embed(
    index: index_lib.Index,
    found: patch_source.Found,
    modality: str,
    is_synthetic: bool,
) -> _Query:
    (row,) = embedding.embed(
        index.model,
        {name: array[None] for name, array in found.grids.items()},
        modality=modality,
        names=[found.patch.name],
    )
    return _Query(found.patch, row, is_synthetic)
