"""Workers meet before TensorFlow connects them.

TensorFlow's connecting says nothing, waits for up to an hour and holds back
SIGTERM and Ctrl-C meanwhile. So each worker first listens at its own address
and knocks at the others', which either meet here as well or have gone on to
TensorFlow, whose server answers there too.
"""

import contextlib
import errno
import queue
import re
import socket
import threading
import time
from collections.abc import Sequence

from ben_tf import errors

_ADDRESS = re.compile(
    r"((?P<host>[^:\[\]]+)|\[(?P<ipv6>[^\[\]]+)\]):(?P<port>[0-9]{1,5})"
)
_SAY_AFTER_S = 3
_SAY_AGAIN_AFTER_S = 60
_KNOCK_EVERY_S = 0.2


def wait_for_all(
    addresses: Sequence[str], index: int, *, timeout_s: float
) -> None:
    """Returns once each worker has been there; says for whom it waits.

    Args:
      addresses: "HOST:PORT" of all workers.
      index: Which of them this process is.
      timeout_s: Seconds to wait at most.

    Raises:
      UserError: A worker did not come in time, this one cannot listen at its
        own address, or an address is not of that form or there twice.
    """
    if len(set(addresses)) < len(addresses):
        raise errors.UserError(
            "Two workers in TF_CONFIG have the same address. Expected one of "
            f"its own for each. Received: {', '.join(addresses)}"
        )
    others = dict(enumerate(map(_parse, addresses)))
    _, port = others.pop(index)
    with _listen(port):
        _knock_until_all_answer(others, timeout_s)


def _listen(port: int) -> socket.socket:
    """Opens the port that TensorFlow's server opens afterwards."""
    try:
        return _open(port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise errors.UserError(
                f"Port {port} of this machine is in use: another training "
                "runs here, or another program has taken it. End it, or put "
                "another port into TF_CONFIG on all machines."
            ) from error
        raise errors.UserError(
            f"Cannot listen on port {port} of this machine: {error.strerror}. "
            "Put another port into TF_CONFIG on all machines."
        ) from error


def _open(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True
            )
        except OSError as error:
            # IPv6 may be there and switched off.
            if error.errno != errno.EADDRNOTAVAIL:
                raise
    return socket.create_server(("", port))


def _knock_until_all_answer(
    others: dict[int, tuple[str, int]], timeout_s: float
) -> None:
    answers: queue.SimpleQueue[int] = queue.SimpleQueue()
    reasons: dict[int, str] = {}
    is_over = threading.Event()
    for worker, address in others.items():
        threading.Thread(
            target=_knock,
            args=(worker, address, answers, reasons, is_over),
            daemon=True,
        ).start()
    missing = dict(others)
    start = time.monotonic()
    say_at = start + min(_SAY_AFTER_S, timeout_s)
    try:
        while missing:
            wait_s = max(0, say_at - time.monotonic())
            with contextlib.suppress(queue.Empty):
                missing.pop(answers.get(timeout=wait_s))
                continue
            names = ", ".join(
                f"worker {x} at {host}:{port} ({reasons.get(x, 'no answer')})"
                for x, (host, port) in missing.items()
            )
            if time.monotonic() >= start + timeout_s:
                raise errors.UserError(
                    f"Waited {timeout_s:g} s in vain for {names}. Start the "
                    "same command there, or wait longer with "
                    "`worker_timeout_s`; the addresses are those in TF_CONFIG."
                )
            print(f"Waiting for {names}, up to {timeout_s:g} s.", flush=True)
            say_at = min(say_at + _SAY_AGAIN_AFTER_S, start + timeout_s)
    finally:
        is_over.set()


def _knock(
    worker: int,
    address: tuple[str, int],
    answers: queue.SimpleQueue[int],
    reasons: dict[int, str],
    is_over: threading.Event,
) -> None:
    """Tries one worker's address until it answers."""
    while not is_over.wait(_KNOCK_EVERY_S):
        try:
            socket.create_connection(address, timeout=1).close()
        except OSError as error:
            reasons[worker] = error.strerror or str(error)
        except UnicodeError:
            reasons[worker] = "not the name of a host"
        else:
            answers.put(worker)
            return


def _parse(address: str) -> tuple[str, int]:
    """Splits "HOST:PORT"; an IPv6 host stands in brackets.

    Raises:
      UserError: It is not of that form.
    """
    match = _ADDRESS.fullmatch(address)
    port = int(match["port"]) if match else 0
    if not match or not 0 < port < 1 << 16:
        raise errors.UserError(
            "The workers in TF_CONFIG need addresses of the form HOST:PORT. "
            f"Received: {address!r}"
        )
    return match["host"] or match["ipv6"], port
