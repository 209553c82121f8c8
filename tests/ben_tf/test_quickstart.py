"""The quickstart on a few patches, and what the sensors contribute."""

import dataclasses
import pathlib
import shutil

import pytest

from ben_tf import bigearthnet
from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import quickstart
from ben_tf.evaluation import evaluation
from ben_tf.retrieval import index
from ben_tf.training import trainer
from tfrecords_builder import dataset
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
    assert f"Open the report in a browser: {page}\n" in shown
    command, path = shown.splitlines()[-1].split("=")
    assert command == "   python -m ben_tf.retrieval serve --index"
    assert pathlib.Path(path).is_relative_to(folder)
    assert index.Index.open(path).manifest.synthetic

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


def test_a_trial_makes_a_small_sample_once(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("BEN_DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    trial = quickstart.open_trial(num_pairs=8)
    assert capsys.readouterr().out == (
        "8 pairs of BigEarthNet v1, of a SYNTHETIC sample archive\n"
    )
    assert trial.synthetic
    assert trial.settings == quickstart.make_config(trial.data_dir)
    assert str(trial.runs) == "runs/sample"
    (made,) = trial.data_dir.rglob("dataset_info.json")
    before = made.stat().st_mtime_ns
    assert quickstart.open_trial(num_pairs=8).data_dir == trial.data_dir
    assert made.stat().st_mtime_ns == before
    assert list(tmp_path.iterdir()) == [tmp_path / "sample"]


def test_a_trial_on_real_data_is_the_paper_s(
    real_archive, tmp_path, monkeypatch, capsys
):
    """The six real pairs stand for the archive."""
    dataset.build(archive_dir=real_archive, data_dir=tmp_path / "data")
    monkeypatch.setenv("BEN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    trial = quickstart.open_trial()
    assert "6 pairs of BigEarthNet v1\n" in capsys.readouterr().out
    assert not trial.synthetic
    assert trial.settings == config_lib.Config(data_dir=str(tmp_path / "data"))
    assert str(trial.runs) == "runs/archive"
    assert not (tmp_path / "sample").exists()


def test_a_trial_on_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("BEN_DATA_DIR", str(tmp_path))
    with pytest.raises(errors.UserError, match="No dataset found"):
        quickstart.open_trial()
