"""Clients of `search_load.py` that mean harm to the server."""

import itertools
import random
import re
import socket
import struct
import time
from collections.abc import Callable
from collections.abc import Iterator

import search_load_clients as clients

from ben_tf import bigearthnet

# The server gives a head 10 s and a body 30 s; a busy machine is slower.
_ENDED_WITHIN_S = 60.0


def attacking(
    address: clients.Address, counts: clients.Counts, number: int
) -> Callable[[], None]:
    """A step of one client, which may be taken again and again."""
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


def _connect(address: clients.Address) -> socket.socket:
    return socket.create_connection(address, timeout=_ENDED_WITHIN_S)


def _head(
    address: clients.Address, target: str, *more: str, method: str = "POST"
) -> bytes:
    lines = [
        f"{method} {target} HTTP/1.1",
        f"host: {address.host}:{address.port}",
        "connection: close",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _exchange(address: clients.Address, request: bytes) -> bytes:
    """Sends a request; returns what comes until the server closes."""
    with _connect(address) as connection:
        try:
            connection.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            # It was answered before its end.
            pass
        return b"".join(iter(lambda: connection.recv(65536), b""))


def _cut(address: clients.Address, rng: random.Random) -> bytes:
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


def _leave_after(address: clients.Address, rng: random.Random) -> bytes:
    """Leaves before the answer."""
    with _connect(address) as connection:
        connection.sendall(
            _head(address, "/api/v1/points?index=nowhere", method="GET")
        )
    return b""


def _announce(address: clients.Address, rng: random.Random) -> bytes:
    return _exchange(
        address,
        _head(address, "/api/v1/uploads", f"content-length: {1 << 30}")
        + rng.randbytes(1000),
    )


def _send_without_end(address: clients.Address, rng: random.Random) -> bytes:
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


def send_noise(address: clients.Address, rng: random.Random) -> bytes:
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


def _lead_out(address: clients.Address, rng: random.Random) -> bytes:
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


def _send_no_request(address: clients.Address, rng: random.Random) -> bytes:
    return _exchange(address, rng.randbytes(300) + b"\r\n\r\n")


def _send_json(address: clients.Address, rng: random.Random) -> bytes:
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


def _crawl(address: clients.Address, rng: random.Random) -> bytes:
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
    send_noise,
    _lead_out,
    _send_no_request,
    _send_json,
    _crawl,
)
