"""What has come is kept, whatever a server does then."""

import errno
import gzip
import pathlib

import pytest

from ben_tf import errors
from tests import json_files
from tests.tfrecords_builder import file_server
from tfrecords_builder import transfer

CONTENT = file_server.CONTENT
PAGE = b"\n<!DOCTYPE html><html>We are busy</html>"


@pytest.fixture
def server():
    with file_server.running() as server:
        yield server


@pytest.fixture
def part(tmp_path) -> pathlib.Path:
    return tmp_path / f"{file_server.NAME}.part"


@pytest.fixture
def fetch(server, part):
    """Fetches the file; returns how long it waited each time."""

    def fetch(num_bytes=5_000_000) -> list[float]:
        waits = []
        transfer.fetch(
            server.file().url,
            part,
            num_bytes=num_bytes,
            wait_s=5,
            sleep=waits.append,
        )
        return waits

    return fetch


def test_a_download_that_breaks_resumes_where_it_broke(server, part, fetch):
    server.cuts = [1_000_000, 0, 2_500_000]
    assert fetch() == [5, 5, 5]
    assert part.read_bytes() == CONTENT
    assert len(server.ranges) == 4
    assert server.ranges[0] == 0
    assert server.ranges[1] == server.ranges[2] > 0
    assert server.ranges[3] > server.ranges[2]
    # Only the file is left.
    assert list(part.parent.iterdir()) == [part]


def test_a_later_call_resumes(server, part, fetch):
    part.write_bytes(CONTENT[:3_000_000])
    fetch()
    assert server.ranges == [3_000_000]
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize("says_size", [True, False])
def test_a_file_of_unknown_size_comes_whole(server, part, fetch, says_size):
    server.says_size = says_size
    server.cuts = [1_000_000, 0, 2_500_000]
    fetch(num_bytes=None)
    assert part.read_bytes() == CONTENT
    assert len(server.ranges) == 4


def test_a_server_without_ranges_never_destroys_what_has_come(
    server, part, fetch
):
    server.knows_ranges = False
    server.cuts = [3_000_000, 1_000_000]
    sizes = []
    transfer.fetch(
        server.file().url,
        part,
        num_bytes=None,
        wait_s=0,
        sleep=lambda seconds: sizes.append(transfer.size(part)),
    )
    # The second answer broke before the point that the first one reached.
    assert sizes[0] == sizes[1] > 2_000_000
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_an_answer_that_passes_is_waited_for(server, part, fetch, status):
    part.write_bytes(CONTENT[:3_000_000])
    server.answers = [(status, {"Retry-After": "120"}, PAGE)]
    assert fetch() == [120]
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({}, 5),
        ({"Retry-After": "2"}, 5),
        ({"Retry-After": "86400"}, 600),
        ({"Retry-After": "9" * 5000}, 5),
        ({"Retry-After": "soon"}, 5),
        ({"Retry-After": "-3"}, 5),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 5),
        (
            {
                "Date": "Wed, 21 Oct 2015 07:28:00 GMT",
                "Retry-After": "Wed, 21 Oct 2015 07:30:00 GMT",
            },
            120,
        ),
        ({"Retry-After": "Fri, 21 Oct 9999 07:28:00 GMT"}, 600),
        ({"Retry-After": f"Fri, 21 Oct {10**30} 07:28:00 GMT"}, 5),
        ({"Retry-After": "Fri, 21 Oct 9999 07:28:00 -0000"}, 5),
    ],
)
def test_how_long_it_waits(server, fetch, capsys, headers, pause_s):
    server.answers = [(503, headers, b"")]
    assert fetch() == [pause_s]
    said = capsys.readouterr().out
    assert f"503 Service Unavailable; trying again in {pause_s} s" in said
    assert ("(the server asks for" in said) == (pause_s == 600)


def test_it_waits_longer_each_time_and_then_gives_up(server, part, fetch):
    part.write_bytes(CONTENT[:3_000_000])
    server.answers = [(503, {}, b"")] * 7
    assert fetch() == [5, 10, 20, 40, 80, 160, 320]
    server.answers = [(503, {}, b"")] * 8
    part.write_bytes(CONTENT[:3_000_000])
    with pytest.raises(
        errors.UserError,
        match=r"503 .*What has come is kept in .*\.part\. Run the command "
        "again",
    ):
        fetch()
    assert not server.answers
    assert part.read_bytes() == CONTENT[:3_000_000]


