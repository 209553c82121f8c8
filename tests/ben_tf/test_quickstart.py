"""The quickstart's road on a few patches, and what the sensors contribute."""

import dataclasses

import numpy as np
import pytest

from ben_tf import bigearthnet
from ben_tf import evaluate
from ben_tf import quickstart
from ben_tf import train
from tfrecords_builder import signatures


@pytest.fixture(scope="module")
def average_precision(larger_data_dir, tmp_path_factory):
    """Modality -> average precision of each of the 19 classes."""
    results = {}
    for modality in bigearthnet.MODALITIES:
        workdir = tmp_path_factory.mktemp(modality)
        config = dataclasses.replace(
            quickstart.make_config(larger_data_dir),
            modality=modality,
            batch_size=8,
            epochs=4,
            train_split="train[:300]",
            validation_split="validation[:40]",
        )
        train.train(config, workdir)
        result = evaluate.evaluate(
            workdir=str(workdir), data_dir=str(larger_data_dir)
        )
        results[modality] = np.array(
            result["per_class"]["average_precision"], float
        )
    return results


def _shown_by(sensors: set[str]) -> np.ndarray:
    """Which classes exactly these sensors show, after the design."""
    shown = []
    for name in bigearthnet.CLASSES_19:
        signature = signatures.SIGNATURES[name]
        seen = {
            bigearthnet.grid_of_band(band).sensor for band in signature.shift
        }
        if signature.rows or signature.blocks:
            seen.add("S2")
        if signature.points_db:
            seen.add("S1")
        shown.append(seen == sensors)
    return np.array(shown)


def test_classes_are_spread_over_the_sensors():
    assert _shown_by({"S1"}).sum() == 4
    assert _shown_by({"S2"}).sum() == 11
    assert _shown_by({"S1", "S2"}).sum() == 4


def test_a_sensor_is_missed_exactly_where_it_alone_shows_a_class(
    average_precision,
):
    """Synthetic data: the outcome follows from their design."""
    mean = {
        (modality, sensor): values[_shown_by({sensor})].mean()
        for modality, values in average_precision.items()
        for sensor in ("S1", "S2")
    }
    assert mean["MM", "S1"] > mean["S2", "S1"] + 0.15
    assert mean["S1", "S1"] > mean["S2", "S1"] + 0.15
    assert mean["MM", "S2"] > mean["S1", "S2"] + 0.2
    assert mean["S2", "S2"] > mean["S1", "S2"] + 0.2
    macro = {name: v.mean() for name, v in average_precision.items()}
    assert macro["S2"] > macro["S1"]
    assert macro["MM"] > macro["S1"]


def test_commands_that_it_prints_describe_its_configuration(data_dir):
    config = quickstart.make_config(data_dir)
    text = quickstart.flags_of(config)
    assert f"--data_dir={data_dir}" in text
    assert "--model=k_branch_cnn" in text
    assert "--augment" in text
    assert "--fusion" not in text  # At its default.
