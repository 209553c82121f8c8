"""Refuses requests before anything looks at them.

A page of another site may send requests to this machine, and with a name that
it lets point here ("DNS rebinding") read the answers: the Host and the Origin
of a request must be ours. What is large or slow is refused by its size and its
time, not after it was taken in.
"""

import asyncio
import hmac
import http.cookies
import urllib.parse
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_COOKIE = "ben_tf_token"
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_SAFE_METHODS = ("GET", "HEAD")


class Guard:
    """An ASGI application around another."""

    def __init__(
        self,
        app: App,
        *,
        hosts: Collection[str],
        token: str | None,
        most_body_bytes: int,
        body_within_s: float,
    ):
        """Wraps an application.

        Args:
          app: What answers the requests that pass.
          hosts: What the Host of a request may be, such as "127.0.0.1:8000".
          token: What a request must show, as a bearer token, in the address
            (`?token=`) or in the cookie that it is kept in; None: nothing.
          most_body_bytes: Of the body of a request.
          body_within_s: How long a body may take to come, seconds.
        """
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._token = token
        self._most_body_bytes = most_body_bytes
        self._body_within_s = body_within_s

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answers one request, or refuses it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(send, *refusal)
            return
        is_first_look = self._token is not None and _in_address(scope)
        has_begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                more = dict(_HEADERS)
                if is_first_look:
                    more["set-cookie"] = (
                        f"{_COOKIE}={self._token}; HttpOnly; SameSite=Strict; "
                        "Path=/"
                    )
                message["headers"] = [
                    *message.get("headers", ()),
                    *((k.encode(), v.encode()) for k, v in more.items()),
                ]
            await send(message)

        try:
            await self._app(scope, self._limited(receive), send_with_headers)
        except _RefusedError as error:
            if not has_begun:
                await _refuse(send, error.status, str(error))

    def _refusal(
        self, scope: Scope, headers: dict[str, str]
    ) -> tuple[int, str] | None:
        """Status and sentence, or None for a request that may pass."""
        if headers.get("host", "").lower() not in self._hosts:
            return 421, "This server does not answer under that host name."
        origin = headers.get("origin")
        if origin is not None and (
            urllib.parse.urlsplit(origin).netloc.lower() not in self._hosts
        ):
            return 403, "Requests of other sites are not answered."
        if scope["method"] not in _SAFE_METHODS and (
            headers.get("sec-fetch-site", "same-origin")
            not in ("same-origin", "none")
        ):
            return 403, "Requests of other sites are not answered."
        if self._token is not None and not self._has_token(scope, headers):
            return 401, (
                "Expected the token that the server printed at its start, as "
                "?token=... or Authorization: Bearer ..."
            )
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdecimal():
            return 400, "Expected a number of bytes as Content-Length."
        if int(length) > self._most_body_bytes:
            return 413, self._too_large
        return None

    @property
    def _too_large(self) -> str:
        return f"Expected a request of at most {self._most_body_bytes:,} bytes."

    def _has_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        shown = [_in_address(scope)]
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            shown.append(bearer.strip())
        try:
            cookie = http.cookies.SimpleCookie(headers.get("cookie", ""))
            if _COOKIE in cookie:
                shown.append(cookie[_COOKIE].value)
        except http.cookies.CookieError:
            pass
        expected = (self._token or "").encode()
        return any(
            hmac.compare_digest(text.encode(), expected) for text in shown
        )

    def _limited(self, receive: Receive) -> Receive:
        """Counts the bytes of the body, and the time that they take."""
        num_bytes = 0
        deadline: float | None = None
        is_complete = False

        async def receive_limited() -> Message:
            nonlocal num_bytes, deadline, is_complete
            if is_complete:
                # What comes after the body is that the client has left.
                return await receive()
            now = asyncio.get_running_loop().time()
            if deadline is None:
                deadline = now + self._body_within_s
            try:
                message = await asyncio.wait_for(
                    receive(), max(0.0, deadline - now)
                )
            except TimeoutError:
                raise _RefusedError(
                    408, "The request took too long to come."
                ) from None
            num_bytes += len(message.get("body", b""))
            if num_bytes > self._most_body_bytes:
                raise _RefusedError(413, self._too_large)
            is_complete = not message.get("more_body", False)
            return message

        return receive_limited


class _RefusedError(Exception):
    """Ends a request in the middle of its body."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


def _in_address(scope: Scope) -> str:
    """The token in the address; "" without one."""
    query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
    return query.get("token", [""])[0]


async def _refuse(send: Send, status: int, sentence: str) -> None:
    body = f"{sentence}\n".encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", str(len(body)).encode()),
                # What of the body has not come yet must not be taken for the
                # next request.
                (b"connection", b"close"),
                *((k.encode(), v.encode()) for k, v in _HEADERS.items()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
