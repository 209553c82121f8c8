"""Reading the files of an extracted archive."""

import errno
import os
import pickle

import pytest

from ben_tf import errors
from ben_tf.archive import patch_sources


@pytest.fixture
def source(tmp_path) -> patch_sources.FolderSource:
    patch = tmp_path / "patch"
    patch.mkdir()
    (patch / "patch_B02.tif").write_bytes(b"pixels")
    (patch / ".hidden").touch()
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "README").touch()
    return patch_sources.FolderSource(tmp_path)


def test_names_leave_out_what_is_hidden(source):
    assert sorted(source.patch_names()) == ["README", "patch"]
    assert source.file_names("patch") == ["patch_B02.tif"]
    assert source.file_names("README") == []


def test_files_come_whole_in_other_processes_too(source):
    for each in (source, pickle.loads(pickle.dumps(source))):
        assert each.read_file("patch", "patch_B02.tif") == b"pixels"


def test_what_cannot_be_read_is_named(source, tmp_path):
    with pytest.raises(errors.ArchiveError, match=r"patch/x\.tif is missing"):
        source.read_file("patch", "x.tif")
    (tmp_path / "patch" / "folder.tif").mkdir()
    with pytest.raises(errors.ArchiveError, match="cannot be read"):
        source.read_file("patch", "folder.tif")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_what_a_disk_refuses_is_no_damage(source, monkeypatch, code):
    def refuse(path, *_, **__):
        raise OSError(code, os.strerror(code), path)

    monkeypatch.setattr(patch_sources, "open", refuse, raising=False)
    with pytest.raises(
        patch_sources.UnreadableError,
        match=rf"patch/patch_B02\.tif cannot be read: {os.strerror(code)}\.",
    ) as error:
        source.read_file("patch", "patch_B02.tif")
    # From a worker process.
    again = pickle.loads(pickle.dumps(error.value))
    assert type(again) is patch_sources.UnreadableError
    assert str(again) == str(error.value)


@pytest.mark.parametrize("surplus", [0, 1])
def test_the_size_of_a_file_is_bounded(source, tmp_path, surplus):
    size = patch_sources.MAX_FILE_BYTES + surplus
    (tmp_path / "patch" / "large.tif").write_bytes(bytes(size))
    if not surplus:
        assert len(source.read_file("patch", "large.tif")) == size
        return
    with pytest.raises(errors.ArchiveError, match="is too large"):
        source.read_file("patch", "large.tif")


def test_a_pipe_in_place_of_a_file_is_damage(tmp_path):
    (tmp_path / "patch").mkdir()
    os.mkfifo(tmp_path / "patch" / "band.tif")
    with pytest.raises(errors.ArchiveError, match="no regular file") as error:
        patch_sources.FolderSource(tmp_path).read_file("patch", "band.tif")
    assert not isinstance(error.value, patch_sources.UnreadableError)
