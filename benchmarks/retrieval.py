"""Measures retrieval against NumPy and bare FAISS.

    python benchmarks/retrieval.py
    python benchmarks/retrieval.py --metadata=metadata.parquet

The second form runs the full evaluation instead, with the real labels of
BigEarthNet v2.0: 122,342 validation queries against 119,825 test patches.

Embeddings are made up: clusters behind a ReLU. Every figure is a ratio of two
times of the same run, taken in turns; the median of --rounds counts. The last
lines are `name: number`:

- chi2_vs_numpy: queries per second, ours / NumPy (blocked, in place)
- flat_vs_faiss: time, ours / bare FAISS IndexFlatL2: 1 is equal, less better
- ann_vs_flat: queries per second, HNSW / flat, 10 hits each
- ann_recall: recall@10 of that HNSW
- binary_vs_flat: queries per second, 64-bit codes / flat
- serving_vs_faiss: queries per second, serving model / FAISS, batches of 32
"""

import pathlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable

import msgspec
import numpy as np
import turns
from absl import app
from absl import flags
from absl import logging

_NUM_PATCHES = flags.DEFINE_integer("num_patches", 100_000, "Embeddings.")
_DIMENSION = flags.DEFINE_integer("dimension", 2048, "Of the embeddings.")
_K = flags.DEFINE_integer("k", 100, "Number of hits.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds of each comparison.")
_METADATA = flags.DEFINE_string(
    "metadata", None, "metadata.parquet of BigEarthNet v2.0."
)
_MAX_QUERIES = flags.DEFINE_integer(
    "max_queries", None, "Queries of the full evaluation; all by default."
)
_DISTANCE = flags.DEFINE_string(
    "distance", "chi_square", "Distance of the full evaluation."
)

_NUM_CLUSTERS = 1000


def main(_: list[str]) -> None:
    """Prints the figures."""
    logging.set_verbosity(logging.ERROR)
    if _METADATA.value:
        evaluate_all(_METADATA.value, _DISTANCE.value)
        return
    for name, value in measure_search().items():
        print(f"{name}: {value:.3f}")


def measure_search() -> dict[str, float]:
    """Compares the searches."""
    generator = np.random.default_rng(0)
    size = _DIMENSION.value
    centres = generator.standard_normal((_NUM_CLUSTERS, size), np.float32)

    def draw(count: int) -> np.ndarray:
        rows = 0.5 * generator.standard_normal((count, size), np.float32)
        rows += centres[generator.integers(0, _NUM_CLUSTERS, count)]
        return np.maximum(rows, 0, out=rows)

    embeddings, queries = draw(_NUM_PATCHES.value), draw(1024)
    return {
        **measure_chi_square(embeddings, queries),
        **measure_flat(embeddings, queries[:256]),
        **measure_graph(embeddings, queries),
        **measure_codes(embeddings, queries),
        **measure_serving(embeddings, queries[:32]),
    }


def measure_chi_square(
    embeddings: np.ndarray, queries: np.ndarray
) -> dict[str, float]:
    """XLA against NumPy."""
    from ben_tf.retrieval import exact_search

    few, batch = queries[:2], queries[:32]
    ours, numpys = compare(
        lambda: exact_search.nearest(
            "chi_square", batch, embeddings, k=_K.value
        ),
        lambda: numpy_chi_square(few, embeddings, _K.value),
    )
    return {"chi2_vs_numpy": (numpys / len(few)) / (ours / len(batch))}


def measure_flat(
    embeddings: np.ndarray, queries: np.ndarray
) -> dict[str, float]:
    """Exact Euclidean search against FAISS."""
    import faiss

    from ben_tf.retrieval import exact_search

    flat = faiss.IndexFlatL2(embeddings.shape[1])
    flat.add(embeddings)
    ours, bare = compare(
        lambda: exact_search.nearest(
            "euclidean", queries, embeddings, k=_K.value
        ),
        lambda: flat.search(queries, _K.value),
    )
    return {"flat_vs_faiss": ours / bare}


def measure_graph(
    embeddings: np.ndarray, queries: np.ndarray
) -> dict[str, float]:
    """HNSW against exact search, 10 hits each."""
    from ben_tf.retrieval import approximate_search
    from ben_tf.retrieval import exact_search

    start = time.perf_counter()
    graph = approximate_search.build("hnsw", "euclidean", embeddings)
    print(f"HNSW built in {time.perf_counter() - start:.0f} s")

    def ours() -> tuple[np.ndarray, np.ndarray]:
        return approximate_search.nearest(
            graph, "euclidean", queries, embeddings, k=10
        )

    def flat() -> tuple[np.ndarray, np.ndarray]:
        return exact_search.nearest("euclidean", queries, embeddings, k=10)

    seconds, flat_seconds = compare(ours, flat)
    pairs = zip(flat()[1], ours()[1], strict=True)
    recall = np.mean([np.isin(a, b).mean() for a, b in pairs])
    return {"ann_vs_flat": flat_seconds / seconds, "ann_recall": recall}


