"""Every flagfile is complete, parses, and trains a step."""

import math
import pathlib
import re

import pytest
import tensorflow as tf
from absl import flags

import ben_tf
from ben_tf import config_flags
from ben_tf import input_pipeline
from ben_tf import models
from ben_tf import paper
from ben_tf import training

FOLDER = pathlib.Path(ben_tf.__file__).parent / "experiments"
FLAGFILES = sorted(FOLDER.glob("*.flags"))


def _config(path: pathlib.Path, *more: str):
    parsed = flags.FlagValues()
    config_flags.define_flags(parsed)
    flags.DEFINE_string("flagfile", "", "", flag_values=parsed)
    flags.DEFINE_string("workdir", "", "", flag_values=parsed)
    rest = parsed(["program", f"--flagfile={path}", *more])
    assert rest == ["program"]
    return config_flags.from_flags(parsed)


@pytest.mark.parametrize("path", FLAGFILES, ids=lambda path: path.stem)
def test_the_header_says_what_to_expect(path):
    lines = path.read_text().splitlines()
    comments = " ".join(x.lstrip("# ") for x in lines if x.startswith("#"))
    assert "Expected: " in comments
    assert "Cost: " in comments
    assert f"--flagfile=ben_tf/experiments/{path.name} " in comments
    assert f"--workdir=runs/{path.stem}" in comments
    assert max(map(len, lines)) <= 80
    # The command decides where; the file decides what.
    assert not any(x.startswith(("--data_dir", "--workdir")) for x in lines)
    _config(path)


def test_all_rows_and_all_models_are_there():
    configs = {path.stem: _config(path) for path in FLAGFILES}
    for name in ("vgg16", "vgg19", "resnet50", "resnet101", "resnet152"):
        config = configs[f"table2_{name}"]
        assert (config.model, config.modality) == (name, "MM")
        assert (config.fusion, config.num_classes) == ("early", 19)
        assert config.batch_size == (256 if name == "resnet152" else 500)
        assert (config.epochs, config.learning_rate) == (100, 1e-3)
    values = configs.values()
    assert {x.model for x in values} == set(models.MODELS)
    assert {x.modality for x in values} == {"S1", "S2", "MM"}
    assert {x.fusion for x in values} == {"early", "late"}
    assert {x.num_classes for x in values} == {19, 43}
    assert {x.bands_60m for x in values} == {"auto", "on", "off"}


def test_published_figures_are_those_of_the_paper():
    for model, row in paper.TABLE_2.items():
        text = (FOLDER / f"table2_{model}.flags").read_text()
        figures = {float(x) for x in re.findall(r"\d+\.\d+", text)}
        for metric, value in row.items():
            percent = 1 if metric == "hamming_loss" else 100
            assert round(percent * value, 3) in figures


@pytest.mark.parametrize("path", FLAGFILES, ids=lambda path: path.stem)
def test_a_step_on_the_sample_data(path, data_dir):
    config = _config(
        path,
        f"--data_dir={data_dir}",
        "--batch_size=2",
        "--epochs=1",
        "--train_split=train[:2]",
        "--shuffle_buffer=2",
        "--jit_compile=off",
    )
    builder = input_pipeline.open_dataset(data_dir)
    training.make_repeatable(0)
    run = training.make_run(
        config, builder, strategy=tf.distribute.get_strategy()
    )
    # Tracing and optimising a graph takes far longer than one step does.
    run.fitted.run_eagerly = True
    history = run.fitted.fit(run.training_data(0), verbose=0)
    assert math.isfinite(history.history["loss"][0])
