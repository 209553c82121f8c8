"""What the guard lets through, and what it refuses before anyone looks."""

import asyncio

import pytest

from ben_tf.retrieval.server import guard

HOST = "127.0.0.1:8000"


async def _echo(scope, receive, send):
    """Answers with the length of the body."""
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


def _ask(
    *, headers=(), method="GET", query="", body=(b"",), pause_s=0.0, **options
):
    """One request through a guard: status, headers and body of the answer."""
    made = guard.Guard(
        _echo,
        **{
            "hosts": [HOST],
            "token": None,
            "most_body_bytes": 10,
            "body_within_s": 30.0,
            **options,
        },
    )
    parts = list(body)

    async def receive():
        if pause_s:
            await asyncio.Event().wait()
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    sent = []

    async def send(message):
        sent.append(message)

    headers = {"host": HOST} | dict(headers)
    scope = {
        "type": "http",
        "method": method,
        "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }
    asyncio.run(made(scope, receive, send))
    start, end = sent
    found = {k.decode(): v.decode() for k, v in start["headers"]}
    return start["status"], found, end["body"].decode()


def test_a_request_of_our_own_passes():
    status, headers, body = _ask(method="POST", body=(b"12", b"345"))
    assert (status, body) == (200, "5")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        # A name of another site that points here.
        ({"host": "evil.example:8000"}, 421),
        ({"host": "127.0.0.1"}, 421),
        ({"host": ""}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:9000"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"content-length": "-1"}, 400),
        ({"content-length": "1e9"}, 400),
        ({"content-length": "\u0661"}, 400),
        ({"content-length": "1000000000"}, 413),
        ({"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}, 200),
        ({"host": "127.0.0.1:8000".upper()}, 200),
    ],
)
def test_requests_of_others(headers, status):
    found, _, body = _ask(method="POST", headers=headers)
    assert found == status
    assert (body == "0") == (status == 200)


def test_a_body_is_counted_whatever_was_announced():
    status, headers, body = _ask(method="POST", body=(b"123456", b"789012"))
    assert status == 413
    assert "at most 10 bytes" in body
    assert headers["connection"] == "close"


def test_a_body_that_does_not_come_is_given_up():
    status, _, body = _ask(method="POST", pause_s=1, body_within_s=0.01)
    assert (status, body) == (408, "The request took too long to come.\n")


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({}, "", 401),
        ({}, "token=wrong", 401),
        ({"authorization": "Bearer wrong"}, "", 401),
        ({"authorization": "Basic secret"}, "", 401),
        ({"cookie": "ben_tf_token=wrong"}, "", 401),
        ({"cookie": '"; ben_tf_token'}, "", 401),
        ({}, "token=secret", 200),
        ({"authorization": "bearer secret"}, "", 200),
        ({"cookie": "other=1; ben_tf_token=secret"}, "", 200),
    ],
)
def test_a_token_is_asked_for(headers, query, status):
    found, shown, _ = _ask(headers=headers, query=query, token="secret")
    assert found == status
    # The page's own requests come with the cookie.
    assert ("set-cookie" in shown) == (query == "token=secret")
    if "set-cookie" in shown:
        assert "HttpOnly; SameSite=Strict" in shown["set-cookie"]


def test_websockets_are_not_spoken():
    sent = []
    made = guard.Guard(
        _echo, hosts=[HOST], token=None, most_body_bytes=1, body_within_s=1
    )
    asyncio.run(made({"type": "websocket"}, None, sent.append))
    assert sent == []