def test_a_server_that_gives_nothing_ends_the_attempts(server, part, fetch):
    server.cuts = [0] * 100
    with pytest.raises(errors.UserError, match="the connection was cut"):
        fetch()
    assert len(server.ranges) == 8


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"Content-Type": "text/html; charset=utf-8"}, b"Busy"),
        (200, {"Content-Type": "application/json"}, b"[]"),
        (200, {}, PAGE),
        (200, {}, b"\xef\xbb\xbf" + PAGE),
        (200, {}, b'{"status": 500}'),
        (206, {"Content-Type": "text/HTML"}, PAGE),
        (206, {"Content-Range": "bytes 7-9/10"}, bytes(3)),
        (204, {}, b""),
        (302, {}, b""),
    ],
)
@pytest.mark.parametrize("num_there", [0, 3_000_000])
def test_another_answer_than_the_file_is_no_part_of_it(
    server, part, fetch, answer, num_there
):
    part.write_bytes(CONTENT[:num_there])
    server.answers = [answer]
    assert fetch(num_bytes=None) == [5]
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize("num_bytes", [None, len(CONTENT)])
@pytest.mark.parametrize(
    "change",
    [
        # Another file of the same length, of another one.
        {"content": CONTENT[::-1], "knows_ranges": False},
        {"content": CONTENT[:-1]},
        {"content": CONTENT + b"x"},
        {"content": CONTENT[:2_000_000]},
        {"content": CONTENT[::-1], "headers": {"ETag": '"b"'}},
        {"headers": {"ETag": '"b"'}, "knows_if_range": False},
    ],
)
def test_a_file_that_changes_between_two_calls_is_refused(
    server, part, fetch, change, num_bytes
):
    server.headers = {"ETag": '"a"'}
    server.cuts = [3_000_000]
    with pytest.raises(KeyboardInterrupt):
        _interrupted(server, part)
    there = part.read_bytes()
    assert len(there) > 2_000_000
    for name, value in change.items():
        setattr(server, name, value)
    with pytest.raises(
        errors.UserError, match=r"no longer the file whose|is not the expected"
    ) as caught:
        fetch(num_bytes=num_bytes)
    assert str(part) in str(caught.value)
    assert "kept" in str(caught.value)
    assert part.read_bytes() == there


def _interrupted(server, part):
    def interrupt(seconds):
        raise KeyboardInterrupt

    transfer.fetch(server.file().url, part, num_bytes=None, sleep=interrupt)


def test_an_etag_that_differs_from_node_to_node_costs_only_time(
    server, part, fetch
):
    server.headers = {"ETag": '"a"'}
    server.cuts = [3_000_000]
    with pytest.raises(KeyboardInterrupt):
        _interrupted(server, part)
    server.headers = {"ETag": '"b"'}
    fetch()
    assert server.requests[-1]["If-Range"] == '"a"'
    assert part.read_bytes() == CONTENT


def test_a_server_that_takes_tar_gz_for_an_encoding_sends_the_same_bytes(
    server, part, fetch
):
    server.content = gzip.compress(CONTENT[:100_000])
    server.headers = {"Content-Encoding": "gzip"}
    server.cuts = [70_000]
    fetch(num_bytes=len(server.content))
    assert part.read_bytes() == server.content


def test_a_weak_etag_is_not_asked_for(server, part, fetch):
    server.headers = {"ETag": 'W/"a"'}
    server.cuts = [3_000_000]
    fetch()
    assert "If-Range" not in server.requests[-1]
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize("noted", [b"", b"[]", b'{"etag": 1}'])
def test_a_damaged_note_of_the_server_is_passed_over(
    server, part, fetch, noted
):
    part.write_bytes(CONTENT[:3_000_000])
    part.with_name(f"{part.name}.json").write_bytes(noted)
    fetch()
    assert part.read_bytes() == CONTENT


def test_what_the_server_says_is_noted(server, part):
    server.headers = {"ETag": '"a"'}
    server.cuts = [3_000_000]
    with pytest.raises(KeyboardInterrupt):
        _interrupted(server, part)
    noted = json_files.read(part.with_name(f"{part.name}.json"))
    assert noted == {"etag": '"a"', "num_bytes": 5_000_000}


def test_a_wrong_size_is_refused_before_the_download(part, fetch):
    with pytest.raises(errors.UserError, match="Expected 70,000"):
        fetch(num_bytes=70_000)
    assert not list(part.parent.iterdir())


@pytest.mark.parametrize("num_bytes", [4_000_000, 6_000_000])
def test_a_known_size_is_expected_of_a_server_that_says_none(
    server, part, fetch, num_bytes
):
    server.says_size = False
    server.knows_ranges = False
    with pytest.raises(
        errors.UserError, match=r"more than 4,000,000|cannot be downloaded"
    ):
        fetch(num_bytes=num_bytes)
    assert CONTENT.startswith(part.read_bytes())


def test_a_part_longer_than_the_file_is_kept(server, part, fetch):
    part.write_bytes(CONTENT + b"more")
    with pytest.raises(errors.UserError, match="no longer the file"):
        fetch(num_bytes=None)
    assert part.read_bytes() == CONTENT + b"more"


@pytest.mark.parametrize(
    ("status", "match"),
    [
        (401, "forbids it, 401 Unauthorized"),
        (403, "forbids it, 403 Forbidden"),
        (404, "404 Not Found. Look for the current record"),
        (410, "410 Gone. Look for the current record"),
    ],
)
def test_a_refusal_is_said_at_once(server, part, fetch, status, match):
    part.write_bytes(CONTENT[:3_000_000])
    server.answers = [(status, {"Retry-After": "1"}, PAGE)]
    with pytest.raises(errors.UserError, match=match):
        fetch()
    assert len(server.ranges) == 1
    assert part.read_bytes() == CONTENT[:3_000_000]


def test_a_disk_that_fills_up_keeps_what_has_come(part, fetch, monkeypatch):
    part.write_bytes(CONTENT[:3_000_000])

    class Full:
        """A file that takes nothing more."""

        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    opens = pathlib.Path.open
    monkeypatch.setattr(
        pathlib.Path,
        "open",
        lambda path, mode="r", **options: (
            Full(opens(path, mode)) if mode == "r+b" else opens(path, mode)
        ),
    )
    with pytest.raises(
        errors.UserError,
        match=r"\.part cannot be written: No space left.*What has come is kept",
    ):
        fetch()
    assert part.read_bytes() == CONTENT[:3_000_000]
