"""The checks that TFDS has for every dataset."""

import pytest
import tensorflow_datasets as tfds

from tfrecords_builder import bigearthnet_mm_dataset_builder as builder_lib


@pytest.fixture(scope="class")
def dummy_data(request, real_archive):
    request.cls.EXAMPLE_DIR = str(real_archive)


@pytest.mark.usefixtures("dummy_data")
class TestBuilder(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = builder_lib.Builder
    SPLITS = {"train": 4, "test": 1, "excluded": 1}  # noqa: RUF012
