"""Batches agree with what TensorFlow Datasets itself reads."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from ben_tf import bigearthnet
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.data import preprocessing

ALL_GRIDS = tuple(bigearthnet.GRIDS)


@pytest.fixture(scope="module")
def builder(data_dir):
    return built_dataset.open_dataset(data_dir)


@pytest.fixture(scope="module")
def examples(data_dir):
    """Every record as TFDS decodes it, by patch name."""
    splits = tfds.load("bigearthnet_mm", data_dir=str(data_dir))
    return {
        example["patch_name"]: example
        for dataset in splits.values()
        for example in tfds.as_numpy(dataset)
    }


READY = input_pipeline.BatchSpec(
    preprocessing.Preprocessing("S1"),
    batch_size=5,
    shuffle_buffer=100,
    augment=True,
)
RAW = dataclasses.replace(READY, on_device=True)


def _training(
    builder, spec=READY, *, epochs=range(2), first_step=0, part=(0, 1), **fields
):
    return input_pipeline.training_batches(
        builder,
        "train",
        dataclasses.replace(spec, **fields),
        epochs=epochs,
        first_step=first_step,
        part=part,
    )


@pytest.mark.parametrize("num_classes", [19, 43])
def test_native_batches_equal_the_records(builder, examples, num_classes):
    names = []
    for batch in input_pipeline.native_batches(
        builder,
        "train",
        grids=ALL_GRIDS,
        num_classes=num_classes,
        batch_size=7,
        metadata=("patch_name", "country", "epsg", "upper_left"),
    ).as_numpy_iterator():
        for i, name in enumerate(batch["patch_name"]):
            names.append(name)
            example = examples[name]
            for grid in ALL_GRIDS:
                np.testing.assert_array_equal(
                    batch["inputs"][grid][i], example[grid], strict=True
                )
            hot = np.zeros(num_classes, np.float32)
            hot[example[f"labels_{num_classes}"]] = 1
            np.testing.assert_array_equal(batch["labels"][i], hot, strict=True)
            assert batch["country"][i] == example["country"]
            assert batch["epsg"][i] == example["epsg"]
            np.testing.assert_array_equal(
                batch["upper_left"][i], example["upper_left"]
            )
    # Each patch of the split once.
    assert len(names) == len(set(names))
    assert len(names) == builder.info.splits["train"].num_examples


def test_only_the_wanted_grids_are_parsed(builder):
    dataset = input_pipeline.native_batches(builder, "test", grids=("s1",))
    assert set(dataset.element_spec["inputs"]) == {"s1"}
    assert set(dataset.element_spec) == {"inputs", "labels"}


def test_parts_of_splits(builder):
    def names(split):
        dataset = input_pipeline.native_batches(
            builder, split, grids=("s1",), metadata=("patch_name",)
        )
        return [
            name
            for batch in dataset.as_numpy_iterator()
            for name in batch["patch_name"]
        ]

    assert names("train[:6]") + names("train[6:]") == names("train")
    assert built_dataset.num_examples(builder, "train[:6]") == 6


def test_training_batches_hold_each_patch_at_most_once_an_epoch(
    builder, examples
):
    size = builder.info.splits["train"].num_examples
    known = {example["s1"].tobytes() for example in examples.values()}
    dataset = _training(builder, RAW, augment=False)
    seen = [
        patch.tobytes()
        for inputs, _ in dataset.as_numpy_iterator()
        for patch in inputs["s1"]
    ]
    per_epoch = size // 5 * 5
    assert len(seen) == 2 * per_epoch
    first, second = seen[:per_epoch], seen[per_epoch:]
    assert len(set(first)) == len(set(second)) == per_epoch
    assert first != second
    assert set(first) <= known


def _arrays(dataset):
    return [inputs["s1"] for inputs, _ in dataset.as_numpy_iterator()]


@pytest.mark.slow
def test_an_epoch_is_a_function_of_seed_and_number(builder):
    both = _arrays(_training(builder))
    second = _arrays(_training(builder, epochs=range(1, 2)))
    np.testing.assert_array_equal(both[len(both) // 2 :], second)
    other = _arrays(_training(builder, seed=1, epochs=range(1, 2)))
    assert np.any(np.not_equal(second, other))


@pytest.mark.slow
def test_training_resumes_within_an_epoch(builder):
    whole = _arrays(_training(builder))
    np.testing.assert_array_equal(
        _arrays(_training(builder, first_step=2)), whole[2:]
    )


def test_parts_of_batches_make_up_the_batches(builder):
    whole = _arrays(_training(builder, batch_size=4, augment=False))
    parts = [
        _arrays(
            _training(builder, batch_size=4, augment=False, part=(index, 2))
        )
        for index in range(2)
    ]
    joined = [np.concatenate(pair) for pair in zip(*parts, strict=True)]
    np.testing.assert_array_equal(joined, whole)


def test_names_of_a_training_batch(builder, examples):
    options = {"batch_size": 5, "seed": 3, "shuffle_buffer": 7}
    second = _arrays(
        _training(builder, RAW, augment=False, epochs=range(1, 2), **options)
    )[2]
    names = input_pipeline.training_patch_names(
        builder, "train", dataclasses.replace(RAW, **options), epoch=1, step=2
    )
    assert [examples[name.encode()]["s1"].tobytes() for name in names] == [
        patch.tobytes() for patch in second
    ]


@pytest.mark.parametrize("global_seed", [0, 1])
def test_the_global_seed_changes_nothing(builder, global_seed):
    tf.random.set_seed(2)
    expected = _arrays(_training(builder))
    tf.random.set_seed(global_seed)
    np.testing.assert_array_equal(_arrays(_training(builder)), expected)


def test_host_preprocessing_equals_preprocessing_afterwards(builder):
    spec = input_pipeline.BatchSpec(
        preprocessing.Preprocessing("MM"), batch_size=4, num_classes=43
    )
    ready, raw = (
        input_pipeline.validation_batches(builder, "test", x)
        for x in (spec, dataclasses.replace(spec, on_device=True))
    )
    for (inputs, labels), (raw_inputs, raw_labels) in zip(
        ready, raw, strict=True
    ):
        expected = spec.preprocessing(raw_inputs)
        assert set(inputs) == set(expected) == {"s1", "s2"}
        for name in inputs:
            np.testing.assert_allclose(inputs[name], expected[name], atol=1e-5)
        np.testing.assert_array_equal(labels, raw_labels)
