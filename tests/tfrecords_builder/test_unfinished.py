"""A build that is killed, and two builds at a time."""

import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from ben_tf import command_line
from tfrecords_builder import build as build_lib
from tfrecords_builder import unfinished

# Builds with two workers and stops for ever after the first pair.
HANGING_BUILD = """
import os, sys, threading
from tfrecords_builder import build, patch_table

def hang(path, parts):
    next(iter(parts))
    os.write(1, b"hanging\\n")
    threading.Event().wait()

if __name__ == "__main__":
    patch_table.write = hang
    build.build(archive_dir=sys.argv[1], data_dir=sys.argv[2], num_workers=2)
"""


def processes_that_mention(text: str) -> list[int]:
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            pass
    return found


def test_a_killed_build_leaves_nothing_that_loads(
    real_archive, tmp_path, capsys
):
    script = tmp_path / "hanging_build.py"
    script.write_text(HANGING_BUILD)
    data_dir = tmp_path / "data"
    marker = f"BUILD_OF_{tmp_path.name}_{os.getpid()}"
    process = subprocess.Popen(
        [sys.executable, str(script), str(real_archive), str(data_dir)],
        env=os.environ
        | {
            "PYTHONPATH": str(pathlib.Path(__file__).parents[2]),
            "MARKER": marker,
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "hanging\n"
        # While it runs, another build is refused.
        with pytest.raises(command_line.UserError, match="Another build"):
            build_lib.build(archive_dir=real_archive, data_dir=data_dir)
        assert len(processes_that_mention(marker)) > 2
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert list(data_dir.rglob("*.tfrecord-*"))
    script = (
        "import sys, tensorflow_datasets as tfds\n"
        "try: tfds.load('bigearthnet_mm', data_dir=sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__)\n"
    )
    loading = subprocess.run(
        [sys.executable, "-I", "-c", script, str(data_dir)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert loading.stdout.split()[-1] == "DatasetNotFoundError"
    # By now the workers have noticed that their parent is gone.
    assert processes_that_mention(marker) == []

    builder = build_lib.build(archive_dir=real_archive, data_dir=data_dir)
    assert "a build was interrupted there" in capsys.readouterr().out
    assert builder.info.splits.total_num_examples == 6
    assert not list(data_dir.rglob("incomplete*"))
    assert len(tfds.builder_from_directory(builder.data_path).info.splits) == 3


def test_a_failed_build_leaves_nothing(archive_dir, tmp_path):
    next(archive_dir.glob("*/*/*_VH.tif")).unlink()
    with pytest.raises(command_line.UserError):
        build_lib.build(archive_dir=archive_dir, data_dir=tmp_path / "data")
    left = [p for p in (tmp_path / "data").rglob("*") if p.is_file()]
    # TFDS notes which config is the default one.
    assert [p.name for p in left] == ["metadata.json"]


def hold(dataset_dir, ready, release):
    with unfinished.alone_in(dataset_dir):
        ready.set()
        release.wait()


def test_the_lock_ends_with_its_process(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path, ready, release))
    process.start()
    ready.wait()
    with pytest.raises(command_line.UserError, match="Another build"):
        with unfinished.alone_in(tmp_path):
            pass
    process.kill()
    process.join()
    with unfinished.alone_in(tmp_path):
        assert not list(tmp_path.iterdir())
