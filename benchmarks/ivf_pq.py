"""Measures an index of more embeddings than fit into memory as they are.

    python benchmarks/ivf_pq.py
    python benchmarks/ivf_pq.py --num_patches=1000000

Embeddings are made up: clusters behind a ReLU, written to a folder that is
removed at the end (14 GB for 10,000,000 x 128, with the names and the
index). What builds, what searches and the exact search run in a process each.
The last lines are `name: number`:

- ivf_pq_recall: recall@10 of --search=ivf_pq against exact search
- ivf_pq_vs_flat: queries per second, ivf_pq / exact Euclidean search of the
  same vectors, --num_queries at once; the two take turns
- ivf_pq_peak_gib: the most that the process that builds, or the one that opens
  the index and searches, had resident at any moment (VmHWM of Linux): its own
  memory and the pages of mapped files that it had looked at
- ivf_pq_own_gib: the same without pages of files (RssAnon, sampled)
- ivf_pq_build_minutes, ivf_pq_file_gib, ivf_pq_open_seconds: of the index
- ivf_pq_build_peak_gib, ivf_pq_search_peak_gib: of each process alone
- ivf_pq_queries_per_second, flat_queries_per_second: for orientation
"""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import app
from absl import flags
from absl import logging

_NUM_PATCHES = flags.DEFINE_integer("num_patches", 10_000_000, "Embeddings.")
_DIMENSION = flags.DEFINE_integer("dimension", 128, "Of the embeddings.")
_NUM_QUERIES = flags.DEFINE_integer("num_queries", 64, "Asked at once.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds of each search.")
_FOLDER = flags.DEFINE_string(
    "folder",
    tempfile.gettempdir(),
    "Where to make the folder; by default that of TMPDIR.",
)
_ROLE = flags.DEFINE_enum(
    "role",
    "",
    ["", "build", "ivf_pq", "flat"],
    "What a process of its own does.",
)

_K = 10
_NUM_CLUSTERS = 1000
_ROWS_AT_ONCE = 100_000
_FINGERPRINT = "made up"
# As long as those of BigEarthNet.
_NAME = "S2A_MSIL2A_20170613T101031_{:04d}_{:04d}"
# A prime, so that names come in another order than the embeddings.
_STEP = 7919
_GIB = 2**30


def main(_: list[str]) -> None:
    """Prints the figures."""
    logging.set_verbosity(logging.ERROR)
    if _ROLE.value:
        roles = {"build": _build, "ivf_pq": _search, "flat": _search}
        roles[_ROLE.value](pathlib.Path(_FOLDER.value))
        return
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ivf_pq_", dir=_FOLDER.value))
    try:
        for name, value in measure(folder).items():
            print(f"{name}: {value:.3f}", flush=True)
    finally:
        shutil.rmtree(folder)


def measure(folder: pathlib.Path) -> dict[str, float]:
    """Builds the index, then asks it and the exact search in turns."""
    _write_embeddings(folder)
    with _start("build", folder) as process:
        built = _told(process)
    for name in ("embeddings.npy", "names.npy"):
        (folder / name).unlink()
    print(f"built: {built}", flush=True)
    with _start("ivf_pq", folder) as ours, _start("flat", folder) as flat:
        opened, _ = _told(ours), _told(flat)
        print(f"opened: {opened}", flush=True)
        seconds: list[float] = []
        flat_seconds: list[float] = []
        for turn in range(_ROUNDS.value + 1):
            pair = [(ours, seconds), (flat, flat_seconds)]
            for process, times in pair[:: -1 if turn % 2 else 1]:
                print("ask", file=process.stdin, flush=True)
                # The first round is a warm-up.
                found = _told(process)
                times.extend([found["seconds"]] if turn else [])
        for process in (ours, flat):
            print("rows", file=process.stdin, flush=True)
        asked, exact = _told(ours), _told(flat)
    processes = (built, asked)
    return {
        "ivf_pq_recall": _recall(asked["rows"], exact["rows"]),
        "ivf_pq_vs_flat": statistics.median(flat_seconds)
        / statistics.median(seconds),
        "ivf_pq_peak_gib": max(x["peak"] for x in processes) / _GIB,
        "ivf_pq_own_gib": max(x["own"] for x in processes) / _GIB,
        "ivf_pq_build_minutes": built["seconds"] / 60,
        "ivf_pq_build_peak_gib": built["peak"] / _GIB,
        "ivf_pq_search_peak_gib": asked["peak"] / _GIB,
        "ivf_pq_file_gib": built["file"] / _GIB,
        "ivf_pq_open_seconds": opened["seconds"],
        "ivf_pq_queries_per_second": _NUM_QUERIES.value
        / statistics.median(seconds),
        "flat_queries_per_second": _NUM_QUERIES.value
        / statistics.median(flat_seconds),
    }


def _draw(count: int, seed: int) -> np.ndarray:
    """(count, D) float32; rows of other seeds lie in the same clusters."""
    size = _DIMENSION.value
    centres = np.random.default_rng(0).standard_normal(
        (_NUM_CLUSTERS, size), np.float32
    )
    generator = np.random.default_rng([1, seed])
    rows = 0.5 * generator.standard_normal((count, size), np.float32)
    rows += centres[generator.integers(0, _NUM_CLUSTERS, count)]
    return np.maximum(rows, 0, out=rows)


