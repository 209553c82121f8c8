"""Every flagfile is complete, parses, and trains a step."""

import dataclasses
import math
import re

import pytest

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import models
from ben_tf.config import config_flags
from ben_tf.data import built_dataset
from ben_tf.evaluation import model_cards
from ben_tf.evaluation import paper
from ben_tf.training import devices
from ben_tf.training import runs
from tests.ben_tf.training import slim_networks
from tests.ben_tf.training import tiny_networks

FLAGFILES = sorted(config_flags.EXPERIMENTS.glob("*.flags"))


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
    config_flags.from_experiment(path.stem)


def test_all_rows_and_all_models_are_there():
    configs = {
        path.stem: config_flags.from_experiment(path.stem) for path in FLAGFILES
    }
    for name in ("vgg16", "vgg19", "resnet50", "resnet101", "resnet152"):
        config = configs[f"table2_{name}"]
        assert (config.model, config.modality) == (name, "MM")
        assert (config.fusion, config.num_classes) == ("early", 19)
        assert config.batch_size == (256 if name == "resnet152" else 500)
        assert (config.epochs, config.learning_rate) == (100, 1e-3)
    values = configs.values()
    # Of which no score on both sensors was published.
    unpublished = {"timm_resnet101"}
    assert {x.model for x in values} == set(models.MODELS) - unpublished
    assert {x.modality for x in values} == {"S1", "S2", "MM"}
    assert {x.fusion for x in values} == {"early", "late"}
    assert {x.num_classes for x in values} == {19, 43}
    assert {x.bands_60m for x in values} == {"auto", "on", "off"}


def test_published_figures_are_those_of_the_paper():
    for model, row in paper.TABLE_2.items():
        file = config_flags.EXPERIMENTS / f"table2_{model}.flags"
        text = file.read_text()
        figures = {float(x) for x in re.findall(r"\d+\.\d+", text)}
        for metric, value in row.items():
            percent = 1 if metric == "hamming_loss" else 100
            assert round(percent * value, 3) in figures


def test_published_figures_are_those_of_the_card():
    text = (config_flags.EXPERIMENTS / "v2_resnet50.flags").read_text()
    figures = {float(x) for x in re.findall(r"\d+\.\d+", text)}
    for value in model_cards.CARDS["resnet50-all v0.2.0"].values():
        assert round(100 * value, 2) in figures


def test_the_warm_up_of_v2_has_1000_steps():
    config = config_flags.from_experiment("v2_resnet50")
    steps = bigearthnet.V2_SPLIT_SIZES["train"] // config.batch_size
    assert round(config.warmup_epochs * steps) == 1000


def _different_steps() -> list[str]:
    """Flagfiles that differ in more than the network and how long it trains."""
    first: dict[str, str] = {}
    for path in FLAGFILES:
        step = dataclasses.asdict(config_flags.from_experiment(path.stem))
        for name in ("model", "batch_size", "epochs"):
            del step[name]
        first.setdefault(repr(step), path.stem)
    return list(first.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", _different_steps())
def test_a_step_on_the_sample_data(name, data_dir, monkeypatch):
    """With another network on the same inputs: for that of the file see below.

    That the networks have inputs and layers as promised: test_models.py.
    """
    model = config_flags.from_experiment(name).model
    monkeypatch.setitem(
        models.MODELS,
        model,
        dataclasses.replace(
            models.MODELS[model], network=tiny_networks.stateful
        ),
    )
    _take_a_step(name, data_dir)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["k_branch_late_fusion", "table2_vgg16", "table2_resnet50"]
)
def test_a_step_of_each_kind_of_network(name, data_dir):
    """A narrow VGG and a shallow ResNet have all their kinds of layers."""
    with slim_networks.small():
        _take_a_step(name, data_dir)


def _take_a_step(name, data_dir):
    config = config_flags.from_experiment(
        name,
        data_dir=str(data_dir),
        batch_size=2,
        epochs=1,
        train_split="train[:2]",
        shuffle_buffer=2,
        jit_compile="off",
        seed=0,
    )
    builder = built_dataset.open_dataset(data_dir)
    run = runs.make_run(config, builder, devices.make_devices("one_device"))
    # Tracing and optimising a graph takes far longer than one step does.
    run.fitted.run_eagerly = True
    history = run.fitted.fit(run.training_data(0), verbose=0)
    assert math.isfinite(history.history["loss"][0])


def test_an_unknown_experiment_is_refused_with_those_there_are():
    with pytest.raises(errors.UserError, match="table2_vgg16"):
        config_flags.from_experiment("table2_vgg61")
