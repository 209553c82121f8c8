"""A client that sends nothing, or in drops, is hung up on."""

import asyncio

import pytest
import uvicorn

from ben_tf.retrieval.server import connection


async def _app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"well"})


class _Transport:
    """Stands in for the socket; `written` is what was sent."""

    def __init__(self):
        self.written, self.is_closed = b"", False

    def get_extra_info(self, name):
        return None

    def write(self, data):
        self.written += data

    def close(self):
        self.is_closed = True

    def is_closing(self):
        return self.is_closed

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


async def _talk(monkeypatch, *, parts, within_s):
    """Sends parts of requests to a connection; waits for it to hang up."""
    monkeypatch.setattr(connection, "HEAD_WITHIN_S", within_s)
    config = uvicorn.Config(_app, log_config=None, timeout_keep_alive=60)
    config.load()
    made = connection.Connection(
        config, uvicorn.server.ServerState(), app_state={}
    )
    transport = _Transport()
    made.connection_made(transport)
    for part in parts:
        made.data_received(part)
        await asyncio.gather(*made.tasks)
    loop = asyncio.get_running_loop()
    end = loop.time() + 2 * within_s
    while not transport.is_closed and loop.time() < end:
        await asyncio.sleep(0)
    return transport


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b"GET / HT", b"TP/1.1\r\n", b"X: "],
        # The second request stays half.
        [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / "],
    ],
)
def test_half_a_head_is_given_up(monkeypatch, parts):
    transport = asyncio.run(_talk(monkeypatch, parts=parts, within_s=0.05))
    assert transport.is_closed


def test_whole_requests_are_answered_and_the_connection_kept(monkeypatch):
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    transport = asyncio.run(
        _talk(monkeypatch, parts=[request, request], within_s=0.05)
    )
    assert transport.written.count(b"well") == 2
    assert not transport.is_closed
