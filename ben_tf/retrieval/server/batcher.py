"""Answers requests of many threads together, as many as are waiting.

While one batch is computed, the next one gathers: alone a request waits for
nobody, and under load a batch grows until the queue is full.

Clients that ask one request after the other ask again once they have been
answered. Without a moment for them the first one would be a batch of its own,
which may take as long as all of them together. So a batch waits until as many
have come as in the one before, but not longer than a part of its time.
"""

import collections
import concurrent.futures
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Generic
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class BusyError(Exception):
    """Too many requests are waiting already."""


class Batcher(Generic[Item, Result]):
    """A bounded queue and a thread that works on it."""

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result | Exception]],
        *,
        most_waiting: int = 256,
        most_at_once: int = 64,
        patience: float = 0.25,
    ):
        """Starts the thread.

        Args:
          work: Takes requests and gives a result for each, or what went wrong
            with it. What it raises goes to all of them.
          most_waiting: Requests that may wait.
          most_at_once: Requests in a batch.
          patience: How long a batch waits for as many requests as the batch
            before had, a part of the time which that one took.
        """
        self._work = work
        self._most_waiting = most_waiting
        self._most_at_once = most_at_once
        self._patience = patience
        self._waiting: collections.deque[
            tuple[Item, concurrent.futures.Future[Result]]
        ] = collections.deque()
        # Guards what waits; wakes the thread, but not at each request.
        self._changed = threading.Condition()
        self._wakes_at = 1
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> "concurrent.futures.Future[Result]":
        """Queues a request; a caller that gives up cancels the future.

        Raises:
          BusyError: The queue is full, or closed.
        """
        future: concurrent.futures.Future[Result] = concurrent.futures.Future()
        with self._changed:
            if self._closed or len(self._waiting) >= self._most_waiting:
                raise BusyError
            self._waiting.append((item, future))
            if len(self._waiting) >= self._wakes_at:
                self._changed.notify()
        return future

    def close(self) -> None:
        """Takes no more requests; returns when those that wait are answered."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        size, seconds = 1, 0.0
        while entries := self._gather(size, self._patience * seconds):
            # Nobody waits for those any more that were cancelled.
            batch = [x for x in entries if x[1].set_running_or_notify_cancel()]
            start = time.monotonic()
            if batch:
                self._answer(batch)
            size, seconds = len(batch), time.monotonic() - start

    def _gather(
        self, size: int, seconds: float
    ) -> list[tuple[Item, "concurrent.futures.Future[Result]"]]:
        """Waits for a request, then a while for others; none at the end."""
        with self._changed:
            for wakes_at, timeout in ((1, None), (size, seconds)):
                self._wakes_at = wakes_at
                self._changed.wait_for(
                    lambda: (
                        self._closed or len(self._waiting) >= self._wakes_at
                    ),
                    timeout,
                )
            count = min(len(self._waiting), self._most_at_once)
            return [self._waiting.popleft() for _ in range(count)]

    def _answer(
        self, batch: Sequence[tuple[Item, "concurrent.futures.Future[Result]"]]
    ) -> None:
        items, futures = zip(*batch, strict=True)
        try:
            results = self._work(items)
        except Exception as error:  # Whatever it is, the callers must know.
            results = [error] * len(items)
        for future, result in zip(futures, results, strict=True):
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
