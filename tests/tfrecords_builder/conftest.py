"""The six real pairs, in the official layout."""

import pathlib
import shutil
import tarfile

import pytest

from tfrecords_builder import splits

FOLDERS = {"S1": "BigEarthNet-S1-v1.0", "S2": "BigEarthNet-v1.0"}


@pytest.fixture(scope="session")
def real_archive(tmp_path_factory) -> pathlib.Path:
    """The archive folder; read-only by agreement."""
    root = tmp_path_factory.mktemp("archive")
    for sensor, tarball in splits.example_tarballs().items():
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
def real_pairs(real_archive) -> list[splits.OfficialPatch]:
    names = sorted(
        path.name for path in (real_archive / FOLDERS["S2"]).iterdir()
    )
    return [splits.official_patches()[name] for name in names]
