"""A build that is killed, and two builds at a time."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile

import pytest
import tensorflow_datasets as tfds

from ben_tf import errors
from tfrecords_builder import dataset

pytestmark = pytest.mark.slow

# Where finished shards wait for the next build.
KEPT = "incomplete.KEPT_1.0.0"

# Builds with two workers and stops for ever after the first pair.
HANGING_BUILD = """
import os, sys, threading
from tfrecords_builder import dataset, patch_table

def hang(path, parts):
    next(iter(parts))
    os.write(1, b"hanging\\n")
    threading.Event().wait()

if __name__ == "__main__":
    patch_table.write = hang
    dataset.build(
        archive_dir=sys.argv[1], data_dir=sys.argv[2], num_workers=2
    )
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
        with pytest.raises(errors.UserError, match="Another build"):
            dataset.build(archive_dir=real_archive, data_dir=data_dir)
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

    # A moment earlier, TFDS would have left this one as well.
    config_dir = data_dir / "bigearthnet_mm" / ".config"
    (config_dir / f"incomplete.{'0' * 32}.metadata.json").touch()
    builder = dataset.build(archive_dir=real_archive, data_dir=data_dir)
    assert (
        "a build was interrupted. Its 3 finished shards are kept"
        in capsys.readouterr().out
    )
    assert builder.info.splits.total_num_examples == 6
    assert not list(data_dir.rglob("incomplete*"))
    assert len(tfds.builder_from_directory(builder.data_path).info.splits) == 3


def test_a_failed_build_leaves_finished_shards_alone(archive_dir, tmp_path):
    next(archive_dir.glob("*/*/*_VH.tif")).unlink()
    with pytest.raises(errors.UserError):
        dataset.build(archive_dir=archive_dir, data_dir=tmp_path / "data")
    left = [p for p in (tmp_path / "data").rglob("*") if p.is_file()]
    # TFDS notes which config is the default one.
    assert {p.name for p in left if p.parent.name != KEPT} == {
        ".lock",
        "metadata.json",
    }
    dataset.build(
        archive_dir=archive_dir, data_dir=tmp_path / "data", on_error="skip"
    )
    assert versions(tmp_path / "data") == ["1.0.0"]


# Each build ends itself with kill -9 in its process at one point. One process
# imports TensorFlow and forks them all.
KILLED_BUILDS = """
import os, pathlib, shutil, signal, sys

import tensorflow_datasets as tfds
from pyarrow import parquet

from ben_tf.archive import official_lists, patch_pair, tar_index
from tfrecords_builder import dataset

def kill_at(owner, name, *, call=1, before=True):
    original = getattr(owner, name)
    calls = []
    def replaced(*args, **kwargs):
        calls.append(name)
        if len(calls) < call:
            return original(*args, **kwargs)
        if not before:
            original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, name, replaced)

POINTS = {
    "inflating": lambda: kill_at(tar_index, "make", before=False),
    "first pair": lambda: kill_at(patch_pair, "read"),
    "amid shards": lambda: kill_at(patch_pair, "read", call=4),
    "patch table": lambda: kill_at(
        parquet.ParquetWriter, "write_table", call=2
    ),
    "before the rename": lambda: kill_at(
        tfds.core.DatasetInfo, "write_to_directory", before=False
    ),
    "before the swap": lambda: kill_at(pathlib.Path, "rename"),
    "amid the swap": lambda: kill_at(pathlib.Path, "rename", before=False),
    "after the swap": lambda: kill_at(
        pathlib.Path, "rename", call=2, before=False
    ),
}

if __name__ == "__main__":
    archive_dir, data_dir, overwrite, *points = sys.argv[1:]
    official_lists.official_patches()
    for point in points:
        if os.fork() == 0:
            POINTS[point]()
            dataset.build(
                archive_dir=archive_dir,
                data_dir=f"{data_dir}/{point}",
                num_workers=1,
                overwrite=overwrite == "overwrite",
            )
            os._exit(0)
        _, status = os.wait()
        assert os.WTERMSIG(status) == signal.SIGKILL, point
"""
BUILDING = (
    "inflating",
    "first pair",
    "amid shards",
    "patch table",
    "before the rename",
)
SWAPPING = ("before the swap", "amid the swap", "after the swap")


def kill_builds(archive_dir, data_dir, mode, points) -> None:
    script = data_dir / "killed_builds.py"
    script.write_text(KILLED_BUILDS)
    subprocess.run(
        [sys.executable, script, archive_dir, data_dir, mode, *points],
        env=os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        check=True,
    )


