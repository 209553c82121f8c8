"""The server as a process: its address, its doors and its end."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from ben_tf import errors
from ben_tf.retrieval import client
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import query as query_lib
from ben_tf.retrieval.server import server

pytestmark = pytest.mark.slow

_SERVE = (
    "import sys; from ben_tf.retrieval.server import server; "
    "server.serve(indexes=[sys.argv[1]], data_dir=sys.argv[2], port=0, "
    "token=sys.argv[3] or None)"
)


def _start(*arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, *map(os.fspath, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    assert process.stdout.readline() == "Press Ctrl+C to end it.\n"
    match = re.fullmatch(r"The search page is at (http://\S+)\n", line)
    return process, match[1]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_until_it_is_ended(sample_index, data_dir, end):
    process, address = _start(sample_index, data_dir, "secret")
    try:
        assert address.endswith("/?token=secret")
        with urllib.request.urlopen(address, timeout=60) as response:
            assert b"Patches that look alike" in response.read()
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(address.partition("?")[0], timeout=60)
        # A connection that stays open does not keep it from ending.
        host, port = re.search(r"//([\d.]+):(\d+)/", address).groups()
        with socket.create_connection((host, int(port))):
            process.send_signal(end)
            output, error = process.communicate(timeout=60)
    finally:
        process.kill()
    # Whoever started it, such as systemd, must see that SIGTERM ended it.
    assert process.returncode == (0 if end == signal.SIGINT else -end)
    assert output == ""
    assert "Traceback" not in error


def test_it_runs_for_a_block(sample_index, data_dir):
    """As notebooks have it; the client asks, and is refused once it is over."""
    opened = index_lib.Index.open(sample_index)
    name = str(opened.names[0])
    expected = query_lib.query(opened, names=[name], k=3).hits
    with server.running(
        sample_index, data_dir=data_dir, token="secret"
    ) as address:
        hits = client.query(address, token="secret", positives=[name], k=3)
        with pytest.raises(errors.UserError, match="Expected the token"):
            client.query(address, positives=[name])
    assert [hit["name"] for hit in hits] == list(expected.names[0])
    with pytest.raises(errors.UserError, match="No answer from"):
        client.query(address, token="secret", positives=[name])


def test_what_fails_in_a_block_ends_it(sample_index, data_dir):
    with (
        pytest.raises(InterruptedError),
        server.running(sample_index, data_dir=data_dir) as address,
    ):
        raise InterruptedError
    with pytest.raises(errors.UserError, match="No answer from"):
        client.query(address, positives=["x"])


def test_others_are_let_in_with_a_token_only(sample_index, data_dir):
    for host in ("0.0.0.0", "192.0.2.1", "example.org", "::"):
        with pytest.raises(errors.UserError, match="Give a `token`"):
            server.serve(indexes=[sample_index], data_dir=data_dir, host=host)


def test_a_port_that_is_taken_is_named(sample_index, data_dir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(errors.UserError, match=f"port {port}: .*`port`"):
            server.serve(indexes=[sample_index], data_dir=data_dir, port=port)


@pytest.mark.parametrize(
    ("host", "port", "names", "expected"),
    [
        (
            *("127.0.0.1", 8000, ()),
            {"127.0.0.1:8000", "localhost:8000", "[::1]:8000"},
        ),
        (
            "192.0.2.1",
            8000,
            ("a.example",),
            {"192.0.2.1:8000", "a.example:8000"},
        ),
        ("2001:db8::1", 8000, (), {"[2001:db8::1]:8000"}),
        ("[2001:db8::1]", 8000, (), {"[2001:db8::1]:8000"}),
        # Browsers leave the port of HTTP out.
        ("192.0.2.1", 80, (), {"192.0.2.1:80", "192.0.2.1"}),
    ],
)
def test_hosts_are_those_that_browsers_send(host, port, names, expected):
    assert server.allowed_hosts(host, port, names) == expected


def _has_ipv6() -> bool:
    """Whether this machine has the address, not Python alone."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not _has_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_it_listens_at_ipv6(host):
    with server._listen(host, 0) as listener:
        assert listener.getsockname()[0] == "::1"
