"""Weights of the class-weighted loss agree with counts by NumPy."""

import dataclasses
import json

import numpy as np
import tensorflow_datasets as tfds

from ben_tf import workdir as workdir_lib
from ben_tf.data import built_dataset
from ben_tf.training import class_weights


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
    stored = json.loads((tmp_path / "class_weights.json").read_text())
    assert stored["weights"] == weights
    # The second time nothing is read.
    assert class_weights.of_run(config, None, workdir) == weights


def test_weights_balance_each_class():
    weights = class_weights.positive_weights(np.array([0, 1, 25, 1000]), 1000)
    np.testing.assert_allclose(weights, [1, 100, 39, 0])
