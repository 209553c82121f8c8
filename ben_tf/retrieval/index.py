"""An index of patches that answers which of them look like a query.

index = Index.open("my_index")
hits = index.query(s1=s1, s2={"s2_10m": ..., "s2_20m": ...}, k=10)
[(hit.name, hit.distance, hit.labels) for hit in hits]
hits.names, hits.distances
"""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import overload

import msgspec
import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import origin
from ben_tf.retrieval import approximate_search
from ben_tf.retrieval import distances
from ben_tf.retrieval import embedding
from ben_tf.retrieval import exact_search
from ben_tf.retrieval import index_reader
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import store
from ben_tf.retrieval import where as where_lib

if TYPE_CHECKING:
    from ben_tf import saved_model as saved_models

EMPTY = -1  # The row of no patch: the search, or a name, has found none.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hit(patch_facts.Patch):
    """A patch that looks like a query.

    Attributes:
      query: Number of the query, from 0.
      rank: 1 for the nearest patch.
      distance: From the query to the patch.
    """

    query: int
    rank: int
    distance: float


@dataclasses.dataclass(frozen=True)
class Hits(Sequence[Hit]):
    """The nearest patches of each query, nearest first.

    As a sequence it holds each `Hit`, those of the first query first, without
    the empty slots. What all have of one kind stands in arrays:

    Attributes:
      names: (Q, k) str; "" for an empty slot.
      distances: (Q, k) float32, ascending; equal distances by name.
      labels: (Q, k, classes) uint8, multi-hot.
      rows: (Q, k) int64, rows of the index; `EMPTY` for an empty slot, which
        only an approximate search leaves.
      patches: What `rows` are rows of.
      first_rank: Rank of what stands first: 1, or more on a later page.
      described: What is known of each hit, if that has been looked up.
    """

    names: np.ndarray
    distances: np.ndarray
    labels: np.ndarray
    rows: np.ndarray
    patches: embedding.Embedded = dataclasses.field(repr=False)
    first_rank: int = 1
    described: Sequence[patch_facts.Patch] | None = dataclasses.field(
        default=None, repr=False
    )

    def __len__(self) -> int:
        """Number of hits of all queries together."""
        return int((self.rows != EMPTY).sum())

    @overload
    def __getitem__(self, item: int) -> Hit: ...

    @overload
    def __getitem__(self, item: slice) -> Sequence[Hit]: ...

    def __getitem__(self, item: int | slice) -> Hit | Sequence[Hit]:
        """One hit, or those of a slice."""
        return self._hits[item]

    def each(self) -> "list[Hits]":
        """The hits of each query alone; looks up at once what they are."""
        is_hit = self.rows != EMPTY
        described = self.patches.describe(self.rows[is_hit])
        ends = np.cumsum(is_hit.sum(axis=1)).tolist()
        return [
            Hits(
                names=self.names[query : query + 1],
                distances=self.distances[query : query + 1],
                labels=self.labels[query : query + 1],
                rows=self.rows[query : query + 1],
                patches=self.patches,
                first_rank=self.first_rank,
                described=described[start:end],
            )
            for query, (start, end) in enumerate(
                zip([0, *ends], ends, strict=False)
            )
        ]

    @functools.cached_property
    def _hits(self) -> tuple[Hit, ...]:
        queries, places = np.nonzero(self.rows != EMPTY)
        found = self.described
        if found is None:
            found = self.patches.describe(self.rows[queries, places])
        return tuple(
            Hit(
                **vars(patch),
                query=int(query),
                rank=int(place) + self.first_rank,
                distance=float(self.distances[query, place]),
            )
            for patch, query, place in zip(found, queries, places, strict=True)
        )


