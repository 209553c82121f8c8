"""A loopback server of one file, as good or bad as a test wants it."""

import contextlib
import hashlib
import http.server
import random
import threading

from tfrecords_builder import download

CONTENT = random.Random(0).randbytes(5_000_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
NAME = "BigEarthNet-S2-v1.0.tar.gz"


class Server(http.server.ThreadingHTTPServer):
    """Serves a file.

    Attributes:
      content: The file.
      cuts: After how many bytes each answer breaks.
      answers: (status, headers, body) of the first answers, in place of the
        file.
      headers: More headers of each answer that brings the file.
      knows_ranges: Whether a part can be asked for.
      knows_if_range: Whether it sends all if the ETag is another one.
      says_size: Whether an answer has a length.
      requests: Headers of the requests.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.cuts = []
        self.answers = []
        self.headers = {}
        self.knows_ranges = True
        self.knows_if_range = True
        self.says_size = True
        self.requests = []
        # Asks often whether to end, so that tests do not wait for it.
        threading.Thread(
            target=self.serve_forever, args=(0.01,), daemon=True
        ).start()

    @property
    def ranges(self) -> list[int]:
        """Where each request began."""
        return [_start(headers) for headers in self.requests]

    def handle_error(self, request, client_address):
        """Says nothing: clients that leave early are what is tested."""

    def file(self, **changes) -> download.RemoteFile:
        host, port = self.server_address
        file = download.RemoteFile(
            f"http://{host}:{port}/{NAME}", MD5, len(CONTENT)
        )
        return file._replace(**changes)


@contextlib.contextmanager
def running():
    server = Server()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def _start(headers) -> int:
    return int(headers["Range"].removeprefix("bytes=")[:-1])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.requests.append(self.headers)
        self.close_connection = True
        if server.answers:
            self._answer(*server.answers.pop(0))
            return
        start, content = _start(self.headers), server.content
        expected = self.headers.get("If-Range")
        is_other = server.knows_if_range and expected not in (
            None,
            server.headers.get("ETag"),
        )
        if not server.knows_ranges or is_other:
            self._send_file(200, content, {})
        elif start >= len(content):
            self._answer(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
        else:
            part = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._send_file(206, content[start:], {"Content-Range": part})

    def _send_file(self, status, body, headers):
        cut = self.server.cuts.pop(0) if self.server.cuts else len(body)
        self.send_response(status)
        for name, value in (headers | self.server.headers).items():
            self.send_header(name, value)
        if self.server.says_size:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:cut])
        else:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n" % len(body) + body[:cut])
            if cut == len(body):
                self.wfile.write(b"\r\n0\r\n\r\n")

    def _answer(self, status, headers, body):
        self.send_response_only(status)
        for name, value in (
            {"Content-Length": str(len(body))} | headers
        ).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass
