"""What a server has opened: indexes, their model, and the pixels of patches.

Requests of many clients meet here: those that wait are embedded, searched and
read together.
"""

import collections
import concurrent.futures
import itertools
import os
import pathlib
import threading
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from ben_tf import errors
from ben_tf.data import built_dataset
from ben_tf.data import geography
from ben_tf.data import patch_reader
from ben_tf.data import run_data
from ben_tf.plots import pictures
from ben_tf.retrieval import embedding
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import query
from ben_tf.retrieval import where as where_lib
from ben_tf.retrieval.server import batcher

Grids = Mapping[str, np.ndarray]

# Key in addresses -> one of `pictures.PICTURES`.
PICTURES = {
    "true_colour": "True colour",
    "false_colour": "False colour: B08, B04, B03",
    "radar": "Radar: VV, VH, VV - VH",
}
_MOST_WAITING = 256
_MOST_AT_ONCE = 64
# Some 30 kB each.
_MOST_PICTURES = 4096


class _Search(NamedTuple):
    index_name: str
    query: query.Query
    modality: str
    k: int
    where: where_lib.Where


class _Embedding(NamedTuple):
    index_name: str
    grids: Grids
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
        self._builder = built_dataset.open_dataset(
            run_data.of_model(opened[0].manifest.saved_model, data_dir)
        )
        for index in opened:
            if index.manifest.records:
                built_dataset.check_records(
                    self._builder, index.manifest.records
                )
        self._reader = patch_reader.PatchReader(self._builder)
        sensors = built_dataset.sensors(self._builder)
        # Data of one's own may lack a sensor.
        self.pictures = {
            key: name
            for key, name in PICTURES.items()
            if pictures.sensor_of(name) in sensors
        }
        self.synthetic = built_dataset.is_synthetic(self._builder) or any(
            index.manifest.synthetic for index in opened
        )
        self._pictures: collections.OrderedDict[tuple[str, str], bytes] = (
            collections.OrderedDict()
        )
        self._lock = threading.Lock()
        self._searches = batcher.Batcher(
            self._search_all,
            most_waiting=_MOST_WAITING,
            most_at_once=_MOST_AT_ONCE,
        )
        self._embeddings = batcher.Batcher(
            self._embed_all,
            most_waiting=_MOST_WAITING,
            most_at_once=_MOST_AT_ONCE,
        )
        self._drawings = batcher.Batcher(
            self._draw_all,
            most_waiting=_MOST_WAITING,
            most_at_once=_MOST_AT_ONCE,
        )

    def close(self) -> None:
        """Answers what waits, and takes no more requests."""
        for one in (self._searches, self._embeddings, self._drawings):
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
        self, name: str, grids: Grids, *, modality: str
    ) -> "concurrent.futures.Future[np.ndarray]":
        """(D,) float32 of raw grids (size, size, bands), as `search` waits.

        Raises:
          batcher.BusyError: Too many wait.
        """
        return self._embeddings.submit(_Embedding(name, grids, modality))

    def picture(
        self, name: str, picture: str
    ) -> "concurrent.futures.Future[bytes]":
        """A PNG of a patch of the dataset, as `search` waits.

        Args:
          name: Of the patch.
          picture: A key of `PICTURES`.

        Raises:
          batcher.BusyError: Too many wait.
        """
        with self._lock:
            known = self._pictures.get((name, picture))
        if known is not None:
            future: concurrent.futures.Future[bytes] = (
                concurrent.futures.Future()
            )
            future.set_result(known)
            return future
        return self._drawings.submit((name, picture))

    def points(self, name: str | None) -> bytes:
        """All patches of an index for a map, packed.

        Little-endian columns one after the other: longitude and latitude of the
        centre, float32, degrees, NaN where it is nowhere; labels as bits of two
        uint32, the first 32 classes in the first; day since 1970-01-01, int32,
        -2^31 where unknown; country, season and split, uint8, 255 where
        unknown. 23 bytes a patch.
        """
        index = self.index(name)
        longitudes, latitudes = geography.patch_centres(
            index.epsg, index.upper_left
        )
        places = np.stack([longitudes, latitudes]).astype("<f4")
        places[~np.isfinite(places)] = np.nan
        bits = np.zeros((len(index.names), 64), np.uint8)
        bits[:, : index.labels.shape[1]] = index.labels
        packed = np.packbits(bits, axis=1, bitorder="little").view("<u4")
        return b"".join(
            column.tobytes()
            for column in (
                *places,
                *packed.T,
                np.asarray(index.days, "<i4"),
                np.asarray(index.countries, np.uint8),
                np.asarray(index.seasons, np.uint8),
                np.asarray(index.split_numbers, np.uint8),
            )
        )

    def named(self, name: str | None, patch_name: str) -> patch_facts.Patch:
        """What an index knows of a patch.

        Raises:
          UserError: It is not in the index.
        """
        index = self.index(name)
        (row,) = index.rows_of([patch_name])
        if row == index_lib.EMPTY:
            raise UnknownPatchError(
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

    def _draw_all(
        self, wanted: Sequence[tuple[str, str]]
    ) -> Sequence[bytes | Exception]:
        grids_of: dict[str, dict[str, None]] = {}
        for name, picture in wanted:
            grids_of.setdefault(name, {}).update(
                dict.fromkeys(pictures.grids_of(PICTURES[picture]))
            )
        grids = sorted({grid for some in grids_of.values() for grid in some})
        names = list(grids_of)
        found = list(itertools.compress(names, self._reader.has(names)))
        pixels: dict[str, Grids] = {}
        if found:
            batch = self._reader.read(found, grids=grids)
            for row, name in enumerate(found):
                pixels[name] = {
                    grid: batch["inputs"][grid][row].numpy() for grid in grids
                }
        return [self._draw(pixels.get(name), name, x) for name, x in wanted]

    def _draw(
        self, grids: Grids | None, name: str, picture: str
    ) -> bytes | Exception:
        if grids is None:
            return UnknownPatchError("This patch is not in the dataset.")
        png = draw(grids, picture)
        with self._lock:
            self._pictures[name, picture] = png
            while len(self._pictures) > _MOST_PICTURES:
                self._pictures.popitem(last=False)
        return png


class UnknownPatchError(errors.UserError):
    """There is no patch of that name."""


def draw(grids: Grids, picture: str) -> bytes:
    """A PNG of raw grids; `picture` is a key of `PICTURES`."""
    name = PICTURES[picture]
    needed = {grid: grids[grid] for grid in pictures.grids_of(name)}
    return bytes(pictures.to_png(pictures.render(needed, name)))


def can_draw(grids: Iterable[str], picture: str) -> bool:
    """Whether these grids are enough for a key of `PICTURES`."""
    return set(pictures.grids_of(PICTURES[picture])) <= set(grids)


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
