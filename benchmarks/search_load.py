"""Loads a search server, with hostile clients among the others.

    python benchmarks/search_load.py --index=index --data_dir=data

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
  rss_start_mb, rss_end_mb, files_start, files_end  memory and open files of the
               server, before the load, once everything is loaded, and after it
  served_of_library  queries per second, the server / the library, without the
               hostile clients: as many clients as queries in a batch of the
               library. Clients, server and network take their part of the same
               machine, so the larger the index, the nearer it comes to 1.
"""

import collections
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
import psutil
from absl import app
from absl import flags

from ben_tf import bigearthnet
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import query as query_lib
from ben_tf.retrieval import where as where_lib

_INDEX = flags.DEFINE_string("index", None, "Index folder.", required=True)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Its dataset; that of its model by default."
)
_CLIENTS = flags.DEFINE_integer("clients", 64, "At a time.", lower_bound=3)
_SECONDS = flags.DEFINE_float("seconds", 60, "Of load.")
_K = flags.DEFINE_integer("k", 10, "Number of hits.")
_SEED = flags.DEFINE_integer("seed", 0, "Of what is random.")

_MOST_NAMES = 200
_CALM_SECONDS = 10.0
# The server gives a head 10 s and a body 30 s; a busy machine is slower.
_ENDED_WITHIN_S = 60.0
_TIMEOUT_S = 90.0
_LEFT_BY_TENSORFLOW = "__autograph_generated_file"
_MUST_BE_0 = ("wrong", "failed", "accepted", "held", "tracebacks", "left")
_COUNTED = ("answers", "busy", "hostile")


class _Address(NamedTuple):
    host: str
    port: int


class _Case(NamedTuple):
    """A query: the body of the request, and what the library answers."""

    body: bytes
    names: list[str]
    distances: list[float]


