"""Workers wait for each other, say so, and give up in time."""

import concurrent.futures
import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from ben_tf import errors
from ben_tf.training import worker_meeting


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("", 0)) for _ in range(number)]
    ports = [x.getsockname()[1] for x in sockets]
    for sock in sockets:
        sock.close()
    return ports


def _addresses(number: int) -> list[str]:
    return [f"localhost:{port}" for port in _free_ports(number)]


def test_three_workers_meet():
    addresses = _addresses(3)

    def start(index: int) -> socket.socket:
        worker_meeting.wait_for_all(addresses, index, timeout_s=60)
        # As TensorFlow does: whoever has not knocked yet finds this server.
        _, _, port = addresses[index].rpartition(":")
        return socket.create_server(("localhost", int(port)))

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        servers = list(pool.map(start, range(3)))
    for server in servers:
        server.close()


def test_one_worker_is_all():
    worker_meeting.wait_for_all(_addresses(1), 0, timeout_s=0)


def test_says_for_whom_it_waits_and_gives_up(monkeypatch, capsys):
    monkeypatch.setattr(worker_meeting, "_SAY_AFTER_S", 0.5)
    addresses = _addresses(2)
    with pytest.raises(errors.UserError) as raised:
        worker_meeting.wait_for_all(addresses, 1, timeout_s=1)
    missing = rf"worker 0 at {addresses[0]} (Connection refused)"
    assert str(raised.value).startswith(f"Waited 1 s in vain for {missing}. ")
    assert "`worker_timeout_s`" in str(raised.value)
    assert capsys.readouterr().out == f"Waiting for {missing}, up to 1 s.\n"


def test_what_is_no_host_is_named_with_the_reason():
    host = "x" * 64  # One character too many.
    with pytest.raises(errors.UserError, match=f"{host}:1 .not the name of a"):
        worker_meeting.wait_for_all(
            [*_addresses(1), f"{host}:1"], 0, timeout_s=1
        )


def test_a_port_in_use_is_one_sentence():
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(errors.UserError, match=f"Port {port} .* in use"):
            worker_meeting.wait_for_all(
                [f"localhost:{port}", *_addresses(1)], 0, timeout_s=60
            )


@pytest.mark.parametrize(
    "address",
    [
        *("a", "a:", ":1", "a:b", "a:0", "a:65536", "a:-1", "", "a:²"),
        *("::1:22", "[::1:22", "::1]:22", "[]:22", "[::1]", "a:1:2"),
    ],
)
def test_an_address_without_host_or_port_is_refused(address):
    for index in range(2):
        with pytest.raises(errors.UserError, match="form HOST:PORT"):
            worker_meeting.wait_for_all(
                [address, *_addresses(1)], index, timeout_s=60
            )


def test_addresses_of_ipv6():
    (port,) = _free_ports(1)
    with socket.create_server(("", 0)) as other:
        worker_meeting.wait_for_all(
            [f"[::1]:{port}", f"127.0.0.1:{other.getsockname()[1]}"],
            0,
            timeout_s=60,
        )
    with pytest.raises(errors.UserError, match=r"worker 1 at ::1:"):
        worker_meeting.wait_for_all(
            [f"localhost:{port}", f"[::1]:{_free_ports(1)[0]}"], 0, timeout_s=0
        )


def test_an_address_of_two_workers_is_refused():
    address = _addresses(1)
    with pytest.raises(errors.UserError, match="the same address"):
        worker_meeting.wait_for_all(address * 2, 0, timeout_s=60)


def test_listens_where_ipv6_is_switched_off(monkeypatch):
    create = socket.create_server

    def create_without_ipv6(address, *, family=socket.AF_INET, **options):
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign")
        return create(address, family=family, **options)

    monkeypatch.setattr(socket, "create_server", create_without_ipv6)
    worker_meeting.wait_for_all(_addresses(1), 0, timeout_s=0)


def _start(tmp_path, first, second, *options) -> subprocess.Popen:
    """Trains as worker 0 of two."""
    config = (
        f'{{"cluster": {{"worker": ["{first}", "{second}"]}},'
        ' "task": {"type": "worker", "index": 0}}'
    )
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "ben_tf.train"),
            f"--workdir={tmp_path}",
            f"--data_dir={tmp_path}",
            "--strategy=multi_worker",
            *options,
        ],
        env={**os.environ, "TF_CONFIG": config, "PYTHONPATH": os.getcwd()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


_SIGNALS = pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGTERM, -15), (signal.SIGINT, 130)]
)


