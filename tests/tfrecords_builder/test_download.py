"""Downloading the files of an archive from a loopback server."""

import contextvars
import hashlib

import pytest

from ben_tf import errors
from ben_tf import folder_lock
from ben_tf.archive import layout
from ben_tf.archive import open_archive
from ben_tf.archive import v2_lists
from tests.tfrecords_builder import file_server
from tfrecords_builder import download

CONTENT, NAME = file_server.CONTENT, file_server.NAME


@pytest.fixture
def server():
    with file_server.running() as server:
        yield server


def fetch(folder, *files):
    download.download_archive(folder, files, wait_s=0)


def content_of(folder):
    """The files of a folder, but for its lock, which stays."""
    return [path for path in folder.iterdir() if path.name != ".lock"]


def test_a_file_is_downloaded_checked_and_named(server, tmp_path):
    fetch(tmp_path / "new", server.file())
    (path,) = content_of(tmp_path / "new")
    assert path.name == NAME
    assert path.read_bytes() == CONTENT


def test_a_whole_part_is_only_checked(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    fetch(tmp_path, server.file())
    assert [path.name for path in content_of(tmp_path)] == [NAME]
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_what_is_there_is_checked_and_not_fetched(server, tmp_path, capsys):
    (tmp_path / NAME).write_bytes(CONTENT)
    fetch(tmp_path, server.file())
    assert server.requests == []
    assert "there already; its MD5 is right" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (CONTENT[:1000], "1,000 bytes. Expected 5,000,000"),
        (b"", "0 bytes. Expected 5,000,000"),
        (bytes(len(CONTENT)), rf"MD5 \w+. Expected {file_server.MD5}"),
    ],
)
def test_what_is_there_and_wrong_is_named_and_kept(
    server, tmp_path, content, match
):
    (tmp_path / NAME).write_bytes(content)
    other = server.file(url=server.file().url.replace("S2", "S1"))
    with pytest.raises(errors.UserError, match=match) as caught:
        # Before the hours that the other file takes.
        fetch(tmp_path, other, server.file())
    assert str(tmp_path / NAME) in str(caught.value)
    assert server.requests == []
    assert [path.name for path in content_of(tmp_path)] == [NAME]
    assert (tmp_path / NAME).read_bytes() == content


def test_the_beginning_of_a_file_can_be_renamed_and_resumed(server, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT[:3_000_000])
    with pytest.raises(errors.UserError, match=rf"rename it to {NAME}\.part"):
        fetch(tmp_path, server.file())
    (tmp_path / NAME).rename(tmp_path / f"{NAME}.part")
    fetch(tmp_path, server.file())
    assert server.ranges == [3_000_000]
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_size_that_nobody_knows_is_left_to_the_checksum(server, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT[:1000])
    md5 = hashlib.md5(CONTENT[:1000]).hexdigest()
    fetch(tmp_path, server.file(num_bytes=None, md5=md5))
    with pytest.raises(errors.UserError, match="is not the official file"):
        fetch(tmp_path, server.file(num_bytes=None))


def test_a_wrong_checksum_is_refused_and_the_file_put_aside(server, tmp_path):
    # What an earlier call has put aside stays, too.
    for names in [{f"{NAME}.wrong"}, {f"{NAME}.wrong", f"{NAME}.wrong-2"}]:
        with pytest.raises(errors.UserError, match="wrong checksum: MD5"):
            fetch(tmp_path, server.file(md5="0" * 32))
        assert {path.name for path in content_of(tmp_path)} == names
    assert all(path.read_bytes() == CONTENT for path in content_of(tmp_path))


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
    server.says_size = False
    server.headers = {"Content-Range": "bytes 0-/*"}
    with pytest.raises(errors.UserError, match=r"60\.0 GB needed"):
        fetch(
            tmp_path,
            server.file(num_bytes=None, most_bytes=60_000_000_000),
        )
    assert not content_of(tmp_path)


def test_two_downloads_at_once_do_not_meet(server, tmp_path):
    with (
        folder_lock.alone_in(tmp_path, message="the first"),
        pytest.raises(errors.UserError, match="Another process downloads to"),
    ):
        contextvars.Context().run(fetch, tmp_path, server.file())
    assert not content_of(tmp_path)
    assert server.requests == []


@pytest.mark.parametrize("version", layout.OFFICIAL)
def test_the_official_files_are_those_that_a_build_looks_for(version):
    lies = layout.LAYOUTS[version]
    names = {file.url.rsplit("/", 1)[1] for file in download.FILES[version]}
    tarballs = {
        sensor.tarball_stems[0] + lies.tar_suffixes[-1]
        for sensor in lies.all_layouts.values()
    }
    tables = {"v1": set(), "v2": {v2_lists.TABLE, v2_lists.FLAGGED_TABLE}}
    assert names == tarballs | tables[version]
    # Two files with one checksum would be a slip of the pen.
    assert len({file.md5 for file in download.FILES[version]}) == len(names)
