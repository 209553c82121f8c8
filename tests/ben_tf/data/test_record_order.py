"""Where patches lie, against the names in the records themselves."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.data import record_order

SPLITS = ["train", "train[3:20]", "train[country!=Finland]", "train+validation"]


@pytest.fixture(scope="module")
def builder(data_dir):
    return built_dataset.open_dataset(data_dir)


def _names(builder, split, **options):
    batches = input_pipeline.native_batches(
        builder, split, grids=(), metadata=("patch_name",), **options
    )
    return [
        name.decode()
        for batch in batches.as_numpy_iterator()
        for name in batch["patch_name"]
    ]


def _names_in_file(path):
    """Names of all records of a file, in its order, read by TensorFlow."""
    return [
        tf.train.Example.FromString(record)
        .features.feature["patch_name"]
        .bytes_list.value[0]
        .decode()
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator()
    ]


@pytest.mark.parametrize("split", SPLITS)
def test_places_find_every_patch(builder, split):
    names = _names(builder, split)
    shards = record_order.shards(builder, split)
    places = record_order.places(shards)
    assert len(set(places)) == len(places) == len(names)
    wanted = set(names)
    in_files = [
        [
            name
            for name in _names_in_file(path)[int(skip) : int(skip + take)]
            if name in wanted
        ]
        for path, skip, take in zip(
            shards.paths.numpy(), shards.skip, shards.take, strict=True
        )
    ]
    assert [in_files[number][place] for number, place in places] == names


@pytest.mark.parametrize("split", SPLITS)
def test_rows_number_the_patches_file_by_file(builder, split):
    rows = list(
        record_order.rows(
            record_order.shards(builder, split)
        ).as_numpy_iterator()
    )
    places = record_order.places(record_order.shards(builder, split))
    # By file, and by place within it.
    assert np.array_equal(
        np.argsort(rows), np.lexsort(np.transpose(places)[::-1])
    )
    assert sorted(rows) == list(range(len(rows)))


@pytest.mark.parametrize("split", SPLITS)
def test_a_file_is_read_alone(builder, split):
    places = record_order.places(record_order.shards(builder, split))
    names = dict(zip(places, _names(builder, split), strict=True))
    for number in {number for number, _ in places}:
        found = _names(builder, split, file_number=number)
        assert found == [names[number, place] for place in range(len(found))]


def test_names_are_those_that_tfds_reads(builder, data_dir):
    examples = tfds.load(
        "bigearthnet_mm", data_dir=str(data_dir), split="train"
    )
    names = {
        example["patch_name"].decode() for example in tfds.as_numpy(examples)
    }
    assert set(_names(builder, "train")) == names