class _Counts:
    """Numbers and times, of many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.numbers: collections.Counter[str] = collections.Counter()
        self.seconds: list[float] = []
        self.examples: dict[str, str] = {}

    def add(self, name: str, example: object = "") -> None:
        with self._lock:
            self.numbers[name] += 1
            if example:
                self.examples.setdefault(name, str(example)[:300])

    def took(self, seconds: float) -> None:
        with self._lock:
            self.seconds.append(seconds)


def main(_: list[str]) -> None:
    """Prints the figures."""
    index = index_lib.Index.open(_INDEX.value)
    rng = random.Random(_SEED.value)
    cases = _make_cases(index, rng)
    num_hostile = _CLIENTS.value // 3
    num_honest = _CLIENTS.value - num_hostile
    counts = _Counts()
    with tempfile.TemporaryDirectory() as scratch:
        process, address = _start(pathlib.Path(scratch))
        try:
            # Opens what is opened at the first request of its kind.
            _ask_once(address, cases[0], _Counts())
            _send_noise(address, rng)
            server = psutil.Process(process.pid)
            figures = dict(_state(server, "start"))
            _load(
                [
                    _querying(address, cases, counts, n)
                    for n in range(num_honest)
                ]
                + [_attacking(address, counts, n) for n in range(num_hostile)],
                _SECONDS.value,
            )
            figures |= _state(server, "end")
            calm = _Counts()
            _load(
                [_querying(address, cases, calm, n) for n in range(num_honest)],
                _CALM_SECONDS,
            )
        finally:
            process.send_signal(signal.SIGTERM)
            _, printed = process.communicate(timeout=60)
        for path in pathlib.Path(scratch).rglob("*"):
            if not path.name.startswith(_LEFT_BY_TENSORFLOW):
                counts.add("left", path)
    counts.numbers["tracebacks"] = printed.count("Traceback")
    if printed:
        counts.examples["printed"] = printed[-2000:]
    for name in ("wrong", "failed"):
        counts.numbers[name] += calm.numbers[name]
    for name, example in (calm.examples | counts.examples).items():
        print(f"{name}, for example: {example}")
    for name in (*_MUST_BE_0, *_COUNTED):
        print(f"{name}: {counts.numbers[name]}")
    for percent in (50, 99):
        milliseconds = 1000 * np.percentile(counts.seconds, percent)
        print(f"p{percent}_ms: {milliseconds:.1f}")
    for name, value in figures.items():
        print(f"{name}: {value:.0f}")
    served = calm.numbers["answers"] / _CALM_SECONDS
    library = _library_rate(index, num_honest)
    print(f"served_of_library: {served / library:.3f}")


# --- The server ------------------------------------------------------------


def _start(scratch: pathlib.Path) -> tuple[subprocess.Popen, _Address]:
    command = [sys.executable, "-m", "ben_tf.retrieval", "serve", "--port=0"]
    command.append(f"--index={_INDEX.value}")
    if _DATA_DIR.value:
        command.append(f"--data_dir={_DATA_DIR.value}")
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "TMPDIR": os.fspath(scratch),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
    )
    assert process.stdout is not None
    for line in process.stdout:
        if match := re.search(r"http://([\d.]+):(\d+)/", line):
            return process, _Address(match[1], int(match[2]))
    raise SystemExit(f"The server did not start: {process.communicate()[1]}")


def _state(server: psutil.Process, when: str) -> dict[str, float]:
    return {
        f"rss_{when}_mb": server.memory_info().rss / 1e6,
        f"files_{when}": server.num_fds(),
    }


def _load(clients: Sequence[Callable[[], None]], seconds: float) -> None:
    """Runs clients, each one step after the other, for some time."""
    end = time.monotonic() + seconds

    def run(step: Callable[[], None]) -> None:
        while time.monotonic() < end:
            step()

    threads = [threading.Thread(target=run, args=(x,)) for x in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- Clients that query ----------------------------------------------------


def _make_cases(index: index_lib.Index, rng: random.Random) -> list[_Case]:
    names = [str(name) for name in index.names]
    cases = []
    for name in rng.sample(names, min(len(names), _MOST_NAMES)):
        conditions: dict[str, Any] = rng.choice(
            [
                {},
                {"seasons": rng.sample(bigearthnet.SEASONS, 2)},
                {"labels_none": [rng.choice(index.manifest.class_names)]},
            ]
        )
        answer = query_lib.query(
            index,
            names=[name],
            k=_K.value,
            where=where_lib.Where(**conditions),
        )
        cases.append(
            _Case(
                json.dumps(
                    {"positives": [name], "where": conditions, "k": _K.value}
                ).encode(),
                [hit.name for hit in answer.hits],
                [hit.distance for hit in answer.hits],
            )
        )
    return cases


def _querying(
    address: _Address, cases: Sequence[_Case], counts: _Counts, number: int
) -> Callable[[], None]:
    order = itertools.cycle(random.Random(number).sample(cases, len(cases)))
    connection = http.client.HTTPConnection(*address, timeout=_TIMEOUT_S)

    def step() -> None:
        _ask_once(address, next(order), counts, connection)

    return step


def _ask_once(
    address: _Address,
    case: _Case,
    counts: _Counts,
    connection: http.client.HTTPConnection | None = None,
) -> None:
    connection = connection or http.client.HTTPConnection(
        *address, timeout=_TIMEOUT_S
    )
    start = time.perf_counter()
    try:
        connection.request(
            "POST",
            "/api/v1/query",
            case.body,
            {"content-type": "application/json"},
        )
        response = connection.getresponse()
        data = response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        counts.add("failed", repr(error))
        return
    if response.status == 503:
        counts.add("busy")
        return
    if response.status != 200:
        counts.add("failed", f"{response.status} {data[:200]!r}")
        return
    counts.took(time.perf_counter() - start)
    counts.add("answers")
    hits = json.loads(data)["answers"][0]["hits"]
    if [hit["name"] for hit in hits] != case.names or not np.allclose(
        [hit["distance"] for hit in hits], case.distances, rtol=1e-4, atol=1e-5
    ):
        counts.add("wrong", case.body)


def _library_rate(index: index_lib.Index, batch_size: int) -> float:
    """Queries per second of the library, many in a call."""
    names = itertools.cycle(str(name) for name in index.names)
    num_queries = 0
    start = time.perf_counter()
    while time.perf_counter() < start + _CALM_SECONDS:
        query_lib.query(
            index,
            names=list(itertools.islice(names, batch_size)),
            k=_K.value,
        )
        num_queries += batch_size
    return num_queries / (time.perf_counter() - start)


# --- Hostile clients -------------------------------------------------------


def _attacking(
    address: _Address, counts: _Counts, number: int
) -> Callable[[], None]:
    rng = random.Random(1000 + number)
    attacks = itertools.cycle(rng.sample(_ATTACKS, len(_ATTACKS)))

    def step() -> None:
        counts.add("hostile")
        attack = next(attacks)
        try:
            answer = attack(address, rng)
        except TimeoutError:
            counts.add("held", attack.__name__)
        except OSError:
            # The server has closed the connection, as it may.
            pass
        else:
            if answer and (
                not re.match(rb"HTTP/1\.1 (4\d\d|503) ", answer)
                or b"root:" in answer
            ):
                counts.add("accepted", f"{attack.__name__}: {answer!r}")

    return step


def _connect(address: _Address) -> socket.socket:
    return socket.create_connection(address, timeout=_ENDED_WITHIN_S)


def _head(
    address: _Address, target: str, *more: str, method: str = "POST"
) -> bytes:
    lines = [
        f"{method} {target} HTTP/1.1",
        f"host: {address.host}:{address.port}",
        "connection: close",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _exchange(address: _Address, request: bytes) -> bytes:
    """Sends a request; returns what comes until the server closes."""
    with _connect(address) as connection:
        try:
            connection.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            # It was answered before its end.
            pass
        return b"".join(iter(lambda: connection.recv(65536), b""))


def _cut(address: _Address, rng: random.Random) -> bytes:
    """Leaves in the middle of a body, politely or not."""
    target = rng.choice(["/api/v1/query", "/api/v1/uploads"])
    kind = rng.choice(["application/json", "multipart/form-data; boundary=b"])
    with _connect(address) as connection:
        connection.sendall(
            _head(
                address,
                target,
                f"content-type: {kind}",
                "content-length: 99999",
            )
            + rng.randbytes(rng.randrange(50_000))
        )
        if rng.random() < 0.5:
            connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
    return b""


def _leave_after(address: _Address, rng: random.Random) -> bytes:
    """Leaves before the answer."""
    with _connect(address) as connection:
        connection.sendall(
            _head(address, "/api/v1/points?index=nowhere", method="GET")
        )
    return b""


def _announce(address: _Address, rng: random.Random) -> bytes:
    return _exchange(
        address,
        _head(address, "/api/v1/uploads", f"content-length: {1 << 30}")
        + rng.randbytes(1000),
    )


def _send_without_end(address: _Address, rng: random.Random) -> bytes:
    """Announces nothing, and sends more than the server takes."""
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    return _exchange(
        address,
        _head(
            address,
            "/api/v1/uploads",
            "content-type: multipart/form-data; boundary=b",
            "transfer-encoding: chunked",
        )
        + b"8\r\n--b\r\nx: \r\n"
        + chunk * 70,
    )


def _send_noise(address: _Address, rng: random.Random) -> bytes:
    """Random bytes as the GeoTIFFs of a patch."""
    start = rng.choice([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0"])
    folder = rng.choice(["", "../../", "/etc/", "..\\..\\", "%2e%2e/"])
    name = rng.choice(["S2A_MSIL2A_20170613T101031_0_45", "x" * 300, "\0", "."])
    bands = (*bigearthnet.S1_BANDS, *bigearthnet.S2_BANDS)
    body = b"".join(
        b"--b\r\ncontent-disposition: form-data; name=files; filename="
        + f'"{folder}{name}_{band}.tif"\r\n\r\n'.encode()
        + start
        + rng.randbytes(rng.randrange(10_000))
        + b"\r\n"
        for band in rng.sample(bands, rng.randrange(1, len(bands) + 1))
    )
    body += b"--b--\r\n"
    return _exchange(
        address,
        _head(
            address,
            "/api/v1/uploads",
            "content-type: multipart/form-data; boundary=b",
            f"content-length: {len(body)}",
        )
        + body,
    )


def _lead_out(address: _Address, rng: random.Random) -> bytes:
    up = rng.choice(["..%2f", "../", "..%5c", "%252e%252e%252f"]) * 8
    target = rng.choice(
        [
            f"/api/v1/patches/{up}etc%2fpasswd/radar.png",
            f"/api/v1/patches/{up}etc/passwd",
            f"/assets/{up}etc/passwd",
            "/assets//etc/passwd",
            f"/{up}etc/passwd",
            f"/api/v1/points?index={up}etc/passwd",
        ]
    )
    return _exchange(address, _head(address, target, method="GET"))


def _send_no_request(address: _Address, rng: random.Random) -> bytes:
    return _exchange(address, rng.randbytes(300) + b"\r\n\r\n")


def _send_json(address: _Address, rng: random.Random) -> bytes:
    """What is no query."""
    body = rng.choice(
        [
            b"[" * 100_000,
            b'{"k": 1e999, "positives": ["a"]}',
            b'{"positives": [null]}',
            b'{"embedding": [NaN], "fingerprint": ""}',
            b'{"positives": ["\\ud800"]}',
            b'{"positives": ["' + b"a" * 1_000_000 + b'"]}',
            b'{"where": {"bbox": [1e400, 0, 0, 0]}, "positives": ["a"]}',
            rng.randbytes(100),
        ]
    )
    return _exchange(
        address,
        _head(
            address,
            "/api/v1/query",
            "content-type: application/json",
            f"content-length: {len(body)}",
        )
        + body,
    )


def _crawl(address: _Address, rng: random.Random) -> bytes:
    """Sends a byte at a time, of a head or of a body."""
    head = _head(address, "/api/v1/query", "content-length: 99999")
    request: Iterator[int] = itertools.chain(head, itertools.repeat(32))
    end = time.monotonic() + _ENDED_WITHIN_S
    with _connect(address) as connection:
        connection.settimeout(0.2)
        if rng.random() < 0.5:
            connection.sendall(head)
            request = itertools.repeat(32)
        for byte in request:
            connection.sendall(bytes([byte]))
            try:
                return connection.recv(65536)
            except TimeoutError:
                if time.monotonic() > end:
                    raise
    return b""


_ATTACKS = (
    _cut,
    _leave_after,
    _announce,
    _send_without_end,
    _send_noise,
    _lead_out,
    _send_no_request,
    _send_json,
    _crawl,
)

if __name__ == "__main__":
    app.run(main)
