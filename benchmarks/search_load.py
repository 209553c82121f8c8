"""Loads a search server, with hostile clients among the others.

    python benchmarks/search_load.py
    python benchmarks/search_load.py --index=index --data_dir=data

Without --index it makes one up, of --num_rows embeddings of --dim numbers.
Starts `python -m ben_tf.retrieval serve` as a process of its own. For --seconds
two thirds of --clients query it by name, with and without filters, one request
after the other, and compare each answer with that of the library. The others
cut connections in the middle of a body, announce a body of 1 GB, send more than
they announced, random bytes as GeoTIFFs, names that lead out of a folder,
requests that are none, and heads and bodies a byte at a time. Ends with one
line a figure, `name: number`. These must be 0:

  wrong        answers that differ from the library's
  failed       queries with an error other than 503, or without an answer
  accepted     hostile requests that were answered as if they were not, with an
               error of the server, or with a file of its machine
  held         slow senders that the server did not end
  tracebacks   in what the server printed
  left         files that it left in its temporary folder

and these tell how the server fares:

  answers      to queries, each of which is compared
  busy         queries that the server refused for now: 503
  hostile      requests of the hostile clients
  p50_ms, p99_ms  from a query to its answer, under that load
  mb_start, mb_end  memory of the server, without the files that it maps: after
               --warm_up seconds of that load, and at its end
  files_start, files_end, threads_start, threads_end  likewise: what is open
  mb_per_minute  how that memory grew in between: the slope of a line through it
  calm_p50_ms, calm_p99_ms  without hostile clients and without filters, 32
               clients at a time
  served_of_library  of these, queries per second / those of the library, 32 in
               a call; median of rounds taken in turns. Clients, server and
               network take their part of the same machine, so the larger the
               index, the nearer it comes to 1.
"""

import concurrent.futures
import contextlib
import itertools
import json
import multiprocessing
import pathlib
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import made_up_index
import numpy as np
import search_load_attacks as attacks
import search_load_clients as clients
import search_load_server as servers
from absl import app
from absl import flags
from absl import logging

from ben_tf import bigearthnet
from ben_tf.retrieval import answer_formats
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import query as query_lib
from ben_tf.retrieval import where as where_lib

_INDEX = flags.DEFINE_string("index", None, "Index folder; or make one up.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Its dataset; that of its model by default."
)
_NUM_ROWS = flags.DEFINE_integer("num_rows", 100_000, "Made-up embeddings.")
_DIM = flags.DEFINE_integer("dim", 2048, "Of these.")
_CLIENTS = flags.DEFINE_integer("clients", 64, "At a time.", lower_bound=3)
_SECONDS = flags.DEFINE_float("seconds", 60, "Of load.")
_WARM_UP = flags.DEFINE_float("warm_up", 60, "Seconds of load before that.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Of the comparison at the end.")
_K = flags.DEFINE_integer("k", 10, "Number of hits.")
_SEED = flags.DEFINE_integer("seed", 0, "Of what is random.")

_MOST_NAMES = 200
_NAMES_OF_A_FILTER = 10
_CALM_CLIENTS = 32
_CALM_SECONDS = 10.0
_STATE_EVERY_S = 10.0
_MUST_BE_0 = ("wrong", "failed", "accepted", "held", "tracebacks", "left")
_COUNTED = ("answers", "busy", "hostile")


def main(_: list[str]) -> None:
    """Prints the figures."""
    logging.set_verbosity(logging.ERROR)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory())
        )
        path, data_dir = _INDEX.value, _DATA_DIR.value
        if path is None:
            path, data_dir = _make_up(folder)
        counts = clients.Counts()
        figures = _measure(path, data_dir, folder, counts)
    for name, example in counts.examples.items():
        print(f"{name}, for example: {example}")
    for name in (*_MUST_BE_0, *_COUNTED):
        print(f"{name}: {counts.numbers[name]}")
    for name, value in figures.items():
        print(f"{name}: {value:.3f}")


def _measure(
    path: str,
    data_dir: str | None,
    folder: pathlib.Path,
    counts: clients.Counts,
) -> dict[str, float]:
    index = index_lib.Index.open(path)
    rng = random.Random(_SEED.value)
    cases = _make_cases(index, rng, with_filters=True)
    plain = _make_cases(index, rng, with_filters=False)
    scratch = folder / "scratch"
    scratch.mkdir()
    with (
        _querying_process() as ask,
        servers.run(path, data_dir, scratch, counts) as server,
    ):
        # Loads the model.
        attacks.send_noise(server.address, rng)
        _load(server, ask, cases, counts, _WARM_UP.value)
        with server.watched(_STATE_EVERY_S) as states:
            loaded = _load(server, ask, cases, counts, _SECONDS.value)
        figures = {**_times(loaded), **_growth(states)}
        calm = []
        ratios = []
        for _ in range(_ROUNDS.value):
            calm.append(
                ask(
                    server.address,
                    plain,
                    num_clients=_CALM_CLIENTS,
                    seconds=_CALM_SECONDS,
                )
            )
            counts.merge(calm[-1])
            ratios.append(calm[-1].rate / _library_rate(index))
    for name, value in _times(*calm).items():
        figures[f"calm_{name}"] = value
    figures["calm_rate"] = statistics.median(tally.rate for tally in calm)
    figures["served_of_library"] = statistics.median(ratios)
    return figures


