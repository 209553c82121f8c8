"""What cannot be written is found out before work begins."""

import errno
import json
import os
import pathlib
import socket
import stat
import subprocess
import sys
import tempfile

import pytest

from ben_tf import errors
from ben_tf import files
from ben_tf import foreign_errors
from ben_tf import saved_model
from ben_tf.evaluation import evaluation
from ben_tf.predict import patches
from ben_tf.predict import scene
from ben_tf.report import reports
from ben_tf.retrieval import gallery
from ben_tf.retrieval import index_builder
from ben_tf.retrieval import index_evaluation
from ben_tf.training import exports
from ben_tf.training import released_weights
from tests import json_files
from tests import permissions


def sentence(path, **options) -> str:
    with pytest.raises(OSError) as error:
        files.check_writable(path, **options)
    return foreign_errors.sentence(error.value)


@pytest.mark.parametrize("first", "=+-@\t\r")
def test_cells_are_no_formulas(first):
    assert files.csv_cell(f"{first}1") == f"'{first}1"
    assert files.csv_cell(f"x{first}") == f"x{first}"
    assert files.csv_cell("") == ""


def test_what_can_be_written(tmp_path):
    for path in ("file", "new/folders/file"):
        files.check_writable(tmp_path / path)
        files.check_writable(tmp_path / path, is_folder=True)
    files.check_writable(tmp_path, is_folder=True)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_place_of_a_file(tmp_path):
    assert sentence(tmp_path) == (
        f"{tmp_path}: Is a directory. Expected a file; this is a folder."
    )
    with pytest.raises(IsADirectoryError), files.replacing(tmp_path):
        pytest.fail("work began")


def test_a_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "file").touch()
    for path in ("file/x", "file/x/y"):
        assert f"{tmp_path}/file: Not a directory." in sentence(tmp_path / path)
    assert "file: Not a dir" in sentence(tmp_path / "file", is_folder=True)


@pytest.mark.parametrize(
    ("code", "way_out"),
    [
        (errno.EROFS, "read-only; choose another place"),
        (errno.EACCES, "Give yourself the permission"),
        (errno.ENOSPC, "Make room"),
        (errno.EDQUOT, "Make room"),
    ],
)
def test_disks_that_refuse(tmp_path, monkeypatch, code, way_out):
    def refuse(**_):
        raise OSError(code, os.strerror(code), "/some/temporary/name")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    found = sentence(tmp_path / "new" / "file")
    assert found.startswith(f"{tmp_path}: {os.strerror(code)}.")
    assert way_out in found


def test_a_full_disk_is_found_by_writing(tmp_path, monkeypatch):
    """A file can be made on it, but /dev/full takes no byte."""
    monkeypatch.setattr(
        tempfile, "TemporaryFile", lambda **_: open("/dev/full", "wb")
    )
    assert "No space left on device. Make room" in sentence(tmp_path / "file")


@pytest.mark.parametrize(
    "start",
    [
        lambda bad, run, index: released_weights.import_checkpoint(
            checkpoint="/absent", workdir=bad, model="resnet50", modality="S2"
        ),
        lambda bad, run, index: reports.write_report(
            workdir=run, data_dir="/absent", output=bad
        ),
        lambda bad, run, index: index_builder.build_index(
            saved_model="/absent", data_dir="/absent", output_dir=bad
        ),
        lambda bad, run, index: gallery.write_gallery(
            index=index, data_dir="/absent", output_file=bad
        ),
        lambda bad, run, index: index_evaluation.write_scores(
            archives=[index], queries=[index], output_file=bad
        ),
        lambda bad, run, index: patches.predict(
            saved_model="/absent", output=bad, input_paths=["/absent"]
        ),
        lambda bad, run, index: scene.predict_scene(
            None, s2_scene="/absent", s1_scene=None, output=f"{bad}/x.tif"
        ),
    ],
)
def test_nothing_is_begun_that_cannot_be_written(
    start, workdir, sample_index, tmp_path, monkeypatch
):
    """Whatever the command, a file is where a folder has to be."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(saved_model, "load", lambda *_: pytest.fail("began"))
    with pytest.raises(NotADirectoryError):
        start(tmp_path / "file" / "x", workdir, sample_index)


@pytest.mark.parametrize(
    "start",
    [
        lambda run: evaluation.evaluate(workdir=run, data_dir="/absent"),
        lambda run: exports.export_best(run),
    ],
)
def test_nothing_is_begun_in_a_workdir_that_is_read_only(
    start, workdir, monkeypatch
):
    def refuse(**_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(saved_model, "load", lambda *_: pytest.fail("began"))
    monkeypatch.setattr(saved_model, "save", lambda *_: pytest.fail("began"))
    with pytest.raises(OSError, match=r"Read-only file system: .*run"):
        start(workdir)


# Each process ends itself with kill -9 before one of its calls to the system,
# the next one before the next call, until one gets through; then another
# process does the same again. Prints what could be read, each time.
KILLED = """
import ctypes, os, pathlib, shutil, signal, sys, tempfile
from ben_tf import files

