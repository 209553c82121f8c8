"""What a server has opened: indexes, their model and the dataset.

Requests of many clients meet here: those that wait are embedded and searched
together.
"""

import concurrent.futures
import os
import pathlib
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from ben_tf import errors
from ben_tf.data import built_dataset
from ben_tf.data import run_data
from ben_tf.retrieval import embedding
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import query
from ben_tf.retrieval import where as where_lib
from ben_tf.retrieval.server import batcher
from ben_tf.retrieval.server import drawings
from ben_tf.retrieval.server import points


class _Search(NamedTuple):
    index_name: str
    query: query.Query
    modality: str
    k: int
    where: where_lib.Where


class _Embedding(NamedTuple):
    index_name: str
    grids: drawings.Grids
    modality: str


class Collection:
    """Indexes of one model, and the dataset that their patches come from."""

    def __init__(
        self,
        indexes: Sequence[str | os.PathLike],
        *,
        data_dir: str | os.PathLike | None = None,
        saved_model: str | os.PathLike | None = None,
    ):
        """Opens everything, and looks at the model only when it is asked for.

        Args:
          indexes: Index folders; the name of the folder is that of the index.
          data_dir: Folder of the TFDS dataset that they were built of; None:
            the one that their model was trained on.
          saved_model: As for `Index.open`.

        Raises:
          UserError: Two indexes of one name or of different models, or one that
            was built of other records than those in `data_dir`.
        """
        self.indexes: dict[str, index_lib.Index] = {}
        for path in indexes:
            name = pathlib.Path(path).resolve().name
            if name in self.indexes:
                raise errors.UserError(
                    f"Two indexes are called {name!r}. Expected folders of "
                    "different names."
                )
            self.indexes[name] = index_lib.Index.open(
                path, saved_model=saved_model
            )
        opened = list(self.indexes.values())
        if len({index.manifest.fingerprint for index in opened}) > 1:
            raise errors.UserError(
                "The indexes come from different models. Expected those of "
                "one, as a query is embedded once."
            )
        builder = built_dataset.open_dataset(
            run_data.of_model(opened[0].manifest.saved_model, data_dir)
        )
        for index in opened:
            if index.manifest.records:
                built_dataset.check_records(builder, index.manifest.records)
        self.drawings = drawings.Drawings(builder)
        self.synthetic = built_dataset.is_synthetic(builder) or any(
            index.manifest.synthetic for index in opened
        )
        # The first visitor shall not wait for them.
        self._points = {
            name: points.pack(index) for name, index in self.indexes.items()
        }
        self._searches = batcher.Batcher(self._search_all)
        self._embeddings = batcher.Batcher(self._embed_all)

    def close(self) -> None:
        """Answers what waits, and takes no more requests."""
        for one in (self._searches, self._embeddings, self.drawings):
            one.close()

    def index(self, name: str | None) -> index_lib.Index:
        """An index by its name; the first one for None.

        Raises:
          UserError: There is none of that name.
        """
        if name is None:
            return next(iter(self.indexes.values()))
        if name not in self.indexes:
            raise errors.UserError(
                f"Unknown index. Expected one of {', '.join(self.indexes)}. "
                f"Received: {name!r}."
            )
        return self.indexes[name]

    def points(self, name: str | None) -> bytes:
        """What a map draws of an index: see `points.pack`.

        Raises:
          UserError: As `index`.
        """
        self.index(name)
        return self._points[next(iter(self.indexes)) if name is None else name]

    def search(
        self,
        name: str,
        asked: query.Query,
        *,
        modality: str,
        k: int,
        where: where_lib.Where,
    ) -> "concurrent.futures.Future[query.Answer]":
        """The k nearest patches of a query, together with others that wait.

        Raises:
          batcher.BusyError: Too many wait.
        """
        return self._searches.submit(_Search(name, asked, modality, k, where))

    def embed(
        self, name: str, grids: drawings.Grids, *, modality: str
    ) -> "concurrent.futures.Future[np.ndarray]":
        """(D,) float32 of raw grids (size, size, bands), as `search` waits.

        Raises:
          batcher.BusyError: Too many wait.
        """
        return self._embeddings.submit(_Embedding(name, grids, modality))

    def named(self, name: str | None, patch_name: str) -> patch_facts.Patch:
        """What an index knows of a patch.

        Raises:
          UserError: It is not in the index.
        """
        index = self.index(name)
        (row,) = index.rows_of([patch_name])
        if row == index_lib.EMPTY:
            raise drawings.UnknownPatchError(
                f"Patch {patch_name[:100]!r} is not in the index."
            )
        return index.describe(np.array([row]))[0]

    def query_of_names(
        self,
        name: str | None,
        positives: Sequence[str],
        negatives: Sequence[str],
    ) -> query.Query:
        """The query that is made of patches of an index.

        Raises:
          UserError: One is not in the index; no positive example.
        """
        index = self.index(name)
        for patch_name in (*positives, *negatives):
            self.named(name, patch_name)
        rows = index.rows_of([*positives, *negatives])
        examples = [
            query.Query(
                patch,
                vector,
                index.manifest.synthetic,
                made_of=(patch.name,),
            )
            for patch, vector in zip(
                index.describe(rows), index.embeddings[rows], strict=True
            )
        ]
        if len(examples) == 1 and positives:
            return examples[0]
        return query.combined(
            examples[: len(positives)],
            examples[len(positives) :],
            non_negative=index.manifest.non_negative,
        )

    # --- In the threads of the batchers --------------------------------------

    def _search_all(
        self, searches: Sequence[_Search]
    ) -> Sequence[query.Answer | Exception]:
        """Searches with the same conditions are one call of the index."""
        results: dict[int, query.Answer | Exception] = {}
        for numbers in _groups(searches, lambda x: x._replace(query=None)):
            first = searches[numbers[0]]
            try:
                answer = query.ask(
                    self.index(first.index_name),
                    [searches[number].query for number in numbers],
                    modality=first.modality,
                    k=first.k,
                    where=first.where,
                )
            except errors.UserError as error:
                results |= dict.fromkeys(numbers, error)
                continue
            for place, number in enumerate(numbers):
                results[number] = _one(answer, place, searches[number])
        return [results[number] for number in range(len(searches))]

    def _embed_all(
        self, requests: Sequence[_Embedding]
    ) -> Sequence[np.ndarray | Exception]:
        """Patches of the same sensors are one call of the model."""
        results: dict[int, np.ndarray | Exception] = {}
        for numbers in _groups(requests, lambda x: x._replace(grids=None)):
            first = requests[numbers[0]]
            model = self.index(first.index_name).model
            rows = model.embed(
                {
                    grid: np.stack([requests[n].grids[grid] for n in numbers])
                    for grid in embedding.input_names(model, first.modality)
                },
                modality=first.modality,
            ).numpy()
            for number, row in zip(numbers, rows, strict=True):
                try:
                    embedding.check_finite(
                        row[None], remedy="Check the pixels of the patch."
                    )
                    results[number] = row
                except errors.UserError as error:
                    results[number] = error
        return [results[number] for number in range(len(requests))]


def _groups(
    requests: Sequence[Any], key: Callable[[Any], Any]
) -> list[list[int]]:
    """Numbers of requests that have the same key."""
    groups: dict[str, list[int]] = {}
    for number, request in enumerate(requests):
        groups.setdefault(repr(key(request)), []).append(number)
    return list(groups.values())


def _one(answer: query.Answer, place: int, search: _Search) -> query.Answer:
    """The answer to one of the queries that were asked together."""
    hits = answer.hits
    part = slice(place, place + 1)
    return query.Answer(
        queries=(answer.queries[place],),
        hits=index_lib.Hits(
            names=hits.names[part],
            distances=hits.distances[part],
            labels=hits.labels[part],
            rows=hits.rows[part],
            patches=hits.patches,
        ),
        index=answer.index,
        modality=answer.modality,
        synthetic=answer.index.manifest.synthetic or search.query.is_synthetic,
    )
