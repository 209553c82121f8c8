"""Clients of `search_load.py` that query, all of them in one process.

They share two cores with the server, so they are cheap: each request is made
beforehand, connections stay open, and one selector waits for all answers. Every
answer is compared with that of the library, after its time was taken.
"""

import collections
import dataclasses
import itertools
import json
import random
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

_TIMEOUT_S = 90.0
_HEAD_END = b"\r\n\r\n"
_ANSWERS = b'"answers"'


class Address(NamedTuple):
    """Where the server listens."""

    host: str
    port: int


class Case(NamedTuple):
    """A query: the body of the request, and what the library answers.

    Attributes:
      body: JSON.
      answer: A member of `answers`.
    """

    body: bytes
    answer: dict[str, Any]


class Counts:
    """Numbers of what happened, with an example of each; threads may share."""

    def __init__(self) -> None:
        """Counts from zero."""
        self._lock = threading.Lock()
        self.numbers: collections.Counter[str] = collections.Counter()
        self.examples: dict[str, str] = {}

    def add(self, name: str, example: object = "", number: int = 1) -> None:
        """Counts something."""
        with self._lock:
            self.numbers[name] += number
            if example:
                self.examples.setdefault(name, str(example)[:300])

    def merge(self, other: "Tally") -> None:
        """Adds what clients have counted."""
        for name, number in other.numbers.items():
            self.add(name, other.examples.get(name, ""), number)


@dataclasses.dataclass
class Tally:
    """What clients have seen.

    Attributes:
      numbers: Of "answers", "busy", "failed" and "wrong".
      examples: Of these.
      seconds: From each query to its answer.
      elapsed: From the first query to the last answer, seconds.
    """

    numbers: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    examples: dict[str, str] = dataclasses.field(default_factory=dict)
    seconds: list[float] = dataclasses.field(default_factory=list)
    elapsed: float = 0.0

    def add(self, name: str, example: object = "") -> None:
        """Counts something."""
        self.numbers[name] += 1
        if example:
            self.examples.setdefault(name, str(example)[:300])

    @property
    def rate(self) -> float:
        """Answers per second."""
        if not self.elapsed:
            return 0.0
        return self.numbers["answers"] / self.elapsed


def query(
    address: Address, cases: Sequence[Case], *, num_clients: int, seconds: float
) -> Tally:
    """Asks for some time; each client one query after the other."""
    tally = Tally()
    requests = [_request(address, case.body) for case in cases]
    # The bytes of right answers.
    known: list[bytes] = [b""] * len(cases)
    start = time.perf_counter()
    end = start + seconds
    with selectors.DefaultSelector() as selector:
        for number in range(num_clients):
            order = random.Random(number).sample(range(len(cases)), len(cases))
            client = _Client(address, itertools.cycle(order), selector)
            client.ask(requests)
        while selector.get_map():
            ready = selector.select(_TIMEOUT_S)
            if not ready:
                for key in list(selector.get_map().values()):
                    tally.add("failed", "no answer in time")
                    key.data.close()
            for key, _ in ready:
                client = key.data
                try:
                    answer = client.receive()
                except (OSError, ValueError) as error:
                    tally.add("failed", repr(error))
                    client.close()
                    client.connect()
                else:
                    if answer is None:
                        continue
                    number = client.asked
                    tally.seconds.append(time.perf_counter() - client.since)
                    tally.elapsed = time.perf_counter() - start
                    _judge(answer, cases[number], known, number, tally)
                if time.perf_counter() < end:
                    client.ask(requests)
                else:
                    client.close()
    return tally


class _Answer(NamedTuple):
    status: int
    body: bytes


class _Client:
    """A connection, and what is asked over it."""

    def __init__(
        self,
        address: Address,
        order: Iterator[int],
        selector: selectors.BaseSelector,
    ):
        self._address, self._order = address, order
        self._selector = selector
        self.asked, self.since = 0, 0.0
        self.connect()

    def connect(self) -> None:
        self._socket = socket.create_connection(
            self._address, timeout=_TIMEOUT_S
        )
        self._selector.register(self._socket, selectors.EVENT_READ, self)

    def close(self) -> None:
        self._selector.unregister(self._socket)
        self._socket.close()

    def ask(self, requests: Sequence[bytes]) -> None:
        self.asked = next(self._order)
        self._received = b""
        self.since = time.perf_counter()
        # Small enough for the buffer of the socket.
        self._socket.sendall(requests[self.asked])

    def receive(self) -> _Answer | None:
        """What has come; None before all has.

        Raises:
          OSError: The server has left.
          ValueError: That is not HTTP.
        """
        part = self._socket.recv(1 << 18)
        if not part:
            raise ConnectionError("the server has closed the connection")
        self._received += part
        head, found, body = self._received.partition(_HEAD_END)
        if not found:
            return None
        fields = head.lower().split(b"\r\n")
        (length,) = (
            int(field.partition(b":")[2])
            for field in fields
            if field.startswith(b"content-length:")
        )
        if len(body) < length:
            return None
        if b"connection: close" in fields:
            self.close()
            self.connect()
        return _Answer(int(fields[0].split()[1]), body)


def _request(address: Address, body: bytes) -> bytes:
    lines = (
        "POST /api/v1/query HTTP/1.1",
        f"host: {address.host}:{address.port}",
        "content-type: application/json",
        f"content-length: {len(body)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + body


def _judge(
    answer: _Answer,
    case: Case,
    known: list[bytes],
    number: int,
    tally: Tally,
) -> None:
    """Counts an answer, and compares it with the library's, to the bit."""
    if answer.status == 503:
        tally.add("busy")
        tally.seconds.pop()
        return
    if answer.status != 200:
        tally.add("failed", f"{answer.status} {answer.body[:200]!r}")
        tally.seconds.pop()
        return
    tally.add("answers")
    # What stands before it holds the time.
    place = answer.body.find(_ANSWERS)
    content = answer.body[place:]
    if place >= 0 and content == known[number]:
        return
    if json.loads(answer.body)["answers"] == [case.answer]:
        known[number] = content
    else:
        tally.add("wrong", case.body)
