"""Answers requests of many threads together, as many as are waiting.

While one batch is computed, the next one gathers: alone a request waits for
nobody, and under load a batch grows until the queue is full.
"""

import concurrent.futures
import queue
import threading
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
    ):
        """Starts the thread.

        Args:
          work: Takes requests and gives a result for each, or what went wrong
            with it. What it raises goes to all of them.
          most_waiting: Requests that may wait.
          most_at_once: Requests in a batch.
        """
        self._work = work
        self._most_at_once = most_at_once
        self._waiting: queue.Queue[
            tuple[Item, concurrent.futures.Future[Result]] | None
        ] = queue.Queue(most_waiting)
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> "concurrent.futures.Future[Result]":
        """Queues a request; a caller that gives up cancels the future.

        Raises:
          BusyError: The queue is full, or closed.
        """
        future: concurrent.futures.Future[Result] = concurrent.futures.Future()
        # None must come after the last request.
        with self._lock:
            if self._closed:
                raise BusyError
            try:
                self._waiting.put_nowait((item, future))
            except queue.Full:
                raise BusyError from None
        return future

    def close(self) -> None:
        """Takes no more requests; returns when those that wait are answered."""
        with self._lock:
            was_closed, self._closed = self._closed, True
        if not was_closed:
            self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_open = True
        while is_open:
            entries = [self._waiting.get()]
            while len(entries) < self._most_at_once:
                try:
                    entries.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            is_open = None not in entries
            batch = [
                entry
                for entry in entries
                if entry is not None
                # Nobody waits for those any more that were cancelled.
                and entry[1].set_running_or_notify_cancel()
            ]
            if batch:
                self._answer(batch)

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