def _assert_ends(process, number, exit_code) -> None:
    process.send_signal(number)
    output, error = process.communicate(timeout=120)
    assert process.returncode == exit_code
    assert output == ""
    assert len(error.splitlines()) == (number == signal.SIGINT)


@pytest.mark.slow
@_SIGNALS
def test_a_signal_ends_the_waiting(tmp_path, number, exit_code):
    first, second = _addresses(2)
    process = _start(tmp_path, first, second)
    line = process.stdout.readline()
    assert line.startswith(f"Waiting for worker 1 at {second}")
    _assert_ends(process, number, exit_code)


def _start_and_leave(tmp_path, first, second, *options) -> subprocess.Popen:
    """Trains with a worker that is gone once they have met."""
    port = int(second.rpartition(":")[2])
    with socket.create_server(("", port)) as other:
        process = _start(tmp_path, first, second, *options)
        other.settimeout(300)
        knock, _ = other.accept()
        knock.close()
    return process


@pytest.mark.slow
@_SIGNALS
def test_a_signal_ends_the_connecting(tmp_path, number, exit_code):
    first, second = _addresses(2)
    process = _start_and_leave(tmp_path, first, second)
    line = process.stdout.readline()
    assert line.startswith(f"Waiting for worker 1 at {second} (Connection")
    _assert_ends(process, number, exit_code)


@pytest.mark.slow
def test_the_connecting_gives_up(tmp_path):
    first, second = _addresses(2)
    process = _start_and_leave(tmp_path, first, second, "--worker_timeout_s=5")
    output, error = process.communicate(timeout=120)
    assert process.returncode == 1
    assert output.startswith(f"Waiting for worker 1 at {second} (Connection")
    assert error.startswith(
        f"error: Waited 5 s in vain for worker 1 at {second}"
    )
    assert error.count("\n") == 1


# --- What is watched while TensorFlow connects ------------------------------


def test_connects():
    assert worker_meeting.connect(lambda: 3, _addresses(2), 0, timeout_s=0) == 3


def test_what_fails_to_connect_says_why():
    def fail():
        raise TimeoutError("no route")

    with pytest.raises(TimeoutError, match="no route"):
        worker_meeting.connect(fail, _addresses(2), 0, timeout_s=60)


def test_says_who_was_lost_and_gives_up(monkeypatch, capsys):
    monkeypatch.setattr(worker_meeting, "_SAY_AFTER_S", 0.5)
    (first, lost), is_over = _addresses(2), threading.Event()
    with socket.create_server(("", 0)) as server:
        here = f"localhost:{server.getsockname()[1]}"
        with pytest.raises(errors.NoAnswerError) as raised:
            worker_meeting.connect(
                is_over.wait, [first, lost, here], 0, timeout_s=1
            )
    is_over.set()
    missing = f"worker 1 at {lost} (Connection refused)"
    assert str(raised.value).startswith(f"Waited 1 s in vain for {missing}. ")
    assert capsys.readouterr().out == f"Waiting for {missing}, up to 1 s.\n"


def test_gives_up_when_all_answer():
    is_over = threading.Event()
    with socket.create_server(("", 0)) as server:
        here = f"localhost:{server.getsockname()[1]}"
        with pytest.raises(errors.NoAnswerError, match="TensorFlow to connect"):
            worker_meeting.connect(
                is_over.wait, [*_addresses(1), here], 0, timeout_s=0
            )
    is_over.set()


def test_the_handler_of_sigterm_is_put_back():
    """TensorFlow's C++ code takes the signal over while it connects."""
    received = []

    def take_over():
        ignore = ctypes.c_void_p(signal.SIG_IGN)
        ctypes.CDLL(None).signal(signal.SIGTERM, ignore)

    previous = signal.signal(signal.SIGTERM, lambda *_: received.append(1))
    try:
        worker_meeting.connect(take_over, _addresses(2), 0, timeout_s=60)
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert received == [1]
