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


@pytest.fixture
def copy(data_dir, tmp_path):
    """The folder of a dataset in `tmp_path` that may be damaged."""
    copy = tmp_path / "bigearthnet_mm" / "v1" / "1.0.0"
    return shutil.copytree(data_dir / "bigearthnet_mm" / "v1" / "1.0.0", copy)


@pytest.mark.parametrize(
    ("file_name", "old", "new"),
    [
        ("dataset_info.json", "{", ""),
        ("features.json", "{", ""),
        ("features.json", '"bool"', '"bo l"'),
        ("features.json", '"shape"', '"shapes"'),
        ("dataset_info.json", '"shardLengths"', '"numShards"'),
        ("dataset_info.json", "{SPLIT}", "{SPLI}T}"),
        ("dataset_info.json", "{DATASET}", "../{DATASET}"),
        ("dataset_info.json", "{DATASET}", "/etc/{DATASET}"),
    ],
)
def test_damaged_description_is_one_sentence(
    copy, tmp_path, file_name, old, new
):
    text = (copy / file_name).read_text()
    assert old in text
    (copy / file_name).write_text(text.replace(old, new, 1))
    with pytest.raises(
        errors.UserError, match=r"is damaged|cannot be read: "
    ) as error:
        built_dataset.open_dataset(tmp_path)
    assert str(copy) in str(error.value)


def test_modules_that_a_description_names_are_not_imported(
    copy, tmp_path, monkeypatch
):
    (tmp_path / "bait.py").write_text("raise SystemExit('was run')")
    monkeypatch.syspath_prepend(tmp_path)
    path = copy / "features.json"
    path.write_text(
        path.read_text().replace(
            "tensorflow_datasets.core.features.scalar.Scalar", "bait.Scalar", 1
        )
    )
    with pytest.raises(errors.UserError, match=r"names 'bait\.Scalar'"):
        built_dataset.open_dataset(tmp_path)


@pytest.mark.parametrize("split", ["val", "train[:0]", "test[", "all[:4]", ""])
def test_unknown_split_names_the_choices(builder, split):
    with pytest.raises(errors.UserError, match=r"'excluded': \d+"):
        built_dataset.num_examples(builder, split)
