"""The quickstart's road on a few patches, and what the sensors contribute."""

import dataclasses

import numpy as np
import pytest

from ben_tf import bigearthnet
from ben_tf import quickstart
from ben_tf.evaluation import evaluation
from ben_tf.training import trainer
from tfrecords_builder import signatures


def _mean(values: list[float], sensor: str) -> float:
    """Mean over the classes that this sensor alone shows, by design."""
    return np.mean(
        [
            value
            for name, value in zip(bigearthnet.CLASSES_19, values, strict=True)
            if signatures.sensors_of(name) == {sensor}
        ]
    )


@pytest.mark.parametrize(("sensor", "other"), [("S1", "S2"), ("S2", "S1")])
def test_a_sensor_learns_what_it_shows_and_nothing_of_the_other(
    larger_data_dir, tmp_path, sensor, other
):
    """Synthetic data: the outcome follows from their design.

    `test_embedding_training` does the same with both sensors.
    """
    config = dataclasses.replace(
        quickstart.make_config(larger_data_dir),
        modality=sensor,
        batch_size=8,
        epochs=4,
        train_split="train[:300]",
        validation_split="validation[:40]",
    )
    trainer.train(config, tmp_path)
    result = evaluation.evaluate(workdir=tmp_path, data_dir=larger_data_dir)
    values = result.per_class["average_precision"]
    assert _mean(values, sensor) > _mean(values, other) + 0.2


def test_commands_that_it_prints_describe_its_configuration(data_dir):
    config = quickstart.make_config(data_dir)
    text = quickstart.flags_of(config)
    assert f"--data_dir={data_dir}" in text
    assert "--model=k_branch_cnn" in text
    assert "--augment" in text
    assert "--fusion" not in text  # At its default.
