"""Datasets are found; missing and damaged ones are explained."""

import shutil

import pytest

from ben_tf import errors
from ben_tf.data import built_dataset


@pytest.fixture(scope="module")
def builder(data_dir):
    return built_dataset.open_dataset(data_dir)


def test_synthetic_data_are_known_as_such(builder):
    assert built_dataset.is_synthetic(builder)


def test_missing_dataset_is_one_sentence(tmp_path):
    with pytest.raises(errors.UserError, match="No dataset found"):
        built_dataset.open_dataset(tmp_path)


@pytest.mark.parametrize("file_name", ["dataset_info.json", "features.json"])
def test_damaged_description_is_one_sentence(data_dir, tmp_path, file_name):
    copy = tmp_path / "bigearthnet_mm" / "v1" / "1.0.0"
    shutil.copytree(data_dir / "bigearthnet_mm" / "v1" / "1.0.0", copy)
    (copy / file_name).write_text("{")
    with pytest.raises(errors.UserError, match="is damaged"):
        built_dataset.open_dataset(tmp_path)


@pytest.mark.parametrize("split", ["val", "train[:0]", "test[", "all[:4]", ""])
def test_unknown_split_names_the_choices(builder, split):
    with pytest.raises(errors.UserError, match=r"'excluded': \d+"):
        built_dataset.num_examples(builder, split)
