"""A small synthetic archive and what the main job makes of it, made once."""

import pathlib
import shutil
import tarfile

import pytest

from ben_tf import config as config_lib
from ben_tf.archive import official_lists
from ben_tf.training import trainer
from tfrecords_builder import build
from tfrecords_builder import sample_archive

FOLDERS = {"S1": "BigEarthNet-S1-v1.0", "S2": "BigEarthNet-v1.0"}


@pytest.fixture(scope="session")
def real_archive(tmp_path_factory) -> pathlib.Path:
    """The archive folder; read-only by agreement."""
    root = tmp_path_factory.mktemp("archive")
    for sensor, tarball in official_lists.example_tarballs().items():
        with tarball.open("rb") as file, tarfile.open(fileobj=file) as tar:
            tar.extractall(root, filter="data")
        example = root / f"BigEarthNet-{sensor}-Example"
        example.rename(root / FOLDERS[sensor])
    return root


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
def sample_archive_dir(tmp_path_factory) -> pathlib.Path:
    """48 pairs, six of them real; read-only by agreement."""
    return sample_archive.write_sample_archive(
        tmp_path_factory.mktemp("sample") / "archive", num_pairs=48
    )


@pytest.fixture(scope="session")
def data_dir(sample_archive_dir, tmp_path_factory) -> pathlib.Path:
    """The 48 pairs as TFRecords; read-only by agreement."""
    folder = tmp_path_factory.mktemp("data")
    build.build(archive_dir=sample_archive_dir, data_dir=folder)
    return folder


@pytest.fixture(scope="session")
def larger_data_dir(tmp_path_factory) -> pathlib.Path:
    """620 pairs as TFRecords, enough to learn something from."""
    folder = tmp_path_factory.mktemp("larger")
    sample_archive.write_sample_archive(folder / "archive", num_pairs=620)
    build.build(archive_dir=folder / "archive", data_dir=folder / "data")
    return folder / "data"


@pytest.fixture(scope="session")
def tiny_config(data_dir) -> config_lib.Config:
    """One epoch of two steps."""
    return config_lib.Config(
        data_dir=str(data_dir),
        model="k_branch_cnn",
        batch_size=8,
        epochs=1,
        train_split="train[:16]",
        validation_split="validation",
    )


@pytest.fixture(scope="session")
def workdir(tiny_config, tmp_path_factory) -> pathlib.Path:
    """A finished run of `tiny_config`; tests may add files, not change any."""
    folder = tmp_path_factory.mktemp("run")
    trainer.train(tiny_config, folder)
    return folder
