"""Patches read by name, against TensorFlow Datasets reading all of them."""

import pathlib
import shutil

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_datasets as tfds
from pyarrow import parquet

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.data import built_dataset
from ben_tf.data import patch_reader


@pytest.fixture(scope="module")
def expected(data_dir):
    """Name -> the example as TFDS reads it."""
    return {
        example["patch_name"].decode(): example
        for example in tfds.as_numpy(
            tfds.load("bigearthnet_mm", data_dir=data_dir, split="all")
        )
    }


def _reader(data_dir):
    return patch_reader.PatchReader(built_dataset.open_dataset(data_dir))


def test_every_patch_is_found(data_dir, expected):
    reader = _reader(data_dir)
    names = sorted(expected)
    batch = reader.read(
        names, grids=tuple(bigearthnet.GRIDS), metadata=("s2_time", "country")
    )
    for row, name in enumerate(names):
        example = expected[name]
        for grid in bigearthnet.GRIDS:
            np.testing.assert_array_equal(
                batch["inputs"][grid][row], example[grid]
            )
        assert batch["s2_time"][row].numpy() == example["s2_time"]
        assert batch["country"][row].numpy() == example["country"]
        labels = np.flatnonzero(batch["labels"][row].numpy())
        np.testing.assert_array_equal(labels, sorted(example["labels_19"]))


def test_it_knows_what_it_has(data_dir, expected):
    name = next(iter(expected))
    assert _reader(data_dir).has([name, "nobody", name]) == [True, False, True]


def test_a_name_may_come_twice_and_in_any_order(data_dir, expected):
    first, second = sorted(expected)[:2]
    names = [second, first, second]
    batch = _reader(data_dir).read(names, grids=("s1",), metadata=("s1_name",))
    assert list(batch["s1_name"].numpy()) == [
        expected[name]["s1_name"] for name in names
    ]


def test_an_unknown_name_is_refused(data_dir):
    with pytest.raises(errors.UserError, match=r"nobody is not .* `data_dir`"):
        _reader(data_dir).read(["nobody"], grids=("s1",))


def test_a_table_of_other_records_is_refused(reordered_data_dir, expected):
    reader = _reader(reordered_data_dir)
    with pytest.raises(errors.UserError, match="does not belong to the"):
        reader.read(sorted(expected), grids=("s1",))


@pytest.fixture
def copy(data_dir, tmp_path):
    """A dataset to damage, and its table."""
    folder = shutil.copytree(data_dir, tmp_path / "data")
    (table,) = folder.rglob("patches.parquet")
    return folder, table


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 99])
def test_a_damaged_table_is_named(copy, content):
    folder, table = copy
    table.write_bytes(content)
    with pytest.raises(errors.UserError, match="parquet cannot be used"):
        _reader(folder)


def test_a_table_without_the_columns_is_named(copy):
    folder, table = copy
    parquet.write_table(pa.table({"patch_name": ["a"]}), table)
    with pytest.raises(errors.UserError, match="parquet cannot be used"):
        _reader(folder)


def test_a_damaged_record_is_named(copy):
    folder, _ = copy
    builder = built_dataset.open_dataset(folder)
    path = pathlib.Path(builder.info.splits["test"].filepaths[0])
    reader = patch_reader.PatchReader(builder)
    table = parquet.read_table(path.parent / "patches.parquet")
    names = table.filter(table["split"].to_numpy() == "test")
    names = names["patch_name"].to_pylist()
    with open(path, "r+b") as file:
        file.seek(5000)
        file.write(b"damage")
    with pytest.raises(errors.UserError, match=r"tfrecord.* is damaged"):
        reader.read(names, grids=("s1",))
