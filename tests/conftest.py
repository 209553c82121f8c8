"""A small synthetic archive and what the main job makes of it.

All of it is made once a test run: the workers of pytest-xdist share it. It is
read-only by agreement; a test that writes takes a copy.

What needs TensorFlow is imported where it is used: the process that hands out
tests to workers loads this file as well, and so do tests that need none of it.
"""

import fcntl
import os
import pathlib
import shutil
import tarfile
from collections.abc import Callable

# Before TensorFlow is imported: workers share the cores already.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import pytest

from ben_tf import config as config_lib
from ben_tf.archive import official_lists
from tfrecords_builder import sample_writer

FOLDERS = {"S1": "BigEarthNet-S1-v1.0", "S2": "BigEarthNet-v1.0"}

MakeOnce = Callable[[str, Callable[[pathlib.Path], object]], pathlib.Path]


@pytest.fixture(scope="session")
def make_once(tmp_path_factory) -> MakeOnce:
    """Makes a folder by name, unless this or another worker has done so."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def make_folder(name, make) -> pathlib.Path:
        folder = root / "shared" / name
        folder.parent.mkdir(exist_ok=True)
        with folder.with_suffix(".lock").open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.seek(0)
            if not lock.read():
                # What a maker has left that failed.
                shutil.rmtree(folder, ignore_errors=True)
                make(folder)
                lock.write("made")
        return folder

    return make_folder


@pytest.fixture(scope="session")
def real_archive(make_once) -> pathlib.Path:
    """The archive folder of the six real pairs."""

    def extract(root) -> None:
        for sensor, tarball in official_lists.example_tarballs().items():
            with tarball.open("rb") as file, tarfile.open(fileobj=file) as tar:
                tar.extractall(root, filter="data")
            example = root / f"BigEarthNet-{sensor}-Example"
            example.rename(root / FOLDERS[sensor])

    return make_once("real_archive", extract)


@pytest.fixture
def archive_dir(real_archive, tmp_path) -> pathlib.Path:
    """A copy to damage."""
    return shutil.copytree(real_archive, tmp_path / "archive")


@pytest.fixture(scope="session")
def real_pairs(real_archive) -> list[official_lists.OfficialPatch]:
    names = sorted(
        path.name for path in (real_archive / FOLDERS["S2"]).iterdir()
    )
    return [official_lists.official_patches()[name] for name in names]


@pytest.fixture(scope="session")
def sample_archive_dir(make_once) -> pathlib.Path:
    """48 pairs, six of them real."""
    return make_once(
        "sample_archive",
        lambda folder: sample_writer.write_sample_archive(folder, num_pairs=48),
    )


@pytest.fixture(scope="session")
def data_dir(sample_archive_dir, make_once) -> pathlib.Path:
    """The 48 pairs as TFRecords."""
    from tfrecords_builder import dataset

    return make_once(
        "data",
        lambda folder: dataset.build(
            archive_dir=sample_archive_dir, data_dir=folder, num_workers=1
        ),
    )


@pytest.fixture(scope="session")
def reordered_data_dir(data_dir, make_once) -> pathlib.Path:
    """The records of `data_dir` in another order: another dataset."""
    import tensorflow as tf

    def reorder(folder) -> None:
        shutil.copytree(data_dir, folder)
        for path in map(os.fspath, folder.rglob("*.tfrecord-*")):
            records = list(tf.data.TFRecordDataset(path).as_numpy_iterator())
            with tf.io.TFRecordWriter(path) as writer:
                for record in reversed(records):
                    writer.write(record)

    return make_once("reordered", reorder)


@pytest.fixture(scope="session")
def v2_archive_dir(make_once) -> pathlib.Path:
    """24 synthetic pairs in the layout of v2.0."""
    return make_once(
        "v2_archive",
        lambda folder: sample_writer.write_sample_archive(
            folder, num_pairs=24, version="v2"
        ),
    )


@pytest.fixture(scope="session")
def v2_data_dir(v2_archive_dir, make_once) -> pathlib.Path:
    """Those as TFRecords."""
    from tfrecords_builder import dataset

    return make_once(
        "v2_data",
        lambda folder: dataset.build(
            archive_dir=v2_archive_dir,
            data_dir=folder,
            version="v2",
            num_workers=1,
        ),
    )


@pytest.fixture(scope="session")
def larger_data_dir(make_once) -> pathlib.Path:
    """620 pairs as TFRecords, enough to learn something from."""
    from tfrecords_builder import dataset

    def build_larger(folder) -> None:
        sample_writer.write_sample_archive(folder / "archive", num_pairs=620)
        dataset.build(archive_dir=folder / "archive", data_dir=folder / "data")
        shutil.rmtree(folder / "archive")

    return make_once("larger", build_larger) / "data"


@pytest.fixture(scope="session")
def tiny_config(data_dir) -> config_lib.Config:
    """One epoch of two steps."""
    return config_lib.Config(
        data_dir=str(data_dir),
        model="small_cnn",
        batch_size=8,
        epochs=1,
        train_split="train[:16]",
        validation_split="validation",
    )


@pytest.fixture(scope="session")
def workdir(tiny_config, make_once) -> pathlib.Path:
    """A finished run of `tiny_config`."""
    from ben_tf.training import trainer

    return make_once("run", lambda folder: trainer.train(tiny_config, folder))


@pytest.fixture(scope="session")
def sample_index(workdir, data_dir, make_once) -> pathlib.Path:
    """An index of the sample archive's test split."""
    from ben_tf.retrieval import index_builder

    return make_once(
        "index",
        lambda folder: index_builder.build_index(
            saved_model=workdir / "saved_model",
            data_dir=data_dir,
            output_dir=folder,
        ),
    )


def pytest_collection_modifyitems(items) -> None:
    """Marks what learns something as slow."""
    for item in items:
        if "larger_data_dir" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def dask(tmp_path_factory):
    """A Dask cluster of a scheduler and two workers; not to be killed."""
    from tests.ben_tf.cluster import dask_processes

    with dask_processes.started(tmp_path_factory.mktemp("dask") / "x") as found:
        yield found
