"""Workers meet before TensorFlow connects them, and are watched until it has.

TensorFlow's connecting says nothing, waits for up to an hour and holds back
SIGTERM and Ctrl-C meanwhile. So each worker first listens at its own address
and knocks at the others', which either meet here as well or have gone on to
TensorFlow, whose server answers there too. Then TensorFlow connects them in a
thread, while the main thread says which of them have been lost since, gives up
in time and can be interrupted.
"""

import concurrent.futures
import contextlib
import errno
import queue
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TypeVar

from ben_tf import errors

_ADDRESS = re.compile(
    r"((?P<host>[^:\[\]]+)|\[(?P<ipv6>[^\[\]]+)\]):(?P<port>[0-9]{1,5})"
)
_SAY_AFTER_S = 3
_SAY_AGAIN_AFTER_S = 60
_KNOCK_EVERY_S = 0.2
_LOOK_EVERY_S = 0.05

_Connected = TypeVar("_Connected")
_Address = tuple[str, int]


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


def connect(
    make: Callable[[], _Connected],
    addresses: Sequence[str],
    index: int,
    *,
    timeout_s: float,
) -> _Connected:
    """Connects to workers that have met; says for whom it waits.

    Args:
      make: Connects, and holds no lock of Python's while it waits. It is left
        behind in a thread if that takes too long.
      addresses: "HOST:PORT" of all workers.
      index: Which of them this process is.
      timeout_s: Seconds to wait at most.

    Returns:
      What `make` returns.

    Raises:
      errors.NoAnswerError: The workers were not connected in time.
    """
    others = dict(enumerate(map(_parse, addresses)))
    del others[index]
    connected: concurrent.futures.Future[_Connected]
    connected = concurrent.futures.Future()

    def run() -> None:
        try:
            connected.set_result(make())
        except BaseException as error:
            connected.set_exception(error)

    handler = signal.getsignal(signal.SIGTERM)
    # Python can put back only what it knows, and in the main thread only.
    is_main = threading.current_thread() is threading.main_thread()
    has_handler = is_main and handler is not None
    threading.Thread(target=run, daemon=True).start()
    start = time.monotonic()
    say_at = start + min(_SAY_AFTER_S, timeout_s)
    while True:
        done, _ = concurrent.futures.wait([connected], timeout=_LOOK_EVERY_S)
        if has_handler:
            # TensorFlow puts one there that nothing of ours asks.
            signal.signal(signal.SIGTERM, handler)
        if done:
            return connected.result()
        if time.monotonic() < say_at:
            continue
        silent, reasons = _knock_once(others)
        names = _names(silent, reasons) or "TensorFlow to connect all workers"
        if time.monotonic() >= start + timeout_s:
            raise errors.NoAnswerError(_in_vain(names, timeout_s))
        say_at = _say(names, say_at, start, timeout_s)


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
    others: Mapping[int, _Address], timeout_s: float
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
            names = _names(missing, reasons)
            if time.monotonic() >= start + timeout_s:
                raise errors.UserError(_in_vain(names, timeout_s))
            say_at = _say(names, say_at, start, timeout_s)
    finally:
        is_over.set()


def _names(missing: Mapping[int, _Address], reasons: Mapping[int, str]) -> str:
    return ", ".join(
        f"worker {x} at {host}:{port} ({reasons.get(x, 'no answer')})"
        for x, (host, port) in missing.items()
    )


def _say(names: str, now: float, start: float, timeout_s: float) -> float:
    """Says for whom this worker waits; returns when to say it again."""
    print(f"Waiting for {names}, up to {timeout_s:g} s.", flush=True)
    return min(now + _SAY_AGAIN_AFTER_S, start + timeout_s)


def _in_vain(names: str, timeout_s: float) -> str:
    return (
        f"Waited {timeout_s:g} s in vain for {names}. Start the same command "
        "there, or wait longer with `worker_timeout_s`; the addresses are "
        "those in TF_CONFIG."
    )


def _knock(
    worker: int,
    address: _Address,
    answers: queue.SimpleQueue[int],
    reasons: dict[int, str],
    is_over: threading.Event,
) -> None:
    """Tries one worker's address until it answers."""
    while not is_over.wait(_KNOCK_EVERY_S):
        reason = _why_silent(address)
        if not reason:
            answers.put(worker)
            return
        reasons[worker] = reason


def _knock_once(
    others: Mapping[int, _Address],
) -> tuple[dict[int, _Address], dict[int, str]]:
    """Workers that do not answer now, and why."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = pool.map(_why_silent, others.values())
        found = dict(zip(others, answers, strict=True))
    reasons = {worker: reason for worker, reason in found.items() if reason}
    return {worker: others[worker] for worker in reasons}, reasons


def _why_silent(address: _Address) -> str:
    """Why an address does not answer; "" if it does."""
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError as error:
        return error.strerror or str(error)
    except UnicodeError:
        return "not the name of a host"
    return ""


def _parse(address: str) -> _Address:
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