def _write_embeddings(folder: pathlib.Path) -> None:
    """Streams embeddings and names to files, as embedding a split does."""
    start = time.perf_counter()
    num = _NUM_PATCHES.value
    embeddings = np.lib.format.open_memmap(
        folder / "embeddings.npy", "w+", np.float32, (num, _DIMENSION.value)
    )
    names = np.lib.format.open_memmap(
        folder / "names.npy", "w+", f"<U{len(_NAME.format(0, 0))}", (num,)
    )
    for begin in range(0, num, _ROWS_AT_ONCE):
        end = min(num, begin + _ROWS_AT_ONCE)
        embeddings[begin:end] = _draw(end - begin, begin)
        names[begin:end] = [
            _NAME.format(*divmod(row * _STEP % num, 10_000))
            for row in range(begin, end)
        ]
    embeddings.flush(), names.flush()
    print(f"written in {time.perf_counter() - start:.0f} s", flush=True)


def _start(role: str, folder: pathlib.Path) -> subprocess.Popen[str]:
    """Starts a process with a role; it tells a line of JSON at a time."""
    values = (_NUM_PATCHES, _DIMENSION, _NUM_QUERIES)
    return subprocess.Popen(
        [
            sys.executable,
            __file__,
            f"--role={role}",
            f"--folder={folder}",
            *(f"--{flag.name}={flag.value}" for flag in values),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Threads that wait for each other leave the cores to other processes.
        env={**os.environ, "OMP_WAIT_POLICY": "passive"},
    )


def _told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line of a process."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"A process ended with {process.wait()}.")
    return json.loads(line)


def _tell(**values: float | list[list[int]]) -> None:
    print(json.dumps(values), flush=True)


def _build(folder: pathlib.Path) -> None:
    """Writes an index of the embeddings, which stay on the disk."""
    from ben_tf import bigearthnet
    from ben_tf.retrieval import embedding
    from ben_tf.retrieval import index_writer
    from ben_tf.retrieval import patch_facts

    memory = _Memory()
    num = _NUM_PATCHES.value
    start = time.perf_counter()
    embedded = embedding.Embedded(
        names=np.load(folder / "names.npy", mmap_mode="r"),
        labels=np.zeros((num, 19), np.uint8),
        embeddings=np.load(folder / "embeddings.npy", mmap_mode="r"),
        epsg=np.full(num, 32633, np.int32),
        upper_left=np.zeros((num, 2)),
        provenance=embedding.Provenance(
            modality="MM",
            splits=("test",),
            class_names=bigearthnet.CLASSES_19,
            fingerprint=_FINGERPRINT,
            saved_model="made up",
            synthetic=True,
        ),
        **patch_facts.unknown(num),
    )
    index_writer.write_index(
        folder / "index",
        embedded,
        index_writer.IndexOptions("euclidean", "ivf_pq"),
    )
    (file,) = (folder / "index").glob("data-*/faiss.index")
    _tell(
        seconds=time.perf_counter() - start,
        file=file.stat().st_size,
        **memory.most(),
    )


def _search(folder: pathlib.Path) -> None:
    """Opens the index, says so, and answers on each line of standard input."""
    memory = _Memory()
    start = time.perf_counter()
    search = {"ivf_pq": _open_index, "flat": _open_flat}[_ROLE.value](folder)
    queries = _draw(_NUM_QUERIES.value, _NUM_PATCHES.value)
    _tell(seconds=time.perf_counter() - start, **memory.most())
    rows = np.zeros((0, 0), np.int64)
    for line in sys.stdin:
        if line.strip() == "ask":
            start = time.perf_counter()
            rows = search(queries)
            _tell(seconds=time.perf_counter() - start)
        else:
            _tell(rows=rows.tolist(), **memory.most())


def _open_index(folder: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    from ben_tf.retrieval import index as index_lib

    index = index_lib.Index.open(folder / "index")
    return lambda queries: (
        index.search(queries, k=_K, fingerprint=_FINGERPRINT).rows
    )


def _open_flat(folder: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    from ben_tf.retrieval import exact_search

    (file,) = (folder / "index").glob("data-*/embeddings.npy")
    embeddings = np.load(file, mmap_mode="r")
    return lambda queries: exact_search.nearest(
        "euclidean", queries, embeddings, k=_K
    )[1]


def _recall(found: list[list[int]], expected: list[list[int]]) -> float:
    pairs = zip(found, expected, strict=True)
    return statistics.mean(len({*a} & {*b}) / len(b) for a, b in pairs)


class _Memory:
    """What this process has resident, from its start on."""

    def __init__(self) -> None:
        self._own = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def most(self) -> dict[str, int]:
        """The most so far, in bytes: with pages of files, and without."""
        self._look()
        return {"peak": _status("VmHWM"), "own": self._own}

    def _watch(self) -> None:
        while True:
            self._look()
            time.sleep(0.02)

    def _look(self) -> None:
        self._own = max(self._own, _status("RssAnon"))


def _status(name: str) -> int:
    """A number of /proc/self/status, in bytes."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise ValueError(f"/proc/self/status has no {name}: Linux has it")


if __name__ == "__main__":
    app.run(main)
