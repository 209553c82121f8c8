"""HTTP connections that do not wait for clients that send nothing.

uvicorn gives up a connection that is idle after an answer, but not one whose
next request never comes to its end: a few hundred of those shut everybody out.
"""

import asyncio

from uvicorn.protocols.http import h11_impl

HEAD_WITHIN_S = 10.0


class Connection(h11_impl.H11Protocol):
    """uvicorn's own, with a time limit for the head of each request."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts to wait for the first request."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Waits for the rest of a head, or no more."""
        super().data_received(data)
        is_waiting = self.cycle is None or self.cycle.response_complete
        if is_waiting:
            self._expect_head()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        # What comes in drops does not begin anew.
        if self._deadline is None:
            self._deadline = self.loop.call_later(
                HEAD_WITHIN_S, self.transport.close
            )

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