def measure_codes(
    embeddings: np.ndarray, queries: np.ndarray
) -> dict[str, float]:
    """64-bit codes against exact search."""
    from ben_tf.retrieval import binary
    from ben_tf.retrieval import exact_search

    projection, mean = binary.train(embeddings, num_bits=64)
    codes = binary.CodeSearch(
        binary.encode(embeddings, projection, mean), projection, {"MM": mean}
    )
    ours, flat = compare(
        lambda: codes.nearest(queries, k=_K.value, modality="MM"),
        lambda: exact_search.nearest(
            "euclidean", queries, embeddings, k=_K.value
        ),
    )
    return {"binary_vs_flat": flat / ours}


def measure_serving(
    embeddings: np.ndarray, batch: np.ndarray
) -> dict[str, float]:
    """The search of the serving model against FAISS."""
    import faiss
    import tensorflow as tf

    from ben_tf.retrieval import serving

    flat = faiss.IndexFlatL2(embeddings.shape[1])
    flat.add(embeddings)
    names = np.char.mod("patch_%07d", np.arange(len(embeddings)))
    retriever = serving.Retriever(embeddings, names, distance="euclidean")
    tensors = tf.constant(batch), tf.constant(_K.value)
    ours, bare = compare(
        lambda: retriever.search(*tensors)["names"].numpy(),
        lambda: flat.search(batch, _K.value),
    )
    return {"serving_vs_faiss": bare / ours}


def evaluate_all(metadata: str, distance: str) -> None:
    """Scores all validation queries against the whole test archive."""
    from pyarrow import parquet

    from ben_tf import bigearthnet
    from ben_tf.retrieval import embedding
    from ben_tf.retrieval import index_evaluation
    from ben_tf.retrieval import index_writer
    from ben_tf.retrieval import patch_facts

    table = parquet.read_table(
        metadata, columns=["patch_id", "labels", "split"]
    )
    column = {name: i for i, name in enumerate(bigearthnet.CLASSES_19)}
    generator = np.random.default_rng(0)
    signature = generator.random((19, 128), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for split in ("validation", "test"):
            part = table.filter(table["split"].to_numpy() == split)
            if split == "validation" and _MAX_QUERIES.value:
                part = part.slice(0, _MAX_QUERIES.value)
            labels = np.zeros((len(part), 19), np.uint8)
            for row, names in enumerate(part["labels"].to_pylist()):
                labels[row, [column[name] for name in names]] = 1
            noise = generator.random((len(part), 128), np.float32)
            embedded = embedding.Embedded(
                names=np.array(part["patch_id"].to_pylist()),
                labels=labels,
                embeddings=labels.astype(np.float32) @ signature + 2 * noise,
                epsg=np.full(len(part), 32633),
                upper_left=np.zeros((len(part), 2)),
                **patch_facts.unknown(len(part)),
                provenance=embedding.Provenance(
                    modality="MM",
                    splits=(split,),
                    class_names=bigearthnet.CLASSES_19,
                    fingerprint="made up",
                    saved_model="made up",
                    synthetic=True,
                ),
            )
            index_writer.write_index(
                pathlib.Path(folder, split),
                embedded,
                index_writer.IndexOptions(distance),
            )
        start = time.perf_counter()
        result = index_evaluation.evaluate(
            archive=pathlib.Path(folder, "test"),
            queries=pathlib.Path(folder, "validation"),
            ks=tuple(range(1, 101)),
        )
        seconds = time.perf_counter() - start
    shown = msgspec.structs.replace(result, ks=(1, 10, 100))
    print(index_evaluation.format_table(shown))
    # Kibibytes on Linux.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"evaluation_minutes: {seconds / 60:.2f}")
    print(f"evaluation_peak_gib: {peak:.2f}")


def numpy_chi_square(
    queries: np.ndarray, embeddings: np.ndarray, k: int
) -> np.ndarray:
    """A careful NumPy version: blocked, in place, one pass a query."""
    found = np.empty((len(queries), len(embeddings)), np.float32)
    for start in range(0, len(embeddings), 1000):
        block = embeddings[start : start + 1000]
        for row, query in enumerate(queries):
            total = block + query
            difference = block - query
            difference *= difference
            np.divide(difference, total, out=difference, where=total > 0)
            found[row, start : start + 1000] = difference.sum(axis=1)
    return np.argpartition(found, k, axis=1)[:, :k]


def compare(
    first: Callable[[], object], second: Callable[[], object]
) -> tuple[float, float]:
    """Median seconds of each; see `turns.compare`."""
    return turns.compare(first, second, rounds=_ROUNDS.value)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
    app.run(main)
