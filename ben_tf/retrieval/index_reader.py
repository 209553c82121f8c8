"""Reads the content of an index folder, and checks all that a search trusts."""

import functools
import os
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import npy
from ben_tf.retrieval import approximate_search
from ben_tf.retrieval import binary
from ben_tf.retrieval import embedding
from ben_tf.retrieval import faiss_file
from ben_tf.retrieval import index_files
from ben_tf.retrieval import mapped
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import store

_ROWS_AT_ONCE = 16_384
_ROWS_AT_ONCE_BYTES = 1 << 20  # Small enough for the processor's cache.


def read_arrays(
    path: str | os.PathLike, manifest: store.Manifest
) -> Mapping[str, np.ndarray]:
    """Opens what `embedding.Embedded` holds besides its provenance.

    Args:
      path: The index folder.
      manifest: From `store.read_manifest`.

    Returns:
      Its arrays by name, memory-mapped.

    Raises:
      UserError: A file is missing or damaged.
    """
    rows, size = manifest.num_patches, manifest.dimension
    read = functools.partial(index_files.read_array, path, manifest)
    names = read(store.NAMES, "str", rows)
    labels = read(store.LABELS, "uint8", rows, len(manifest.class_names))
    epsg = read(store.EPSG, "int32", rows)
    upper_left = read(store.UPPER_LEFT, "float64", rows, 2)
    facts = {**patch_facts.unknown(rows)}
    for name, file, dtype in (
        ("countries", store.COUNTRIES, "uint8"),
        ("seasons", store.SEASONS, "uint8"),
        ("days", store.DAYS, "int32"),
        ("split_numbers", store.SPLITS, "uint8"),
    ):
        if file in manifest.sha256:
            facts[name] = read(file, dtype, rows)
        elif name == "days":
            # Indexes of before have none; theirs stand in the names.
            facts[name] = patch_facts.days_in_names(names)
    embeddings = read(store.EMBEDDINGS, "float32", rows, size)
    for array, name, what, is_right in (
        (names, store.NAMES, "the names are no text", npy.are_characters),
        (names, store.NAMES, "the names are not sorted", _are_sorted),
        (labels, store.LABELS, "a label is not 0 or 1", _are_bits),
        (epsg, store.EPSG, "a patch is in no zone of UTM", _are_zones),
        (upper_left, store.UPPER_LEFT, "a corner is nowhere", _are_places),
        (
            facts["countries"],
            store.COUNTRIES,
            "a country is unknown",
            functools.partial(_are_numbers, len(bigearthnet.COUNTRIES)),
        ),
        (
            facts["seasons"],
            store.SEASONS,
            "a season is unknown",
            functools.partial(_are_numbers, len(bigearthnet.SEASONS)),
        ),
        (
            facts["split_numbers"],
            store.SPLITS,
            "a split is unknown",
            functools.partial(_are_numbers, len(manifest.splits)),
        ),
        (facts["days"], store.DAYS, "a day is none", patch_facts.are_days),
    ):
        if not _are_right(array, is_right):
            raise _wrong(path, manifest, name, what)
    smallest = _smallest(path, manifest, embeddings, names)
    if manifest.non_negative and smallest < 0:
        raise _wrong(path, manifest, store.EMBEDDINGS, "a value is negative")
    return {
        "names": names,
        "labels": labels,
        "embeddings": embeddings,
        "epsg": epsg,
        "upper_left": upper_left,
        **facts,
    }


def read_structure(path: str | os.PathLike, manifest: store.Manifest) -> Any:
    """Reads what the search needs besides the embeddings; None: nothing.

    Raises:
      UserError: A file is missing or damaged.
    """
    rows, size, bits = (
        manifest.num_patches,
        manifest.dimension,
        manifest.num_bits,
    )
    if manifest.search in approximate_search.KINDS:
        return faiss_file.load(
            index_files.checked_file(path, manifest, store.FAISS_INDEX),
            manifest.search,
            num_rows=rows,
            dimension=size,
        )
    if manifest.search != store.BINARY:
        return None
    modalities = manifest.query_modalities
    read = functools.partial(index_files.read_array, path, manifest)
    codes = read(store.CODES, "uint8", rows, bits // 8)
    projection = read(store.PROJECTION, "float32", size, bits)
    means = read(store.MEANS, "float32", len(modalities), size)
    for array, name in ((projection, store.PROJECTION), (means, store.MEANS)):
        if not _are_finite(array):
            raise _wrong(path, manifest, name, "a number is not finite")
    return binary.CodeSearch(
        codes, projection, dict(zip(modalities, means, strict=True))
    )


def _smallest(
    path: str | os.PathLike,
    manifest: store.Manifest,
    embeddings: np.ndarray,
    names: np.ndarray,
) -> float:
    """The smallest of all values, which are finite.

    Raises:
      UserError: Some are not.
    """
    file = index_files.path_of(path, manifest, store.EMBEDDINGS)
    step = max(1, _ROWS_AT_ONCE_BYTES // (4 * manifest.dimension))
    smallest = np.inf
    for part in mapped.blocks(embeddings, rows_at_once=step):
        least, _ = embedding.check_finite(
            embeddings[part],
            names[part],
            remedy=f"The index file {file} is damaged. {store.BUILD_AGAIN}",
        )
        smallest = min(smallest, least)
    return smallest


def _wrong(
    path: str | os.PathLike, manifest: store.Manifest, name: str, what: str
) -> errors.UserError:
    return index_files.damaged(index_files.path_of(path, manifest, name), what)


def _are_right(
    array: np.ndarray, is_right: Callable[[np.ndarray], bool]
) -> bool:
    """Asks of each block, which ends with the first row of the next one."""
    return all(
        is_right(array[part.start : part.stop + 1])
        for part in mapped.blocks(array, rows_at_once=_ROWS_AT_ONCE)
    )


def _are_sorted(names: np.ndarray) -> bool:
    return bool((names[1:] > names[:-1]).all())


def _are_bits(labels: np.ndarray) -> bool:
    return bool(labels.max() <= 1)


def _are_zones(epsg: np.ndarray) -> bool:
    first, last = bigearthnet.UTM_EPSG
    return bool(first <= epsg.min() and epsg.max() <= last)


def _are_places(upper_left: np.ndarray) -> bool:
    return bool((np.abs(upper_left) <= bigearthnet.MOST_UTM_METRES).all())


def _are_numbers(count: int, numbers: np.ndarray) -> bool:
    """Whether all are numbers of a list of `count`, or unknown."""
    return bool(((numbers < count) | (numbers == patch_facts.UNKNOWN)).all())


def _are_finite(array: np.ndarray) -> bool:
    return bool(np.isfinite(array).all())
