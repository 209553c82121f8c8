"""Config refuses bad values, becomes flags, and survives the workdir."""

import dataclasses
import os

import pytest
from absl import flags

from ben_tf import bigearthnet
from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import models
from ben_tf.config import config_flags
from ben_tf.training import devices
from ben_tf.training import losses
from ben_tf.training import optimizers


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("model", "resnet18", "one of small_cnn"),
        ("num_classes", 20, "one of 19, 43"),
        ("batch_size", 0, "at least 1"),
        ("learning_rate", float("nan"), "at least 0"),
        ("learning_rate", float("inf"), "a finite number"),
        ("clip_norm", float("inf"), "a finite number"),
        ("learning_rate", "fast", "type float"),
        ("epochs", True, "type int"),
    ],
)
def test_bad_values_are_refused(field, value, expected):
    with pytest.raises(errors.UserError, match=f"`{field}`.*{expected}"):
        config_lib.Config(**{field: value})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"fusion": "shared", "modality": "S1"}, "`modality=MM`"),
        ({"embedding_loss": "contrastive"}, "`fusion=shared`"),
        ({"embedding_loss": "triplet", "fusion": "shared"}, "n_pairs or"),
        ({"weight_averaging": 1.0}, "less than 1"),
        ({"weight_decay": 0.01}, "`optimizer=adamw`"),
        ({"schedule_end": 0.1}, "`schedule=cosine`"),
        ({"warmup_start": 0.1}, "`warmup_epochs` above 0"),
        ({"warmup_start": 2.0, "warmup_epochs": 1.0}, "at most 1"),
        ({"head_dropout": 1.0}, "less than 1"),
        ({"hash_bits": 64}, "`fusion=shared`"),
        ({"modality": "S1", "bands_60m": "on"}, "`modality=S2` or MM"),
        ({"modality": "S2", "duplicate_vv": True}, "`modality=S1` or MM"),
    ],
)
def test_fields_that_do_not_go_together(fields, expected):
    with pytest.raises(errors.UserError, match=expected):
        config_lib.Config(**fields)


@pytest.mark.parametrize(
    ("field", "table"),
    [
        ("model", models.MODELS),
        ("fusion", models.FUSIONS),
        ("loss", losses.CLASSIFICATION_LOSSES),
        (
            "embedding_loss",
            {
                "none",
                *losses.EMBEDDING_LOSSES,
                *losses.SINGLE_EMBEDDING_LOSSES,
            },
        ),
        ("optimizer", optimizers.OPTIMIZERS),
        ("strategy", devices.STRATEGIES),
    ],
)
def test_choices_are_those_of_the_tables(field, table):
    fields = {f.name: f for f in dataclasses.fields(config_lib.Config)}
    assert set(fields[field].metadata["choices"]) == set(table)


def test_statistics_by_name_and_by_file(tmp_path):
    parsed = flags.FlagValues()
    config_flags.define_flags(parsed)
    parsed(["program", "--statistics=v2"])
    v2 = bigearthnet.STATISTICS["v2"]
    assert config_flags.from_flags(parsed).statistics == v2
    parsed(["program", f"--statistics={tmp_path / 'x.json'}"])
    with pytest.raises(errors.UserError, match=r"No file .*x\.json"):
        config_flags.from_flags(parsed)
    with pytest.raises(errors.UserError, match="Invalid `statistics`"):
        config_lib.Config(statistics="v2")


def test_flags_give_the_defaults_and_carry_values():
    parsed = flags.FlagValues()
    names = [field.name for field in dataclasses.fields(config_lib.Config)]
    config_flags.define_flags(parsed)
    parsed(["program"])
    # ~ is the home folder in flags, wherever they come from.
    home = os.path.expanduser(config_lib.Config().data_dir)
    defaults = config_lib.Config(data_dir=home)
    assert config_flags.from_flags(parsed) == defaults
    parsed(["program", "--model=vgg19", "--noaugment", "--seed=7"])
    assert config_flags.from_flags(parsed) == dataclasses.replace(
        defaults, model="vgg19", seed=7
    )
    assert all(parsed[name].help for name in names)
