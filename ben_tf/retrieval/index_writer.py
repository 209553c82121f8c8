"""Writes an index folder; `index.Index` opens it."""

import dataclasses
import os
import pathlib
from collections.abc import Callable
from collections.abc import Mapping

import msgspec
import numpy as np

from ben_tf import errors
from ben_tf import main_memory
from ben_tf.retrieval import approximate_search
from ben_tf.retrieval import binary
from ben_tf.retrieval import distances
from ben_tf.retrieval import embedding
from ben_tf.retrieval import faiss_file
from ben_tf.retrieval import index_files
from ben_tf.retrieval import mapped
from ben_tf.retrieval import search_choice
from ben_tf.retrieval import store

AUTO = "auto"

# Of rows in another order: each block comes from all over the file.
_BLOCK_BYTES = 64 << 20
_ROWS_AT_ONCE = 16_384


@dataclasses.dataclass(frozen=True)
class IndexOptions:
    """How an index is searched.

    Attributes:
      distance: One of `distances.DISTANCES`; binary codes are compared by
        Hamming distance instead.
      search: One of `store.SEARCHES`, or `AUTO`, which takes one of them by
        the size of the archive and the memory of the machine.
      bits: Length of binary codes, a multiple of 8.

    Raises:
      UserError: An unknown option, or two that do not go together.
    """

    distance: str = distances.CHI_SQUARE
    search: str = store.EXACT
    bits: int = 64

    def __post_init__(self) -> None:
        for name, choices in (
            ("distance", distances.DISTANCES),
            ("search", (AUTO, *store.SEARCHES)),
        ):
            value = getattr(self, name)
            if value not in choices:
                raise errors.UserError(
                    f"Unknown {name}. Expected one of {choices}. Received: "
                    f"`{name}={value}`."
                )
        if (
            self.distance == distances.CHI_SQUARE
            and self.search in approximate_search.KINDS
        ):
            raise errors.UserError(
                f"Search {self.search!r} does not know the chi-square "
                "distance. Use `search=flat`, `distance=euclidean` or "
                "`distance=cosine`."
            )
        if self.search == store.BINARY and (
            self.bits % 8 or not 8 <= self.bits <= binary.MAX_BITS
        ):
            raise errors.UserError(
                f"Expected a multiple of 8 between 8 and {binary.MAX_BITS}. "
                f"Received: `bits={self.bits}`. Use 64 or 128, for example."
            )

    def for_size(self, num_patches: int, dimension: int) -> "IndexOptions":
        """Options that name a search; prints what `AUTO` chose, and why."""
        if self.search != AUTO:
            return self
        search, reason = search_choice.choose(
            self.distance,
            num_patches=num_patches,
            dimension=dimension,
            memory_bytes=main_memory.installed_bytes(),
        )
        print(reason, flush=True)
        return dataclasses.replace(self, search=search)


DEFAULT_OPTIONS = IndexOptions()


def write_index(
    output_dir: str | os.PathLike,
    embedded: embedding.Embedded,
    options: IndexOptions = DEFAULT_OPTIONS,
    *,
    other_means: Mapping[str, np.ndarray] | None = None,
) -> pathlib.Path:
    """Writes an index of embedded patches, sorted by name.

    Args:
      output_dir: The index folder; an index there is replaced at the end.
      embedded: The patches, in any order.
      options: How the index is searched.
      other_means: For binary codes: another modality that the model embeds ->
        (D,) mean of its embeddings, so that its patches can be queries.

    Returns:
      `output_dir`.

    Raises:
      UserError: A name comes twice, an embedding is NaN or infinite, or
        chi-square with negative embeddings.
    """
    order = np.argsort(embedded.names, kind="stable")
    options = options.for_size(*embedded.embeddings.shape)
    distance, search = options.distance, options.search
    provenance = embedded.provenance
    with store.new_data_folder(output_dir) as data:
        for file_name, array, dtype in (
            (store.LABELS, embedded.labels, np.uint8),
            (store.EPSG, embedded.epsg, np.int32),
            (store.UPPER_LEFT, embedded.upper_left, np.float64),
            (store.COUNTRIES, embedded.countries, np.uint8),
            (store.SEASONS, embedded.seasons, np.uint8),
            (store.DAYS, embedded.days, np.int32),
            (store.SPLITS, embedded.split_numbers, np.uint8),
        ):
            _write_sorted(array, order, data / file_name, dtype)
        names = _write_sorted(
            embedded.names, order, data / store.NAMES, embedded.names.dtype
        )
        _check_names(names)
        smallest = np.inf

        def check(part: np.ndarray, places: slice) -> None:
            nonlocal smallest
            least, _ = embedding.check_finite(
                part,
                names[places],
                remedy="Check the model and the pixels of these patches.",
            )
            smallest = min(smallest, least)

        rows = _write_sorted(
            embedded.embeddings,
            order,
            data / store.EMBEDDINGS,
            np.float32,
            check=check,
        )
        if distance == distances.CHI_SQUARE and search == store.EXACT:
            distances.check_non_negative(smallest, what="embeddings")
        means: dict[str, np.ndarray] = {}
        if search in approximate_search.KINDS:
            file = data / store.FAISS_INDEX
            faiss_file.save(
                approximate_search.build(search, distance, rows), file
            )
        elif search == store.BINARY:
            projection, mean = binary.train(rows, num_bits=options.bits)
            means = {provenance.modality: mean}
            for other, other_mean in (other_means or {}).items():
                # A hashing head has learned where its zero is.
                means[other] = other_mean if mean.any() else mean
            np.save(data / store.PROJECTION, projection)
            np.save(data / store.MEANS, np.stack([*means.values()]))
            codes = binary.encode(rows, projection, mean)
            np.save(data / store.CODES, codes)
        manifest = store.Manifest(
            data=data.name,
            num_patches=len(names),
            dimension=rows.shape[1],
            distance=distance,
            search=search,
            num_bits=options.bits if search == store.BINARY else 0,
            query_modalities=tuple(means),
            non_negative=smallest >= 0,
            sha256=index_files.digests(data),
            **msgspec.structs.asdict(provenance),
        )
        store.commit(output_dir, manifest)
    return pathlib.Path(output_dir)


def _write_sorted(
    array: np.ndarray,
    order: np.ndarray,
    path: pathlib.Path,
    dtype: type[np.generic] | np.dtype,
    *,
    check: Callable[[np.ndarray, slice], None] | None = None,
) -> np.ndarray:
    """Writes rows in `order`, block by block; returns them memory-mapped.

    `check` is called with each block and its place.
    """
    rows = np.lib.format.open_memmap(path, "w+", dtype, array.shape)
    at_once = max(1, _BLOCK_BYTES // max(64, rows.strides[0]))
    for part in mapped.blocks(rows, rows_at_once=at_once):
        taken = mapped.take(array, order[part])
        if check is not None:
            check(taken, part)
        rows[part] = taken
    rows.flush()
    return rows


def _check_names(names: np.ndarray) -> None:
    """Refuses a name that comes twice.

    Raises:
      UserError: It does; the names are sorted.
    """
    for part in mapped.blocks(names, rows_at_once=_ROWS_AT_ONCE):
        some = names[part.start : part.stop + 1]
        repeated = some[1:][some[1:] == some[:-1]]
        if len(repeated):
            raise errors.UserError(
                f"Patch {repeated[0]} comes twice. Expected each patch once: "
                "name splits that do not overlap."
            )
