"""Where the dataset of a model is, said by the workdir around it."""

import dataclasses

import pytest

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.data import run_data


@pytest.fixture
def run(tmp_path) -> workdir_lib.Workdir:
    """A workdir that has nothing but its configuration."""
    run = workdir_lib.Workdir(tmp_path / "run")
    (tmp_path / "data").mkdir()
    run.write_config(config_lib.Config(data_dir=str(tmp_path / "data")))
    return run


def test_the_workdir_says_where(run, tmp_path, monkeypatch):
    assert run_data.of_model(run.saved_model) == str(tmp_path / "data")
    monkeypatch.chdir(run.path)
    assert run_data.of_model("saved_model") == str(tmp_path / "data")


def test_what_is_named_counts(run):
    assert run_data.of_model(run.saved_model, "other") == "other"


def test_home(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    run.write_config(config_lib.Config(data_dir="~/data"))
    assert run_data.of_model(run.saved_model) == str(tmp_path / "data")


def test_a_dataset_that_is_gone(run, tmp_path):
    (tmp_path / "data").rmdir()
    with pytest.raises(errors.UserError) as info:
        run_data.of_model(run.saved_model)
    assert str(info.value).startswith(f"The dataset of the run in {run} is not")
    assert f"no folder {tmp_path / 'data'}. Bring it" in str(info.value)


def test_a_model_that_is_in_no_workdir(tmp_path):
    with pytest.raises(errors.UserError, match="does not lie in the workdir"):
        run_data.of_model(tmp_path / "saved_model")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"data_dir": 3}'])
def test_a_damaged_configuration(run, content):
    run.config_file.write_text(content)
    with pytest.raises(errors.UserError, match="Give `data_dir` to go on"):
        run_data.of_model(run.saved_model)


def test_the_name_of_the_file_is_that_of_the_workdir(run):
    assert run.config_file.name == run_data.CONFIG_FILE
    fields = {field.name for field in dataclasses.fields(config_lib.Config)}
    assert set(run_data._Config.__struct_fields__) <= fields
