"""The quickstart on a few patches, and what the sensors contribute."""

import dataclasses
import shutil

import pytest

from ben_tf import bigearthnet
from ben_tf import quickstart
from ben_tf.evaluation import evaluation
from ben_tf.training import trainer
from tfrecords_builder import signatures


def _classes_of(*sensors: str) -> set[str]:
    """The classes that these sensors show, by design, and no others."""
    return {
        name
        for name in bigearthnet.CLASSES_19
        if signatures.sensors_of(name) == set(sensors)
    }


@pytest.mark.slow
def test_one_sensor_is_worse_on_exactly_the_classes_of_the_other(
    larger_data_dir, tmp_path
):
    """Synthetic data: the outcome follows from their design."""
    config = quickstart.make_config(larger_data_dir)
    precision = {}
    for sensor in ("S1", "S2"):
        workdir = tmp_path / sensor
        trainer.train(dataclasses.replace(config, modality=sensor), workdir)
        result = evaluation.evaluate(workdir=workdir, data_dir=larger_data_dir)
        precision[sensor] = dict(
            zip(
                result.class_names,
                result.per_class["average_precision"],
                strict=True,
            )
        )
        shutil.rmtree(workdir)
    for sensor, other in (("S1", "S2"), ("S2", "S1")):
        lower = {
            name
            for name, value in precision[sensor].items()
            if precision[other][name] - value > 0.15
        }
        assert lower == _classes_of(other)


@pytest.mark.slow
def test_every_stage_once(tmp_path, capsys):
    folder = tmp_path / "quickstart"
    page = quickstart.quickstart(folder, num_pairs=64)
    assert "SYNTHETIC" in page.read_text().upper()
    shown = capsys.readouterr().out
    assert shown.count("\n== ") == shown.count("   done in ") == 5
    assert f"--data_dir={folder / 'data'} --model=small_cnn" in shown
    assert "most similar patches" in shown

    quickstart.quickstart(folder, num_pairs=64)
    assert "epoch   1/" not in capsys.readouterr().out


def test_commands_that_it_prints_describe_its_configuration(data_dir):
    config = quickstart.make_config(data_dir)
    text = quickstart.flags_of(config)
    assert f"--data_dir={data_dir}" in text
    assert "--model=small_cnn" in text
    assert "--augment" in text
    assert "--fusion" not in text  # At its default.


def test_another_network_has_settings_of_its_own(data_dir):
    config = quickstart.make_config(data_dir, model="k_branch_cnn")
    assert config.model == "k_branch_cnn"
    assert (config.batch_size, config.epochs) == (16, 9)
    assert config.learning_rate == 2e-3
