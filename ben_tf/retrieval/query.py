"""Answers a query given by names, folders or an image."""

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
from ben_tf.retrieval import refinement
from ben_tf.retrieval import where as where_lib
from ben_tf.scenes import layers


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


class Query(NamedTuple):
    """A query that an index can be asked.

    Attributes:
      patch: What is known of it.
      embedding: (D,) float32.
      is_synthetic: Whether its pixels are.
      made_of: Names of the patches that must not be among its hits.
    """

    patch: patch_facts.Patch
    embedding: np.ndarray
    is_synthetic: bool
    made_of: tuple[str, ...]


def query(
    index: index_lib.Index,
    *,
    names: Sequence[str] = (),
    s1_folder: str | os.PathLike | None = None,
    s2_folder: str | os.PathLike | None = None,
    image_paths: Sequence[str | os.PathLike] = (),
    hints: layers.Hints = layers.NO_HINTS,
    data_dir: str | os.PathLike | None = None,
    modality: str | None = None,
    k: int = 10,
    positives: Sequence[str] = (),
    negatives: Sequence[str] = (),
    where: where_lib.Where = where_lib.EVERYWHERE,
) -> Answer:
    """Finds the k nearest patches of each query.

    Args:
      index: The index to search.
      names: Patches of the index or of the dataset.
      s1_folder: Folder of an S1 patch of the extracted archive.
      s2_folder: Folder of an S2 patch; with `s1_folder` one query.
      image_paths: GeoTIFFs with all that the model looks at; the patch in
        their middle is one query. See `ben_tf.scenes.multiband`.
      hints: What these do not say themselves.
      data_dir: Folder of the TFDS dataset, for names that the index lacks;
        None: the one that the model of the index was trained on.
      modality: What of the queries to look at: "S1", "S2" or "MM"; that of the
        index by default. Another needs a model of a shared space.
      k: Number of hits.
      positives: Names, as `names`, of what one more query is made of: see
        `refinement.combine`. None of them is among its hits.
      negatives: Names of what the hits of that query should not look like.
      where: What the hits must be.

    Returns:
      An answer.

    Raises:
      UserError: No query, or one that cannot be found or read.
    """
    modality = modality or index.manifest.modality
    queries = _from_names(index, names, data_dir, modality) if names else []
    if s1_folder or s2_folder:
        queries.append(_from_folders(index, s1_folder, s2_folder, modality))
    if positives or negatives:
        examples = _from_names(
            index, [*positives, *negatives], data_dir, modality
        )
        queries.append(
            combined(
                examples[: len(positives)],
                examples[len(positives) :],
                non_negative=index.manifest.non_negative,
            )
        )
    if image_paths:
        found = patch_source.from_scene(
            embedding.input_names(index.model, modality),
            image_paths=image_paths,
            hints=hints,
        )
        queries.append(_embed(index, found, modality, is_synthetic=False))
    elif hints != layers.NO_HINTS:
        raise errors.UserError(
            "`bands`, `s2_offset` and `reflectance_scale` are of images. "
            "Expected `image` with them."
        )
    if not queries:
        raise errors.UserError(
            "No query. Expected names of patches, the folders of one, "
            "`s1_folder` and `s2_folder`, or an `image`."
        )
    return ask(index, queries, modality=modality, k=k, where=where)


def ask(
    index: index_lib.Index,
    queries: Sequence[Query],
    *,
    modality: str,
    k: int,
    where: where_lib.Where = where_lib.EVERYWHERE,
) -> Answer:
    """Finds the k nearest patches of each query.

    Args:
      index: The index to search.
      queries: At least one.
      modality: What `queries` are embeddings of.
      k: Number of hits.
      where: What the hits must be.

    Raises:
      UserError: As `Index.search`.
    """
    most = max(len(query.made_of) for query in queries)
    return Answer(
        queries=tuple(query.patch for query in queries),
        hits=index.search(
            np.stack([query.embedding for query in queries]),
            k=k,
            fingerprint=index.manifest.fingerprint,
            modality=modality,
            exclude=[
                [*query.made_of, *[""] * (most - len(query.made_of))]
                for query in queries
            ],
            where=where,
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
) -> list[Query]:
    """Queries from the index where it has them, else from the dataset."""
    rows = index.rows_of(names)
    if modality != index.manifest.modality:
        rows = np.full_like(rows, index_lib.EMPTY)
    known = rows[rows >= 0]
    queries = {
        patch.name: Query(
            patch, row, index.manifest.synthetic, made_of=(patch.name,)
        )
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
) -> Query:
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
) -> Query:
    (row,) = embedding.embed(
        index.model,
        {name: array[None] for name, array in found.grids.items()},
        modality=modality,
        names=[found.patch.name],
    )
    return Query(found.patch, row, is_synthetic, made_of=(found.patch.name,))


def combined(
    positives: Sequence[Query],
    negatives: Sequence[Query],
    *,
    non_negative: bool,
) -> Query:
    """The query that is made of examples; it lies nowhere.

    Args:
      positives: What the hits should look like, at least one.
      negatives: What they should not look like.
      non_negative: As for `refinement.combine`.

    Raises:
      UserError: No positive example.
    """
    rows = [
        np.array([query.embedding for query in examples], np.float32)
        for examples in (positives, negatives)
    ]
    names = [query.patch.name for query in positives]
    others = [query.patch.name for query in negatives]
    return Query(
        patch_facts.Patch(
            name=" + ".join(names) + "".join(f" - {name}" for name in others)
        ),
        refinement.combine(*rows, non_negative=non_negative),
        any(query.is_synthetic for query in (*positives, *negatives)),
        made_of=(*names, *others),
    )