@pytest.fixture(scope="module")
def tarballs(real_archive, tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("tarballs")
    for stem, name in (
        ("BigEarthNet-S1-v1.0", "BigEarthNet-S1-v1.0"),
        ("BigEarthNet-S2-v1.0", "BigEarthNet-v1.0"),
    ):
        with tarfile.open(folder / f"{stem}.tar.gz", "w:gz") as tar:
            tar.add(real_archive / name, name)
    return folder


@pytest.fixture(scope="module")
def killed_dir(tarballs, tmp_path_factory) -> pathlib.Path:
    """A data dir for each point at which a first build was killed."""
    folder = tmp_path_factory.mktemp("killed")
    kill_builds(tarballs, folder, "new", BUILDING)
    return folder


@pytest.fixture(scope="module")
def killed_overwrite_dir(real_archive, tarballs, tmp_path_factory):
    """The same for builds with overwrite, of a dataset with a mark in it."""
    folder = tmp_path_factory.mktemp("killed_overwrite")
    old = folder / "old"
    builder = dataset.build(archive_dir=real_archive, data_dir=old)
    (builder.data_path / "OLD").touch()
    for point in BUILDING + SWAPPING:
        shutil.copytree(old, folder / point)
    kill_builds(tarballs, folder, "overwrite", BUILDING + SWAPPING)
    return folder


def is_old(data_dir: pathlib.Path) -> bool:
    """Whether the dataset that loads is the one that was to be replaced."""
    builder = tfds.builder("bigearthnet_mm", data_dir=data_dir)
    examples = [
        example["patch_name"]
        for split in builder.info.splits
        for example in tfds.as_numpy(builder.as_dataset(split=split))
    ]
    assert len(examples) == 6
    return (builder.data_path / "OLD").exists()


def versions(data_dir: pathlib.Path) -> list[str]:
    return os.listdir(data_dir / "bigearthnet_mm" / "v1")


@pytest.mark.parametrize("point", BUILDING)
def test_killed_anywhere_nothing_loads_and_the_next_build_finishes(
    killed_dir, real_archive, capsys, point
):
    data_dir = killed_dir / point
    left = versions(data_dir)
    assert len(left) == 1
    assert left[0].startswith("incomplete.")
    with pytest.raises(tfds.core.registered.DatasetNotFoundError):
        tfds.core.read_only_builder.builder_from_files(
            "bigearthnet_mm", data_dir=data_dir
        )
    dataset.build(archive_dir=real_archive, data_dir=data_dir)
    assert f"{left[0]}: a build was interrupted" in capsys.readouterr().out
    assert versions(data_dir) == ["1.0.0"]
    assert not is_old(data_dir)


@pytest.mark.parametrize("point", BUILDING + SWAPPING)
def test_a_killed_overwrite_loses_no_dataset(
    killed_overwrite_dir, real_archive, capsys, point
):
    data_dir = killed_overwrite_dir / point
    # Between two renames there is none; the next build puts the old one back.
    if point == "amid the swap":
        assert "1.0.0" not in versions(data_dir)
    else:
        assert is_old(data_dir) == (point != "after the swap")
    with pytest.raises(errors.UserError, match="already a dataset"):
        dataset.build(archive_dir=real_archive, data_dir=data_dir)
    assert set(versions(data_dir)) <= {"1.0.0", KEPT}
    assert is_old(data_dir) == (point != "after the swap")
    said = capsys.readouterr().out
    assert "a build was interrupted" in said
    assert ("Put back" in said) == (point == "amid the swap")
    dataset.build(archive_dir=real_archive, data_dir=data_dir, overwrite=True)
    assert versions(data_dir) == ["1.0.0"]
    assert not is_old(data_dir)


def test_a_failed_overwrite_keeps_the_old_dataset(archive_dir, tmp_path):
    dataset.build(archive_dir=archive_dir, data_dir=tmp_path / "data")
    next(archive_dir.glob("*/*/*_VH.tif")).unlink()
    with pytest.raises(errors.UserError, match="is missing"):
        dataset.build(
            archive_dir=archive_dir,
            data_dir=tmp_path / "data",
            overwrite=True,
        )
    assert set(versions(tmp_path / "data")) <= {"1.0.0", KEPT}
    assert not is_old(tmp_path / "data")
