"""A workdir keeps its configuration, and belongs to one run."""

import dataclasses
import json

import pytest

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import workdir as workdir_lib

DATA = workdir_lib.DataDescription(
    name="bigearthnet_mm/v1/1.0.0", synthetic=True, patches={"train": 3}
)
_IMPORTED = workdir_lib.DataDescription(
    name="imported", synthetic=False, patches={}
)


@pytest.fixture
def workdir(tmp_path) -> workdir_lib.Workdir:
    return workdir_lib.Workdir(tmp_path / "run")


def test_configurations_come_back(workdir):
    config = config_lib.Config(model="vgg16", batch_size=7, clip_norm=0.5)
    workdir.write_config(config)
    assert workdir.read_config() == config


def test_fields_of_later_versions_take_their_defaults(workdir):
    workdir.path.mkdir()
    workdir.config_file.write_text('{"model": "vgg16"}')
    assert workdir.read_config() == config_lib.Config(model="vgg16")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "not the workdir of a training run"),
        ("{", "cannot be read: Input data was truncated"),
        ("[1]", "cannot be read: Expected `object`, got `array`"),
        ('{"model": "resnet50", "colour": 1}', r"unknown fields \['colour'\]"),
        ('{"model": "resnet18"}', "Invalid `model`"),
        ('{"epochs": "8"}', r"Expected `int`, got `str` - at `\$.epochs`"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_damaged_configurations_are_refused(workdir, content, expected):
    if content is not None:
        workdir.path.mkdir()
        workdir.config_file.write_text(content)
    with pytest.raises(errors.UserError, match=expected):
        workdir.read_config()


def test_another_configuration_is_refused(workdir):
    config = config_lib.Config(batch_size=8)
    workdir.check_same_run(config)
    workdir.write_config(config)
    workdir.check_same_run(
        dataclasses.replace(config, epochs=200, data_dir="elsewhere")
    )
    with pytest.raises(errors.UserError, match="`batch_size` is 16, was 8"):
        workdir.check_same_run(dataclasses.replace(config, batch_size=16))


def test_the_data_come_back(workdir):
    workdir.write_data(DATA)
    assert workdir.read_data() == DATA
    assert json.loads(workdir.data_file.read_text())["patches"] == {"train": 3}


def test_imported_weights_are_not_trained_over(workdir):
    workdir.write_data(_IMPORTED)
    with pytest.raises(errors.UserError, match="holds imported weights"):
        workdir.write_data(DATA)


def test_data_of_another_type_are_refused(workdir):
    workdir.path.mkdir()
    workdir.data_file.write_text('{"name": "x", "synthetic": "no"}')
    with pytest.raises(errors.UserError, match="Expected `bool`, got `str`"):
        workdir.read_data()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    workdir = workdir_lib.Workdir(tmp_path / "file" / "run")
    with pytest.raises(errors.UserError, match="another `workdir`"):
        workdir.write_config(config_lib.Config())


@pytest.mark.parametrize(
    ("split", "name"),
    [("test", "test"), ("test[:10%]", "test_10"), ("../../x", "x")],
)
def test_files_about_a_split_stay_in_the_workdir(workdir, split, name):
    assert workdir.metrics_file(split).parts[-2:] == ("metrics", f"{name}.json")
    assert workdir.predictions_file(split).name == f"{name}.npz"
