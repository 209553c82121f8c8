"""With a cache and without, batches are the same."""

import dataclasses
import itertools
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import main_memory
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.data import patch_cache
from ben_tf.data import preprocessing
from tests import json_files

GRIDS = ("s1", "s2_10m", "s2_20m")
SPEC = input_pipeline.BatchSpec(
    preprocessing.Preprocessing(), batch_size=5, shuffle_buffer=7, augment=True
)
CONDITIONS = "train[country!=Finland]"


@pytest.fixture(scope="module")
def builder(data_dir):
    return built_dataset.open_dataset(data_dir)


def _open(place, builder, split="train", *, grids=GRIDS, num_classes=19):
    return patch_cache.open_cache(
        str(place), builder, split, grids=grids, num_classes=num_classes
    )


@pytest.fixture(params=["memory", "folder", "folder again"])
def place(request, builder, tmp_path):
    if request.param == "memory":
        return patch_cache.MEMORY
    if request.param == "folder again":
        for split in ("train", CONDITIONS, "validation"):
            _open(tmp_path, builder, split)
    return tmp_path


def _assert_equal(first, second):
    first, second = list(first), list(second)
    assert len(first) == len(second) > 0
    for batches in zip(first, second, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, *batches)


@pytest.mark.parametrize("split", ["train", CONDITIONS])
@pytest.mark.parametrize("on_device", [False, True])
def test_training_batches(builder, place, split, on_device):
    spec = dataclasses.replace(SPEC, on_device=on_device)
    options = {"epochs": range(1, 3), "first_step": 2}
    cache = _open(place, builder, split)
    for part in ((0, 1), (1, 5)):
        _assert_equal(
            input_pipeline.training_batches(
                builder, split, spec, part=part, **options
            ),
            input_pipeline.training_batches(
                builder, split, spec, part=part, cache=cache, **options
            ),
        )


def test_validation_batches(builder, place):
    cache = _open(place, builder, "validation")
    _assert_equal(
        input_pipeline.validation_batches(builder, "validation", SPEC),
        input_pipeline.validation_batches(
            builder, "validation", SPEC, cache=cache
        ),
    )


def test_arrays_are_as_large_as_said(builder):
    cache = _open(patch_cache.MEMORY, builder, grids=("s2_20m",))
    expected = patch_cache.num_bytes(
        builder, "train", grids=("s2_20m",), num_classes=19
    )
    assert cache.inputs["s2_20m"].dtype == np.uint16
    assert cache.inputs["s2_20m"].nbytes + cache.labels.nbytes == expected


def test_splits_grids_and_nomenclatures_have_folders_of_their_own(
    builder, tmp_path
):
    _open(tmp_path, builder, grids=("s1",))
    _open(tmp_path, builder, grids=("s2_20m",))
    _open(tmp_path, builder, "validation", grids=("s1",))
    cache = _open(tmp_path, builder, grids=("s1",), num_classes=43)
    assert cache.labels.shape[1] == 43
    assert len(list(tmp_path.iterdir())) == 4


def test_records_that_were_built_again_are_read_again(data_dir, tmp_path):
    copy = tmp_path / "data"
    shutil.copytree(data_dir, copy)
    builder = built_dataset.open_dataset(copy)
    before = built_dataset.fingerprint(builder)
    _open(tmp_path / "cache", builder, grids=("s2_20m",))
    (path,) = {*builder.info.splits["train"].filepaths[:1]}
    # The last record becomes another one of the same size.
    records = [*tf.data.TFRecordDataset(path).as_numpy_iterator()]
    example = tf.train.Example.FromString(records[-1])
    grid = example.features.feature["s2_20m"].bytes_list
    grid.value[0] = bytes(len(grid.value[0]))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in [*records[:-1], example.SerializeToString()]:
            writer.write(record)
    builder = built_dataset.open_dataset(copy)
    assert built_dataset.fingerprint(builder) == before
    cache = _open(tmp_path / "cache", builder, grids=("s2_20m",))
    assert (cache.inputs["s2_20m"] == 0).all(axis=(1, 2, 3)).sum() == 1


def test_a_folder_is_read_again_without_the_records(
    builder, tmp_path, monkeypatch
):
    _open(tmp_path, builder)
    monkeypatch.setattr(
        patch_cache, "_fill", lambda *_: pytest.fail("Read the records again")
    )
    _open(tmp_path, builder)


def test_progress_is_shown(builder, tmp_path, capfd):
    _open(tmp_path, builder)
    assert "Caching train: 100%" in capfd.readouterr().err


def test_too_little_memory_is_refused(builder, monkeypatch):
    monkeypatch.setattr(main_memory, "available_bytes", lambda: 1000)
    with pytest.raises(
        errors.UserError, match=r"'train' takes .* 0\.0 GB that"
    ):
        _open(patch_cache.MEMORY, builder)


def test_too_little_disk_is_refused_and_leaves_nothing(
    builder, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        patch_cache.shutil,
        "disk_usage",
        lambda _: type("Usage", (), {"free": 1}),
    )
    with pytest.raises(errors.UserError, match=r"are free in .*`cache`"):
        _open(tmp_path, builder)
    assert not list(tmp_path.iterdir())


def _shorten(file):
    file.write_bytes(file.read_bytes()[:-1])


def _flip(file):
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def _other_dtype(file):
    np.save(file, np.load(file).astype(np.int16))


def _pickle(file):
    np.save(file, np.array([{}], object), allow_pickle=True)


def _other_patches(file):
    content = json_files.read(file)
    content["num_examples"] += 1
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "damage", "reason"),
    [
        ("s2_20m.npy", _shorten, "bytes, expected"),
        ("s2_20m.npy", _flip, "its checksum is another"),
        ("s2_20m.npy", _other_dtype, "expected uint16"),
        ("s2_20m.npy", _pickle, "as NumPy writes it|expected uint16"),
        ("labels_19.npy", _flip, "its checksum is another"),
        ("labels_19.npy", lambda file: file.unlink(), "No such file"),
        ("cache.json", _other_patches, "it tells of other patches"),
        ("cache.json", lambda file: file.unlink(), "Remove the folder"),
        ("cache.json", lambda file: file.write_text("{"), "Remove the folder"),
    ],
)
def test_damaged_arrays_are_refused(builder, tmp_path, name, damage, reason):
    _open(tmp_path, builder, grids=("s2_20m",))
    (folder,) = tmp_path.iterdir()
    damage(folder / name)
    with pytest.raises(errors.UserError, match=reason) as caught:
        _open(tmp_path, builder, grids=("s2_20m",))
    assert name in str(caught.value)


def test_damaged_records_are_named(data_dir, tmp_path):
    damaged = tmp_path / "data"
    shutil.copytree(data_dir, damaged)
    for file in damaged.rglob("*-train.tfrecord*"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    with pytest.raises(errors.UserError, match=r"-train\.tfrecord"):
        _open(tmp_path / "cache", built_dataset.open_dataset(damaged))
    assert not list((tmp_path / "cache").iterdir())


def test_a_dataset_that_changes_meanwhile_is_refused(
    builder, tmp_path, monkeypatch
):
    states = (frozenset([("file", 1, 2, time)]) for time in itertools.count())
    monkeypatch.setattr(built_dataset, "state", lambda _: next(states))
    with pytest.raises(errors.UserError, match="was changed while it was"):
        _open(tmp_path, builder)
    assert not list(tmp_path.iterdir())


def test_every_grid_may_be_cached(builder):
    cache = _open(patch_cache.MEMORY, builder, grids=tuple(bigearthnet.GRIDS))
    assert set(cache.inputs) == set(bigearthnet.GRIDS)
