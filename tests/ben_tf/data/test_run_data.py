"""Where the dataset of a model is, said by the workdir around it."""

import dataclasses

import pytest

from ben_tf import bigearthnet
from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.data import built_dataset
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


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_version_that_the_run_saw(
    run, tmp_path, data_dir, v2_data_dir, version
):
    both = tmp_path / "data" / bigearthnet.DATASET_NAME
    both.mkdir()
    for folder in (data_dir, v2_data_dir):
        for built in built_dataset.built_versions(folder):
            (both / built.parent.name).mkdir()
            (both / built.parent.name / built.name).symlink_to(built)
    # Without a word of the run both are there, and reading asks for the one.
    assert run_data.of_model(run.saved_model) == str(tmp_path / "data")
    run.write_data(
        workdir_lib.DataDescription(
            f"{bigearthnet.DATASET_NAME}/{version}/1.0.0", True, {}
        )
    )
    found = run_data.of_model(run.saved_model)
    assert found == str(both / version)
    assert built_dataset.open_dataset(found).info.config_name == version
    run.data_file.write_text("{")
    with pytest.raises(errors.UserError, match="Give `data_dir` to go on"):
        run_data.of_model(run.saved_model)


def test_the_data_file_is_that_of_the_workdir(run):
    assert run.data_file.name == run_data.DATA_FILE
    fields = workdir_lib.DataDescription.__struct_fields__
    assert {*run_data._Data.__struct_fields__} <= {*fields}
