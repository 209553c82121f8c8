"""Who comes second is told so, whatever the disk knows of locks."""

import contextvars
import errno
import fcntl
import multiprocessing
import os

import pytest

from ben_tf import errors
from ben_tf import files
from ben_tf import folder_lock

MESSAGE = "Another one writes here."


def alone_in(folder):
    return folder_lock.alone_in(folder, message=MESSAGE)


def hold(folder, ready, release):
    with alone_in(folder):
        ready.set()
        release.wait()


def test_the_lock_ends_with_its_process(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path, ready, release))
    process.start()
    ready.wait()
    with pytest.raises(errors.UserError, match=MESSAGE), alone_in(tmp_path):
        pytest.fail("both are in")
    process.kill()
    process.join()
    with alone_in(tmp_path):
        pass


def test_who_holds_it_may_take_it_again(tmp_path):
    with alone_in(tmp_path):
        with alone_in(tmp_path / "." / "x" / ".."):
            pass
        # The inner one has not let it go.
        with pytest.raises(errors.UserError, match=MESSAGE):
            contextvars.Context().run(alone_in(tmp_path).__enter__)


def test_the_folder_is_made(tmp_path):
    with alone_in(tmp_path / "new" / "folder"):
        pass
    assert [p.name for p in (tmp_path / "new" / "folder").iterdir()] == [
        ".lock"
    ]


def answering(code):
    """A stand-in for flock on a network folder."""

    def flock(file, operation):
        # NFS locks only what is open for writing.
        os.write(file.fileno(), b"")
        raise OSError(code, os.strerror(code))

    return flock


@pytest.mark.parametrize("code", [errno.EWOULDBLOCK, errno.EACCES])
def test_held_by_another_machine(tmp_path, monkeypatch, code):
    monkeypatch.setattr(fcntl, "flock", answering(code))
    with pytest.raises(errors.UserError, match=MESSAGE), alone_in(tmp_path):
        pytest.fail("both are in")


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE])
def test_other_errors_are_not_hidden(tmp_path, monkeypatch, code):
    monkeypatch.setattr(fcntl, "flock", answering(code))
    with pytest.raises(OSError) as error, alone_in(tmp_path):
        pytest.fail("without a lock")
    assert error.value.errno == code


@pytest.fixture(
    params=[errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP]
)
def no_locks(request, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", answering(request.param))


def test_without_locks_a_file_says_who_writes(tmp_path, no_locks, capsys):
    owner = tmp_path / ".lock.owner"
    with alone_in(tmp_path):
        assert owner.read_text() == f"{files.host()} {os.getpid()}"
        assert f"{tmp_path} knows no locks" in capsys.readouterr().err
        with pytest.raises(
            errors.UserError,
            match=f"{MESSAGE} Process {os.getpid()} on .*{owner}",
        ):
            # As another thread, which does not hold the lock.
            contextvars.Context().run(alone_in(tmp_path).__enter__)
        # Who came second has not taken it away.
        assert owner.exists()
    assert not owner.exists()
    with alone_in(tmp_path):
        pass


def test_an_error_takes_the_file_away(tmp_path, no_locks):
    with pytest.raises(KeyboardInterrupt), alone_in(tmp_path):
        raise KeyboardInterrupt
    assert not (tmp_path / ".lock.owner").exists()


def test_what_a_killed_process_left_is_taken_over(tmp_path, no_locks):
    process = multiprocessing.get_context("spawn").Process(target=print)
    process.start()
    process.join()
    owner = tmp_path / ".lock.owner"
    owner.write_text(f"{files.host()} {process.pid}")
    with alone_in(tmp_path):
        assert owner.read_text().endswith(f" {os.getpid()}")


@pytest.mark.parametrize("content", ["elsewhere 1", "", "\x00", "a b c"])
def test_what_is_not_known_to_have_ended_stays(tmp_path, no_locks, content):
    owner = tmp_path / ".lock.owner"
    owner.write_text(content)
    with pytest.raises(errors.UserError, match=MESSAGE), alone_in(tmp_path):
        pytest.fail("both are in")
    assert owner.read_text() == content
