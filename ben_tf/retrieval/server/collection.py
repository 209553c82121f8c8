"""What a server has opened: indexes, their model and the dataset.

Requests of many clients meet here: those that wait are embedded and searched
together.
"""

import concurrent.futures
import dataclasses
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
from ben_tf.retrieval import answer_formats
from ben_tf.retrieval import embedding
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import query
from ben_tf.retrieval import where as where_lib
from ben_tf.retrieval.server import batcher
from ben_tf.retrieval.server import drawings
from ben_tf.retrieval.server import examples
from ben_tf.retrieval.server import points


class Page(NamedTuple):
    """Which part of the hits is answered, and how.

    Attributes:
      k: Number of hits.
      offset: How many of the nearest are passed over before.
      format_name: As for `answer_formats.encode`.
    """

    k: int
    offset: int
    format_name: str


class _Search(NamedTuple):
    index_name: str
    asked: query.Query | examples.Examples
    modality: str
    page: Page
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

    def name_of(self, name: str | None) -> str:
        """The name of an index, which a client may leave out for the first.

        Raises:
          UserError: There is none of that name.
        """
        if name is None:
            return next(iter(self.indexes))
        if name not in self.indexes:
            raise errors.UserError(
                f"Unknown index. Expected one of {', '.join(self.indexes)}. "
                f"Received: {name!r}."
            )
        return name

    def index(self, name: str | None) -> index_lib.Index:
        """An index by its name; the first one for None.

        Raises:
          UserError: As `name_of`.
        """
        return self.indexes[self.name_of(name)]

    def points(self, name: str | None) -> bytes:
        """What a map draws of an index: see `points.pack`.

        Raises:
          UserError: As `name_of`.
        """
        return self._points[self.name_of(name)]

    def search(
        self,
        name: str,
        asked: query.Query | examples.Examples,
        *,
        modality: str,
        page: Page,
        where: where_lib.Where,
    ) -> "concurrent.futures.Future[bytes]":
        """The nearest patches of a query, together with others that wait.

        The future raises UserError as `Index.search` does, for an example that
        is not in the index, and for none at all.

        Raises:
          batcher.BusyError: Too many wait.
        """
        return self._searches.submit(
            _Search(name, asked, modality, page, where)
        )

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
            raise examples.unknown(patch_name)
        return index.describe(np.array([row]))[0]

    # --- In the threads of the batchers --------------------------------------

    def _search_all(
        self, searches: Sequence[_Search]
    ) -> Sequence[bytes | Exception]:
        """Searches with the same conditions are one call of the index."""
        results: dict[int, bytes | Exception] = {}
        for numbers in _groups(searches, _conditions):
            first = searches[numbers[0]]
            index = self.index(first.index_name)
            good: dict[int, query.Query] = {}
            for number, made in zip(
                numbers,
                examples.resolve(index, [searches[n].asked for n in numbers]),
                strict=True,
            ):
                if isinstance(made, errors.UserError):
                    results[number] = made
                else:
                    good[number] = made
            answers = _ask(index, first, list(good.values()))
            for number, answer in zip(good, answers, strict=True):
                try:
                    results[number] = (
                        answer
                        if isinstance(answer, Exception)
                        else _encoded(answer, searches[number].page)
                    )
                except Exception as error:  # The others get their answers.
                    results[number] = error
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


def _conditions(search: _Search) -> tuple[object, ...]:
    """What searches have in common that are one call of an index."""
    return (
        *(search.index_name, search.modality, search.where),
        search.page.k + search.page.offset,
    )


def _ask(
    index: index_lib.Index, search: _Search, queries: Sequence[query.Query]
) -> list[query.Answer | errors.UserError]:
    """The answer to each query, or why there is none.

    Args:
      index: What to search.
      search: What they have in common.
      queries: What differs.
    """
    if not queries:
        return []
    try:
        answer = query.ask(
            index,
            queries,
            modality=search.modality,
            k=search.page.k + search.page.offset,
            where=search.where,
        )
    except errors.UserError as error:
        if len(queries) == 1:
            return [error]
        # One query that cannot be asked is no fault of the others.
        return [x for one in queries for x in _ask(index, search, [one])]
    return [
        dataclasses.replace(
            answer,
            queries=(one.patch,),
            hits=hits,
            synthetic=index.manifest.synthetic or one.is_synthetic,
        )
        for one, hits in zip(queries, answer.hits.each(), strict=True)
    ]


def _encoded(answer: query.Answer, page: Page) -> bytes:
    return answer_formats.encode(
        answer_formats.without_first(answer, page.offset), page.format_name
    )