def _times(*tallies: clients.Tally) -> dict[str, float]:
    seconds = [x for tally in tallies for x in tally.seconds]
    return {
        f"p{percent}_ms": 1000 * float(np.percentile(seconds, percent))
        for percent in (50, 99)
        if seconds
    }


def _growth(states: Sequence[servers.State]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for when, state in (("start", states[0]), ("end", states[-1])):
        for name, value in state._asdict().items():
            figures[f"{name}_{when}"] = value
    minutes = np.arange(len(states)) * _STATE_EVERY_S / 60
    slope = np.polyfit(minutes, [state.mb for state in states], 1)[0]
    return {**figures, "mb_per_minute": float(slope)}


# --- What is served ----------------------------------------------------------


def _make_up(folder: pathlib.Path) -> tuple[str, str]:
    """Writes an index, and a dataset and a model that it can be served with.

    The model has not learned anything, and has not made the embeddings: patches
    that are sent are read and embedded, and cannot be searched for.
    """
    from ben_tf import models
    from ben_tf import saved_model
    from tfrecords_builder import dataset
    from tfrecords_builder import sample_writer

    sample_writer.write_sample_archive(folder / "archive", num_pairs=48)
    dataset.build(
        archive_dir=folder / "archive", data_dir=folder / "data", num_workers=1
    )
    saved_model.save(
        models.make_model("small_cnn"),
        folder / "saved_model",
        preprocessing=models.preprocessing_of("small_cnn"),
        name="small_cnn",
        trained_on_synthetic=True,
    )
    generator = np.random.default_rng(_SEED.value)
    num = _NUM_ROWS.value
    path = made_up_index.write(
        folder / "index",
        made_up_index.Embeddings(generator, _DIM.value).draw(num),
        generator.integers(0, len(bigearthnet.SEASONS), num),
        made_up_index.EXACT,
        labels=(generator.random((num, 19)) < 0.15).astype(np.uint8),
        fingerprint=saved_model.load(folder / "saved_model").fingerprint,
        saved_model=str(folder / "saved_model"),
    )
    return str(path), str(folder / "data")


def _make_cases(
    index: index_lib.Index, rng: random.Random, *, with_filters: bool
) -> list[clients.Case]:
    names = [str(name) for name in index.names]
    names = rng.sample(names, min(len(names), _MOST_NAMES))
    cases = []
    for start in range(0, len(names), _NAMES_OF_A_FILTER):
        part = names[start : start + _NAMES_OF_A_FILTER]
        conditions: dict[str, Any] = rng.choice(
            [
                {},
                {"seasons": rng.sample(bigearthnet.SEASONS, 2)},
                {"labels_none": [rng.choice(index.manifest.class_names)]},
            ]
            if with_filters
            else [{}]
        )
        answer = query_lib.query(
            index,
            names=part,
            k=_K.value,
            where=where_lib.Where(**conditions),
        )
        expected = json.loads(answer_formats.write(answer, "json"))["answers"]
        for name, one in zip(part, expected, strict=True):
            body = {"positives": [name], "where": conditions, "k": _K.value}
            cases.append(clients.Case(json.dumps(body).encode(), one))
    rng.shuffle(cases)
    return cases


# --- Load --------------------------------------------------------------------


@contextlib.contextmanager
def _querying_process() -> Iterator[Callable[..., clients.Tally]]:
    """`clients.query`, called in a process of its own."""
    with concurrent.futures.ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn")
    ) as pool:
        yield lambda *args, **options: pool.submit(
            clients.query, *args, **options
        ).result()


def _load(
    server: servers.Server,
    ask: Callable[..., clients.Tally],
    cases: Sequence[clients.Case],
    counts: clients.Counts,
    seconds: float,
) -> clients.Tally:
    """Runs clients of both kinds, each one step after the other."""
    end = time.monotonic() + seconds
    num_hostile = _CLIENTS.value // 3

    def run(step: Callable[[], None]) -> None:
        while time.monotonic() < end:
            step()

    threads = [
        threading.Thread(
            target=run, args=(attacks.attacking(server.address, counts, n),)
        )
        for n in range(num_hostile)
    ]
    for thread in threads:
        thread.start()
    tally = ask(
        server.address,
        cases,
        num_clients=_CLIENTS.value - num_hostile,
        seconds=seconds,
    )
    for thread in threads:
        thread.join()
    counts.merge(tally)
    return tally


def _library_rate(index: index_lib.Index) -> float:
    """Queries per second of the library, many in a call."""
    names = itertools.cycle(str(name) for name in index.names)
    num_queries = 0
    start = time.perf_counter()
    while time.perf_counter() < start + _CALM_SECONDS:
        query_lib.query(
            index,
            names=list(itertools.islice(names, _CALM_CLIENTS)),
            k=_K.value,
        )
        num_queries += _CALM_CLIENTS
    return num_queries / (time.perf_counter() - start)


if __name__ == "__main__":
    app.run(main)