folder = pathlib.Path(sys.argv[1])
is_folder, can_exchange = sys.argv[2] == "folder", sys.argv[3] == "True"
path = folder / "result"
calls = ("replace", "rename", "fsync", "open", "unlink", "rmdir", "mkdir")
count = 0

def killing(function, at):
    def call(*args, **kwargs):
        global count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call

def write(text):
    if is_folder:
        with files.replacing_folder(path) as part:
            part.mkdir()
            for name in ("a", "b"):
                (part / name).write_text(text)
    else:
        files.write(path, text * 2)

def read():
    if not path.exists():
        return "nothing"
    if not is_folder:
        return path.read_text()
    return "".join((path / name).read_text() for name in ("a", "b"))

def child(function):
    process = os.fork()
    if not process:
        function()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

if not can_exchange:
    files._exchange = lambda *_: False
exchange = files._exchange
at, code = 1, None
while code != 0:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    child(lambda: write("old"))
    def killed():
        for name in calls:
            setattr(os, name, killing(getattr(os, name), at))
        files._exchange = killing(exchange, at)
        write("new")
    code = child(killed)
    after_kill = read()
    child(lambda: write("new"))
    left = sorted(x.name for x in folder.iterdir())
    print(code, after_kill, read(), *left)
    at += 1
"""


@pytest.mark.parametrize("can_exchange", [True, False])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_killed_at_any_call_the_old_or_the_new_is_there(
    tmp_path, kind, can_exchange
):
    result = subprocess.run(
        [
            *(sys.executable, "-c", KILLED),
            *(tmp_path / "x", kind, str(can_exchange)),
        ],
        cwd=pathlib.Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.split() for line in result.stdout.splitlines()]
    assert not result.stderr
    *killed, (last, *_) = lines
    assert last == "0"
    assert len(killed) > (8 if kind == "folder" else 4)
    seen = set()
    for code, after_kill, after_rerun, *left in killed:
        assert code == "-9"
        seen.add(after_kill)
        assert after_rerun == "newnew"
        assert left == ["result"]
    # Without an exchange there is one moment with neither in place.
    neither = kind == "folder" and not can_exchange
    assert seen == {"oldold", "newnew"} | ({"nothing"} if neither else set())


def test_the_old_folder_is_put_back_where_the_new_one_never_came(tmp_path):
    dead = _dead_process()
    old = tmp_path / f"result.{files._me().split('.')[0]}.{dead}.old"
    old.mkdir()
    (old / "a").write_text("old")
    with (
        pytest.raises(RuntimeError),
        files.replacing_folder(tmp_path / "result"),
    ):
        raise RuntimeError
    assert (tmp_path / "result" / "a").read_text() == "old"
    assert not old.exists()


def _dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_who_runs():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)
    assert files.is_running(process.pid)
    process.communicate(b"\n")
    assert not files.is_running(process.pid)
    # That of the system, of another user.
    assert files.is_running(1)
    assert not files.is_running(10**30)


def test_only_what_processes_of_this_host_left_is_removed(tmp_path):
    host, me = files._me().split(".")
    dead = _dead_process()
    kept = {
        f"result.elsewhere.{dead}.part",
        f"result.{host}.1.part",
        f"other.{host}.{dead}.part",
        "result.part",
        "result.csv",
        f"result.{host}.x.part",
    }
    for name in (*kept, f"result.{host}.{dead}.part"):
        (tmp_path / name).touch()
    files.write(tmp_path / "result", "text")
    assert {p.name for p in tmp_path.iterdir()} == kept | {"result"}
    assert int(me) == os.getpid()


def test_scratch_of_a_killed_process_is_removed(tmp_path):
    left = tmp_path / f"ben_tf.{files._me().split('.')[0]}.{_dead_process()}.x"
    (left / "deep").mkdir(parents=True)
    with files.scratch_folder(tmp_path) as scratch:
        assert not left.exists()
        assert scratch.is_dir()
        assert scratch.parent == tmp_path
        with files.scratch_folder(tmp_path) as other:
            assert other != scratch
            assert scratch.is_dir()
    assert not list(tmp_path.iterdir())


@pytest.fixture(params=["pipe", "socket", "device"])
def no_file(request, tmp_path):
    path = tmp_path / "in_place_of_a_file"
    if request.param == "pipe":
        os.mkfifo(path)
        yield path
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.fspath(path))
            yield path
    else:
        path.symlink_to("/dev/zero")
        yield path


def test_what_is_no_regular_file_is_not_waited_for(no_file):
    with pytest.raises(OSError) as error:
        files.check_regular(no_file)
    assert error.value.errno == errno.ENXIO
    with pytest.raises(errors.UserError, match=r"cannot be read.* Remedy\."):
        files.read_json(no_file, dict, remedy="Remedy.")


VALUES = [{"a": 1, "é": [0.5, None]}, {"a": {"b": {}}}, {}, [1, {"a": 2}], 3]


@pytest.mark.parametrize("value", VALUES)
def test_json_comes_back(tmp_path, value):
    path = files.write_json(tmp_path / "x.json", value)
    assert files.read_json(path, object, remedy="") == value
    if isinstance(value, dict):
        # For those who read it without this package.
        assert json_files.read(path) == value


@pytest.mark.parametrize("value", VALUES[:2])
def test_every_changed_bit_of_json_is_refused_or_means_nothing(tmp_path, value):
    path = files.write_json(tmp_path / "x.json", value)
    content = path.read_bytes()
    num_refused = 0
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            found = files.read_json(path, dict, remedy="Remedy.")
        except errors.UserError as error:
            assert str(error).endswith("Remedy.")
            num_refused += 1
        else:
            # The name of the checksum, which is then unknown, or a blank.
            assert {k: found[k] for k in value} == value
    assert num_refused > 6 * len(content)


def test_json_without_a_checksum_is_that_of_an_earlier_version(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"a": 1}\n')
    assert files.read_json(path, dict, remedy="") == {"a": 1}


def test_json_that_another_program_has_changed_says_how_to_keep_it(tmp_path):
    path = files.write_json(tmp_path / "x.json", {"a": 1})
    path.write_text(json.dumps(json.loads(path.read_text()) | {"a": 2}))
    with pytest.raises(errors.UserError, match='remove "crc32"'):
        files.read_json(path, dict, remedy="")
    path.write_text('{"a": 2}')
    assert files.read_json(path, dict, remedy="") == {"a": 2}


def test_a_folder_that_may_not_be_listed_is_replaced_whole(tmp_path):
    """As a user without rights over permissions, root being none."""
    old = tmp_path / "x" / "closed" / "inside"
    old.mkdir(parents=True)
    (old / "file").touch()
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    (old / "link").symlink_to(outside)
    with permissions.obeyed():
        old.parent.chmod(0)
        (tmp_path / "x").chmod(0)
        with files.replacing_folder(tmp_path / "x") as part:
            part.mkdir()
    assert {path.name for path in tmp_path.iterdir()} == {"x", "outside"}
    assert not list((tmp_path / "x").iterdir())
    assert stat.S_IMODE(outside.stat().st_mode) == 0o500


def test_a_folder_that_may_not_be_read_is_not_an_empty_one(tmp_path):
    (tmp_path / "a.txt").touch()
    assert files.listed(tmp_path, "*.txt") == [tmp_path / "a.txt"]
    assert files.listed(tmp_path, "*.TXT") == []
    with permissions.denied(tmp_path), pytest.raises(PermissionError):
        files.listed(tmp_path)


def test_regular_opens_files_and_leaves_folders_to_the_caller(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    with open(tmp_path / "file", "rb", opener=files.regular) as file:
        assert file.read() == b"content"
    with pytest.raises(IsADirectoryError):
        open(tmp_path, "rb", opener=files.regular)
    with pytest.raises(FileNotFoundError):
        files.check_regular(tmp_path / "none")
