"""Weights of the class-weighted loss agree with counts by NumPy."""

import dataclasses
import json
from unittest import mock

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.training import class_weights
from tests import json_files


def test_labels_of_a_part_are_counted(data_dir, tiny_config):
    builder = built_dataset.open_dataset(data_dir)
    config = dataclasses.replace(
        tiny_config, loss="class_weighted", train_split="train[season=Summer]"
    )
    weights = class_weights.of_run(config, builder, None)
    counts, number = np.zeros(19), 0
    for example in tfds.as_numpy(builder.as_dataset(split="train")):
        if example["season"] == 2:
            counts[example["labels_19"]] += 1
            number += 1
    present = counts > 0
    np.testing.assert_allclose(
        np.array(weights)[present], (number - counts[present]) / counts[present]
    )


def test_weights_of_a_run_are_counted_once(data_dir, tiny_config, tmp_path):
    builder = built_dataset.open_dataset(data_dir)
    workdir = workdir_lib.Workdir(tmp_path)
    assert class_weights.of_run(tiny_config, builder, workdir) is None
    config = dataclasses.replace(tiny_config, loss="class_weighted")
    weights = class_weights.of_run(config, builder, workdir)
    examples = tfds.as_numpy(builder.as_dataset(split=config.train_split))
    counts = np.zeros(19)
    for example in examples:
        counts[example["labels_19"]] += 1
    present = counts > 0
    np.testing.assert_allclose(
        np.array(weights)[present], (16 - counts[present]) / counts[present]
    )
    assert len(weights) == 19
    stored = json_files.read(tmp_path / "class_weights.json")
    assert stored["weights"] == weights
    # The second time nothing is read, unless it is about something else.
    with mock.patch.object(input_pipeline, "read_batches") as read_batches:
        assert class_weights.of_run(config, builder, workdir) == weights
        assert not read_batches.called
        for changes in ({"train_split": "validation"}, {"num_classes": 43}):
            other = dataclasses.replace(config, **changes)
            read_batches.return_value = []
            class_weights.of_run(other, builder, workdir)
            assert read_batches.called
            read_batches.reset_mock()


def test_weights_balance_each_class():
    weights = class_weights.positive_weights(np.array([0, 1, 25, 1000]), 1000)
    np.testing.assert_allclose(weights, [1, 100, 39, 0])


@pytest.mark.parametrize(
    "stored",
    [
        "{",
        '{"patches": [], "weights": []}',
        json.dumps({"patches": [1] * 19, "weights": [1] * 18 + [-1]}),
        json.dumps({"patches": [1] * 19, "weights": [1] * 18 + [1e30]}),
        json.dumps({"patches": [1] * 43, "weights": [1] * 43}),
    ],
)
def test_damaged_weights_are_named(stored, data_dir, tmp_path):
    workdir = workdir_lib.Workdir(tmp_path)
    workdir.class_weights_file.write_text(stored)
    config = config_lib.Config(loss="class_weighted")
    with pytest.raises(
        errors.UserError, match=r"class_weights\.json .*Move it to another"
    ):
        class_weights.of_run(
            config, built_dataset.open_dataset(data_dir), workdir
        )
