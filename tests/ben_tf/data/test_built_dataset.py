"""Datasets are found; missing and damaged ones are explained."""

import functools
import os
import pathlib
import shutil
import struct

import pytest

from ben_tf import errors
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from tests import permissions


@pytest.fixture(scope="module")
def builder(data_dir):
    return built_dataset.open_dataset(data_dir)


def test_synthetic_data_are_known_as_such(builder):
    assert built_dataset.is_synthetic(builder)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"synthetic": "yes"}', True),
        ('{"synthetic": ""}', False),
        # As it was written before, and as a hand writes it.
        ('{"synthetic": true}', True),
        ('{"synthetic": false, "has_maps": false, "part": ""}', False),
    ],
)
def test_the_mark_in_each_form(copy, tmp_path, content, expected):
    (copy / "metadata.json").write_text(content)
    builder = built_dataset.open_dataset(tmp_path)
    assert built_dataset.is_synthetic(builder) is expected


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "{}",
        '{"synthetib": true}',
        '{"synthetic": "false"}',
        '{"synthetic": "no"}',
        '{"synthetic": 0}',
        '{"synthetic": null}',
        "[]",
    ],
)
def test_a_lost_mark_is_not_taken_for_real_data(copy, tmp_path, content):
    if content is None:
        (copy / "metadata.json").unlink()
    else:
        (copy / "metadata.json").write_text(content)
    with pytest.raises(errors.UserError, match=r"metadata\.json") as error:
        built_dataset.is_synthetic(built_dataset.open_dataset(tmp_path))
    assert str(copy) in str(error.value)


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


@pytest.fixture
def whole_copy(data_dir, tmp_path):
    return shutil.copytree(data_dir, tmp_path / "copy")


def replace_folder(folder):
    moved = folder.rename(folder.with_name("moved"))
    shutil.copytree(moved, folder)


def write_to_a_file(folder):
    (path, *_) = folder.glob("*-train.tfrecord-*")
    path.write_bytes(path.read_bytes())


def remove_all(folder):
    shutil.rmtree(folder)


def add_a_file(folder):
    (folder / "new").touch()


@pytest.mark.parametrize(
    "change", [replace_folder, write_to_a_file, remove_all, add_a_file]
)
def test_a_dataset_that_is_changed_while_it_is_read_is_refused(
    whole_copy, change
):
    builder = built_dataset.open_dataset(whole_copy)
    read = functools.partial(
        input_pipeline.read_batches, builder, "test", grids=(), batch_size=2
    )
    assert len(list(read())) > 1
    batches = read()
    next(batches)
    change(pathlib.Path(builder.data_path))
    with pytest.raises(errors.UserError, match="was changed while it was read"):
        list(batches)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_dataset_that_may_not_be_read_is_not_called_missing(
    whole_copy, depth
):
    folder = whole_copy / pathlib.PurePath(*("bigearthnet_mm", "v1")[:depth])
    with (
        permissions.denied(folder),
        pytest.raises(PermissionError, match=str(folder)),
    ):
        built_dataset.open_dataset(whole_copy)


@pytest.fixture
def both_versions(data_dir, v2_data_dir, tmp_path) -> pathlib.Path:
    for folder in (data_dir, v2_data_dir):
        shutil.copytree(folder, tmp_path / "both", dirs_exist_ok=True)
    return tmp_path / "both"


def test_of_two_versions_one_has_to_be_named(both_versions):
    root = both_versions / "bigearthnet_mm"
    with pytest.raises(errors.UserError, match=f"v1 and v2.*=.*{root}/v1"):
        built_dataset.open_dataset(both_versions)
    for name in ("v1", "v2"):
        builder = built_dataset.open_dataset(root / name)
        assert builder.info.config_name == name


def test_labels_that_a_version_lacks_are_asked_for_in_vain(
    data_dir, v2_data_dir
):
    builder = built_dataset.open_dataset(v2_data_dir)
    built_dataset.check_num_classes(builder, 19)
    for num_classes in (19, 43):
        built_dataset.check_num_classes(
            built_dataset.open_dataset(data_dir), num_classes
        )
    with pytest.raises(errors.UserError, match="no labels of the 43-class"):
        input_pipeline.native_batches(
            builder, "train", grids=["s1"], num_classes=43
        )


def test_the_fingerprint_is_that_of_the_records(whole_copy, data_dir):
    def fingerprint(folder):
        return built_dataset.fingerprint(built_dataset.open_dataset(folder))

    expected = fingerprint(data_dir)
    assert fingerprint(whole_copy) == expected
    (path, *_) = whole_copy.rglob("*-train.tfrecord-*")
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    # Another checksum of the first record.
    path.write_bytes(whole[: 12 + length] + b"0000" + whole[16 + length :])
    assert fingerprint(whole_copy) != expected
    # One record less; none.
    for damaged in (whole[16 + length :], b""):
        path.write_bytes(damaged)
        with pytest.raises(errors.ArchiveError, match="of split 'train' have"):
            fingerprint(whole_copy)
    path.write_bytes(whole[:100])
    with pytest.raises(errors.ArchiveError, match=path.name):
        fingerprint(whole_copy)
    path.unlink()
    with pytest.raises(errors.ArchiveError, match=path.name):
        fingerprint(whole_copy)


@pytest.mark.parametrize(
    "name",
    ["features.json", "dataset_info.json", "*-train.tfrecord-*"],
)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(whole_copy, name):
    (path, *_) = whole_copy.rglob(name)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(errors.UserError, match="no regular file"):
        built_dataset.open_dataset(whole_copy)
