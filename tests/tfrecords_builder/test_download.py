"""Downloading from a loopback server that cuts connections."""

import hashlib
import http.server
import random
import threading

import pytest

from ben_tf import errors
from ben_tf.archive import open_archive
from tfrecords_builder import download

CONTENT = random.Random(0).randbytes(5_000_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT; `cuts` says after how many bytes each answer breaks."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.cuts = []
        self.ranges = []
        self.knows_ranges = True
        self.status = None
        self.says_size = True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """Says nothing: clients that leave early are what is tested."""

    def file(self, **changes) -> download.RemoteFile:
        host, port = self.server_address
        file = download.RemoteFile(
            f"http://{host}:{port}/BigEarthNet-S2-v1.0.tar.gz",
            MD5,
            len(CONTENT),
        )
        return file._replace(**changes)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        start = int(self.headers["Range"].removeprefix("bytes=")[:-1])
        server.ranges.append(start)
        if server.status:
            self.send_error(server.status)
            return
        if not server.knows_ranges:
            start = 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = CONTENT[start:]
        self.send_response(206 if server.knows_ranges else 200)
        cut = server.cuts.pop(0) if server.cuts else len(body)
        if server.says_size:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:cut])
        else:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n" % len(body) + body[:cut])
            if cut == len(body):
                self.wfile.write(b"\r\n0\r\n\r\n")
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = Server()
    yield server
    server.shutdown()
    server.server_close()


def fetch(folder, *files):
    download.download_archive(folder, files, wait_s=0)


def test_a_download_that_breaks_resumes_where_it_broke(server, tmp_path):
    server.cuts = [1_000_000, 0, 2_500_000]
    fetch(tmp_path, server.file())
    assert (tmp_path / "BigEarthNet-S2-v1.0.tar.gz").read_bytes() == CONTENT
    assert len(server.ranges) == 4
    assert server.ranges[0] == 0
    assert server.ranges[1] == server.ranges[2] > 0
    assert server.ranges[3] > server.ranges[2]
    assert [path.name for path in tmp_path.iterdir()] == [
        "BigEarthNet-S2-v1.0.tar.gz"
    ]


def test_a_later_call_resumes(server, tmp_path):
    part = tmp_path / "BigEarthNet-S2-v1.0.tar.gz.part"
    part.write_bytes(CONTENT[:3_000_000])
    fetch(tmp_path, server.file())
    assert server.ranges == [3_000_000]
    assert (tmp_path / "BigEarthNet-S2-v1.0.tar.gz").read_bytes() == CONTENT


def test_a_whole_part_is_only_checked(server, tmp_path):
    part = tmp_path / "BigEarthNet-S2-v1.0.tar.gz.part"
    part.write_bytes(CONTENT)
    fetch(tmp_path, server.file())
    assert (tmp_path / "BigEarthNet-S2-v1.0.tar.gz").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.knows_ranges = False
    server.cuts = [1_000_000]
    fetch(tmp_path, server.file())
    assert (tmp_path / "BigEarthNet-S2-v1.0.tar.gz").read_bytes() == CONTENT


def test_what_is_there_is_not_fetched(server, tmp_path, capsys):
    (tmp_path / "BigEarthNet-S2-v1.0.tar.gz").touch()
    fetch(tmp_path, server.file())
    assert server.ranges == []
    assert "already there" in capsys.readouterr().out


def test_a_wrong_checksum_is_refused_and_removed(server, tmp_path):
    with pytest.raises(errors.UserError, match="wrong checksum"):
        fetch(tmp_path, server.file(md5="0" * 32))
    assert not list(tmp_path.iterdir())


def test_a_wrong_size_is_refused_before_the_download(server, tmp_path):
    with pytest.raises(errors.UserError, match="Expected 70,000"):
        fetch(tmp_path, server.file(num_bytes=70_000))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("says_size", [True, False])
def test_a_file_of_unknown_size_comes_whole(server, tmp_path, says_size):
    server.says_size = says_size
    server.cuts = [1_000_000, 0, 2_500_000]
    fetch(tmp_path, server.file(num_bytes=None))
    assert (tmp_path / "BigEarthNet-S2-v1.0.tar.gz").read_bytes() == CONTENT
    assert len(server.ranges) == 4


def test_a_known_size_is_expected_of_a_server_that_says_none(server, tmp_path):
    server.says_size = False
    # More than there is: the rest is asked for until nothing comes.
    with pytest.raises(errors.UserError, match="wrong checksum"):
        fetch(tmp_path, server.file(num_bytes=6_000_000, md5="0" * 32))
    assert server.ranges == [0, len(CONTENT)]


def test_disk_is_checked_for_a_file_of_unknown_size(
    server, tmp_path, monkeypatch
):
    server.says_size = False
    monkeypatch.setattr(
        open_archive.shutil,
        "disk_usage",
        lambda path: open_archive.shutil._ntuple_diskusage(10, 9, 1),
    )
    with pytest.raises(errors.UserError, match=r"60\.0 GB needed"):
        fetch(
            tmp_path,
            server.file(num_bytes=None, most_bytes=60_000_000_000),
        )
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_said_at_once(server, tmp_path):
    server.status = 404
    with pytest.raises(errors.UserError, match="404 Not Found"):
        fetch(tmp_path, server.file())
    assert len(server.ranges) == 1


@pytest.mark.parametrize("status", [None, 503])
def test_a_server_that_gives_nothing_ends_the_attempts(
    server, tmp_path, status
):
    server.status = status
    server.cuts = [0] * 100
    with pytest.raises(errors.UserError, match="Run the command again"):
        fetch(tmp_path, server.file())
    assert len(server.ranges) == 5


def test_too_little_disk_is_said_before_the_download(
    server, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        open_archive.shutil,
        "disk_usage",
        lambda path: open_archive.shutil._ntuple_diskusage(10, 9, 1),
    )
    with pytest.raises(errors.UserError, match="disk is too small"):
        fetch(tmp_path, server.file())
    assert not list(tmp_path.iterdir())


def test_the_official_files_are_those_of_the_checksum_list():
    names = [file.url.rsplit("/", 1)[1] for file in download.TARBALLS]
    assert names == ["BigEarthNet-S2-v1.0.tar.gz", "BigEarthNet-S1-v1.0.tar.gz"]
