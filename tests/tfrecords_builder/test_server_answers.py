"""Why a request has got no answer, in words."""

import socket
import ssl

import pytest
import requests
import urllib3

from ben_tf import errors
from tfrecords_builder import server_answers

URL = "https://zenodo.org/x.tar.gz"


def _raised(outer, cause):
    """An error as a library raises it from that of the system."""
    try:
        try:
            raise cause
        except Exception:  # What a library catches.
            raise outer  # noqa: B904
    except Exception as error:
        return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            _raised(
                requests.ConnectionError("HTTPSConnectionPool(...)"),
                socket.gaierror(-2, "Name or service not known"),
            ),
            "name cannot be resolved",
        ),
        (
            _raised(requests.ConnectionError("x"), TimeoutError("timed out")),
            "does not answer in time",
        ),
        (
            _raised(
                urllib3.exceptions.ProtocolError("x"),
                ConnectionRefusedError(111, "Connection refused"),
            ),
            "the connection fails: [Errno 111] Connection refused",
        ),
        (
            _raised(
                requests.exceptions.SSLError("x"), ssl.SSLEOFError(8, "EOF")
            ),
            "the connection fails: EOF",
        ),
        (requests.TooManyRedirects("Exceeded 30 redirects."), "30 redirects"),
    ],
)
def test_what_is_wrong(error, words):
    assert words in server_answers.problem(URL, error)


def test_a_certificate_that_is_wrong_stays_wrong():
    cause = ssl.SSLCertVerificationError("certificate verify failed")
    cause.verify_message = "self-signed certificate"
    error = _raised(requests.exceptions.SSLError("x"), cause)
    with pytest.raises(
        errors.UserError, match=r"self-signed .*REQUESTS_CA_BUNDLE"
    ):
        server_answers.problem(URL, error)


def test_a_server_that_is_not_there():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(requests.ConnectionError) as caught:
        requests.get(f"http://127.0.0.1:{port}", timeout=5)
    said = server_answers.problem(URL, caught.value)
    assert said == "the connection fails: [Errno 111] Connection refused"