@dataclasses.dataclass(frozen=True)
class Index(embedding.Embedded):
    """An opened index folder. Rows are sorted by patch name.

    Attributes:
      provenance: What the index says of itself; also called `manifest`.
      path: The folder.
      structure: What the search needs besides the embeddings.
      has_named_model: Whether the caller named the model, not the index alone.
    """

    provenance: store.Manifest
    path: pathlib.Path
    structure: Any
    has_named_model: bool

    @classmethod
    def open(
        cls,
        path: str | os.PathLike,
        *,
        saved_model: str | os.PathLike | None = None,
    ) -> "Index":
        """Opens an index folder; embeddings stay on the disk.

        All files are read once and compared with their digests: 0.3 s for
        590,326 embeddings of 128 numbers that lie in memory already.

        Args:
          path: The index folder.
          saved_model: The model, if it has moved since the index was built,
            or does not lie beside the index.

        Raises:
          UserError: No index there, or one that is damaged or of another
            format version.
        """
        manifest = store.read_manifest(path)
        while True:
            try:
                arrays = index_reader.read_arrays(path, manifest)
                structure = index_reader.read_structure(path, manifest)
                break
            except errors.UserError:
                # Whoever builds it anew removes the files of before.
                newer = store.read_manifest(path)
                if newer.data == manifest.data:
                    raise
                manifest = newer
        if saved_model is not None:
            manifest = msgspec.structs.replace(
                manifest, saved_model=os.fspath(saved_model)
            )
        return cls(
            path=pathlib.Path(path),
            provenance=manifest,
            structure=structure,
            has_named_model=saved_model is not None,
            **arrays,
        )

    @property
    def manifest(self) -> store.Manifest:
        """What the index says of itself."""
        return self.provenance

    @property
    def distance(self) -> str:
        """Name of the distances in the answers."""
        if self.manifest.search == store.BINARY:
            return distances.HAMMING
        return self.manifest.distance

    def query(
        self,
        *,
        s1: np.ndarray | None = None,
        s2: Mapping[str, np.ndarray] | None = None,
        k: int = 10,
        modality: str | None = None,
        where: where_lib.Where = where_lib.EVERYWHERE,
    ) -> Hits:
        """Embeds patches and finds the most similar patches of the index.

        Args:
          s1: (120, 120, 2) or (Q, 120, 120, 2) float32, VV and VH in dB.
          s2: Arrays "s2_10m", "s2_20m" and, if the model takes it, "s2_60m",
            with shapes and bands of `bigearthnet.GRIDS`, or with a leading Q;
            reflectance x 10,000.
          k: Number of hits.
          modality: What of the patches to look at: that of the index by
            default; with a model of a shared space also another, so that
            "S1" looks Sentinel-1 patches up in an index of Sentinel-2.
          where: What the hits must be.

        Returns:
          Hits with Q = 1 for a single patch.

        Raises:
          UserError: No model there, or not that of the index; NaN or
            infinite pixels.
          ValueError: An array is missing or has another shape.
        """
        model = self.model
        modality = modality or self.manifest.modality
        arrays = {"s1": s1, **(s2 or {})}
        inputs = {}
        for name in embedding.input_names(model, modality):
            shape = bigearthnet.GRIDS[name].shape
            array = np.asarray(arrays.get(name))
            if array.ndim not in (3, 4) or array.shape[-3:] != shape:
                raise ValueError(
                    f"Expected {name} of shape {shape}, with or without a "
                    f"leading batch axis. Received: {array.shape}"
                )
            if not np.isfinite(array).all():
                # A network may give a finite embedding of them.
                raise errors.UserError(
                    f"{name} of a query holds NaN or infinite numbers. "
                    "Expected pixels as they were measured."
                )
            inputs[name] = array.reshape(-1, *shape)
        queries = embedding.embed(model, inputs, modality=modality)
        return self.search(
            queries,
            k=k,
            fingerprint=model.fingerprint,
            modality=modality,
            where=where,
        )

    def search(
        self,
        queries: np.ndarray,
        *,
        k: int,
        fingerprint: str,
        modality: str | None = None,
        exclude: Sequence[str]
        | Sequence[Sequence[str]]
        | np.ndarray
        | None = None,
        where: where_lib.Where = where_lib.EVERYWHERE,
    ) -> Hits:
        """Finds the nearest patches of given embeddings.

        Args:
          queries: (Q, D) float32.
          k: Number of hits; fewer where fewer patches may be one.
          fingerprint: Of the model that made `queries`.
          modality: What `queries` are embeddings of; that of the index, by
            default.
          exclude: (Q,) or (Q, E), for each query the names of patches that must
            not be among its hits, such as its own.
          where: What the hits must be.

        Returns:
          Hits, none where no patch meets `where`.

        Raises:
          UserError: Embeddings of another model or dimension, NaN or infinite
            ones, or negative ones with chi-square; `k` below 1; a condition
            that the index cannot answer.
        """
        queries = self._checked(queries, k, fingerprint)
        modality = modality or self.manifest.modality
        chosen = where.rows(self)
        num_rows = len(self.names) if chosen is None else len(chosen)
        if exclude is None:
            excluded = np.full((len(queries), 0), EMPTY)
        else:
            names = np.asarray(exclude, str).reshape(len(queries), -1)
            excluded = self.rows_of(names.ravel()).reshape(names.shape)
        wanted = min(k + excluded.shape[1], num_rows)
        if wanted:
            found, rows = self._nearest(queries, wanted, modality, chosen)
        else:
            found = np.zeros((len(queries), 0), np.float32)
            rows = np.zeros((len(queries), 0), np.int64)
        if excluded.size:
            is_out = (rows[:, :, None] == excluded[:, None, :]).any(axis=2)
            rows = np.where(is_out, EMPTY, rows)
            places = min(k, max(1, num_rows - 1))
            found, rows = distances.order(found, rows, k=places)
        empty = rows == EMPTY
        return Hits(
            names=np.where(empty, "", self.names[rows]),
            distances=found,
            labels=np.where(empty[..., None], 0, self.labels[rows]),
            rows=rows,
            patches=self,
        )

    def rows_of(self, names: Sequence[str] | np.ndarray) -> np.ndarray:
        """(Q,) names -> (Q,) int64 rows; `EMPTY` for an unknown name."""
        wanted = np.asarray(names, str)
        rows = np.searchsorted(self.names, wanted)
        inside = np.minimum(rows, len(self.names) - 1)
        return np.where(self.names[inside] == wanted, inside, EMPTY)

    @functools.cached_property
    def model(self) -> "saved_models.ServedModel":
        """The model that made the index; the first access loads it.

        Raises:
          UserError: No model there, or another one; the index names one
            elsewhere, a program that the caller has not asked for.
        """
        # Searching embeddings takes no TensorFlow, which is slow to import.
        from ben_tf import saved_model as saved_models

        path = os.path.realpath(self.manifest.saved_model)
        beside = os.path.realpath(self.path.absolute().parent)
        if not (
            self.has_named_model or pathlib.Path(path).is_relative_to(beside)
        ):
            raise errors.UserError(
                f"The index in {self.path} names a model that does not lie "
                f"beside it: {path}. Pass `saved_model={path}` to run that."
            )
        model = saved_models.load(self.manifest.saved_model)
        self._check_fingerprint(model.fingerprint)
        return model

    def _nearest(
        self,
        queries: np.ndarray,
        k: int,
        modality: str,
        rows: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest of all rows, or of some, at least k."""
        search, distance = self.manifest.search, self.manifest.distance
        if search == store.BINARY:
            return self.structure.nearest(
                queries, k=k, modality=modality, rows=rows
            )
        if search in approximate_search.KINDS:
            return approximate_search.nearest(
                self.structure,
                distance,
                queries,
                self.embeddings,
                k=k,
                rows=rows,
            )
        if rows is not None:
            return exact_search.nearest_of_rows(
                distance, queries, self.embeddings, rows, k=k
            )
        return exact_search.nearest(distance, queries, self.embeddings, k=k)

    def _checked(
        self, queries: np.ndarray, k: int, fingerprint: str
    ) -> np.ndarray:
        self._check_fingerprint(fingerprint)
        queries = np.ascontiguousarray(queries, np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.manifest.dimension:
            raise errors.UserError(
                "The query's embedding has another dimension. Expected (Q, "
                f"{self.manifest.dimension}). Received: {queries.shape}."
            )
        if not np.isfinite(queries).all():
            raise errors.UserError(
                "The query's embedding is NaN or infinite. Expected finite "
                "numbers."
            )
        if k < 1:
            raise errors.UserError(
                f"Expected `k` of at least 1. Received: `k={k}`."
            )
        if self.distance == distances.CHI_SQUARE:
            if not self.manifest.non_negative:
                distances.check_non_negative(-1, what="the index")
            if queries.size:
                distances.check_non_negative(queries.min(), what="the query")
        return queries

    def _check_fingerprint(self, fingerprint: str) -> None:
        if fingerprint != self.manifest.fingerprint:
            expected = origin.short(self.manifest.fingerprint)
            raise errors.UserError(
                f"The index in {self.path} was built with another model. "
                f"Expected fingerprint {expected}. Received: "
                f"{origin.short(fingerprint)}. Use that model, or build the "
                "index again with this one."
            )
