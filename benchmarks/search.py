"""Measures searches under filters, as the search page asks them.

    python benchmarks/search.py

Embeddings are made up: clusters behind a ReLU. Every figure is a ratio of two
times of the same run, taken in turns; the median of --rounds counts. The last
lines are `name: number`:

- filtered_vs_full: exact Euclidean search, queries per second under a filter
  that leaves 1 % of the patches / without one
- chi2_filtered_vs_full: the same with chi-square
- ann_filtered_vs_exact: HNSW / exact search, both under a filter that leaves
  --share of the patches
- ann_filtered_recall: recall@10 of that HNSW under the filter
- ivf_filtered_vs_exact, ivf_filtered_recall: the same with IVF
- few_recall: recall@10 of HNSW under a filter that leaves 1 %
"""

import tempfile
from collections.abc import Callable

import made_up_index
import numpy as np
import turns
from absl import app
from absl import flags
from absl import logging

from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import index_writer
from ben_tf.retrieval import where

_NUM_PATCHES = flags.DEFINE_integer("num_patches", 100_000, "Embeddings.")
_DIMENSION = flags.DEFINE_integer("dimension", 2048, "Of the embeddings.")
_NUM_QUERIES = flags.DEFINE_integer("num_queries", 64, "Asked at once.")
_SHARE = flags.DEFINE_float("share", 0.5, "What the larger filter leaves.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds of each comparison.")

_K = 10


def main(_: list[str]) -> None:
    """Prints the figures."""
    logging.set_verbosity(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        for name, value in measure(folder).items():
            print(f"{name}: {value:.3f}")


def measure(folder: str) -> dict[str, float]:
    """Compares searches of the same patches with and without filters."""
    generator = np.random.default_rng(0)
    made = made_up_index.Embeddings(generator, _DIMENSION.value)
    num_patches = _NUM_PATCHES.value
    embeddings, queries = made.draw(num_patches), made.draw(_NUM_QUERIES.value)
    # The first season has 1 % of the patches, the second --share of them.
    seasons = np.searchsorted(
        [0.01, 0.01 + _SHARE.value], generator.random(num_patches)
    )
    few = where.Where(seasons=("Winter",))
    many = where.Where(seasons=("Spring",))

    def open_index(distance: str, search: str) -> index_lib.Index:
        path = made_up_index.write(
            f"{folder}/{distance}_{search}",
            embeddings,
            seasons,
            index_writer.IndexOptions(distance, search),
        )
        return index_lib.Index.open(path)

    def ask(
        index: index_lib.Index, condition: where.Where
    ) -> Callable[[], np.ndarray]:
        return lambda: (
            index.search(
                queries,
                k=_K,
                fingerprint=made_up_index.FINGERPRINT,
                where=condition,
            ).rows
        )

    figures: dict[str, float] = {}
    for name, distance in (("", "euclidean"), ("chi2_", "chi_square")):
        index = open_index(distance, "flat")
        filtered, full = compare(ask(index, few), ask(index, where.EVERYWHERE))
        figures[f"{name}filtered_vs_full"] = full / filtered
    exact = open_index("euclidean", "flat")
    for name, search in (("ann", "hnsw"), ("ivf", "ivf")):
        index = open_index("euclidean", search)
        ours, theirs = compare(ask(index, many), ask(exact, many))
        figures[f"{name}_filtered_vs_exact"] = theirs / ours
        figures[f"{name}_filtered_recall"] = recall(
            ask(index, many)(), ask(exact, many)()
        )
        if search == "hnsw":
            figures["few_recall"] = recall(ask(index, few)(), ask(exact, few)())
    return figures


def recall(found: np.ndarray, expected: np.ndarray) -> float:
    """Share of the (Q, k) expected rows that were found."""
    return float(
        np.mean(
            [
                len(set(a) & set(b)) / len(b)
                for a, b in zip(found, expected, strict=True)
            ]
        )
    )


def compare(
    first: Callable[[], object], second: Callable[[], object]
) -> tuple[float, float]:
    """Median seconds of each; see `turns.compare`."""
    return turns.compare(first, second, rounds=_ROUNDS.value)


if __name__ == "__main__":
    app.run(main)
