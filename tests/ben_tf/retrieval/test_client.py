"""The client, against a server that answers what the test says."""

import http.server
import json
import threading

import pytest

from ben_tf import errors
from ben_tf.retrieval import client


@pytest.fixture
def server():
    """A server that notes requests; `answer` is (status, body)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            server.asked.append((self.path, dict(self.headers), body))
            status, content = server.answer
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        server.address = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_query_is_sent_and_its_hits_come_back(server):
    hits = [{"name": "a", "rank": 1}]
    content = {"answers": [{"query": {}, "hits": hits}]}
    server.answer = (200, json.dumps(content).encode())
    found = client.query(server.address, token="secret", positives=["b"], k=3)
    assert found == hits
    ((path, headers, body),) = server.asked
    assert path == "/api/v1/query"
    assert headers["authorization"] == "Bearer secret"
    assert json.loads(body) == {"positives": ["b"], "k": 3}


def test_files_are_sent_by_their_names(server, tmp_path):
    server.answer = (201, b'{"upload": "key"}')
    file = tmp_path / "S2A_x_B02.tif"
    file.write_bytes(b"pixels")
    assert client.upload(server.address, [file])["upload"] == "key"
    ((path, headers, body),) = server.asked
    assert path == "/api/v1/uploads"
    assert "authorization" not in headers
    assert b'filename="S2A_x_B02.tif"' in body and b"pixels" in body
    assert str(tmp_path).encode() not in body
    client.upload(server.address, [file], point=(9.5, -48))
    path, *_ = server.asked[-1]
    assert path == "/api/v1/uploads?longitude=9.5&latitude=-48"


@pytest.mark.parametrize(
    ("status", "content", "match"),
    [
        (422, b'{"error": "Unknown index."}', "refuses .*Unknown index"),
        (401, b"Expected the token\n", "refuses .*Expected the token"),
        (500, b"", "refuses the request"),
    ],
)
def test_what_the_server_refuses_is_said(server, status, content, match):
    server.answer = (status, content)
    with pytest.raises(errors.UserError, match=match):
        client.query(server.address, positives=["b"])


def test_no_server_is_said():
    with pytest.raises(errors.UserError, match="No answer from http"):
        client.query("http://127.0.0.1:1", positives=["b"])
