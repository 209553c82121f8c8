"""The checks that TFDS has for every dataset."""

import contextvars

import pytest
import tensorflow_datasets as tfds

from ben_tf import errors
from ben_tf import folder_lock
from tfrecords_builder import bigearthnet_mm_dataset_builder as builder_lib


@pytest.fixture(scope="class")
def dummy_data(request, real_archive, v2_archive_dir):
    archives = {"v1": real_archive, "v2": v2_archive_dir}
    (version,) = request.cls.BUILDER_CONFIG_NAMES_TO_TEST
    request.cls.EXAMPLE_DIR = str(archives[version])


@pytest.mark.usefixtures("dummy_data")
class TestBuilder(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = builder_lib.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["v1"]  # noqa: RUF012
    SPLITS = {"train": 4, "test": 1, "excluded": 1}  # noqa: RUF012


@pytest.mark.usefixtures("dummy_data")
class TestBuilderOfV2(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = builder_lib.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["v2"]  # noqa: RUF012
    SPLITS = {  # noqa: RUF012
        "train": 13,
        "validation": 4,
        "test": 6,
        "excluded": 1,
    }


def test_unknown_on_error_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Expected 'raise' or 'skip'"):
        builder_lib.Builder(data_dir=str(tmp_path), on_error="ignore")


def test_a_builder_leaves_no_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    builder_lib.Builder(data_dir=str(tmp_path / "data"))
    assert not list(tmp_path.iterdir())


def test_only_one_builds_through_tfds(real_archive, tmp_path):
    builder = builder_lib.Builder(data_dir=str(tmp_path))
    config = tfds.download.DownloadConfig(manual_dir=str(real_archive))
    with (
        folder_lock.alone_in(tmp_path / builder.name, message="the first"),
        pytest.raises(errors.UserError, match="Another build is writing to"),
    ):
        contextvars.Context().run(
            builder.download_and_prepare, download_config=config
        )
    assert not list((tmp_path / builder.name).glob("*/*"))
