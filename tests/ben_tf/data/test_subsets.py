"""Parts of splits agree with what TFDS and plain Python select of all."""

import os
import shutil

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_datasets as tfds
from pyarrow import parquet

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.data import patch_table
from ben_tf.data import preprocessing
from ben_tf.data import subsets
from ben_tf.training import dry_run
from tfrecords_builder import bigearthnet_mm_dataset_builder


@pytest.fixture(scope="module")
def sharded(sample_archive_dir, make_once):
    """The sample with several files a split."""

    def build(folder) -> None:
        bigearthnet_mm_dataset_builder.Builder(
            data_dir=folder, num_workers=1
        ).download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=str(sample_archive_dir), num_shards=4
            )
        )

    return make_once("sharded", build)


@pytest.fixture(scope="module")
def builder(sharded):
    return built_dataset.open_dataset(sharded)


def _patches(data_dir, split):
    """Name, country, season and labels of the records, as TFDS reads them."""
    dataset = tfds.load("bigearthnet_mm", data_dir=data_dir, split=split)
    for example in tfds.as_numpy(dataset):
        yield (
            example["patch_name"].decode(),
            bigearthnet.COUNTRIES[example["country"]],
            bigearthnet.SEASONS[example["season"]],
            {bigearthnet.CLASSES_19[x] for x in example["labels_19"]}
            | {bigearthnet.CLASSES_43[x] for x in example["labels_43"]},
        )


def _names(builder, split):
    batches = input_pipeline.native_batches(
        builder, split, grids=(), batch_size=4, metadata=["patch_name"]
    )
    return [
        x.decode() for batch in batches for x in batch["patch_name"].numpy()
    ]


# Split -> the splits of TFDS, and what is kept of each.
CASES = {
    "train[country=Portugal]": [("train", lambda c, s, x: c == "Portugal")],
    "train[country!=Finland]": [("train", lambda c, s, x: c != "Finland")],
    "train[country=Portugal|ireland]": [
        ("train", lambda c, s, x: c in ("Portugal", "Ireland"))
    ],
    "train [ season = summer & country != Serbia|Kosovo ]": [
        (
            "train",
            lambda c, s, x: s == "Summer" and c not in ("Serbia", "Kosovo"),
        )
    ],
    "train[label=Pastures|Arable land]": [
        ("train", lambda c, s, x: bool(x & {"Pastures", "Arable land"}))
    ],
    "train[label=Pastures & label=Arable land]": [
        ("train", lambda c, s, x: x >= {"Pastures", "Arable land"})
    ],
    "all[label!=Non-irrigated arable land|Pastures]": [
        (
            "all",
            lambda c, s, x: x.isdisjoint(
                {"Non-irrigated arable land", "Pastures"}
            ),
        )
    ],
    "all[label!=Land principally occupied by agriculture, with significant "
    "areas of natural vegetation]": [
        (
            "all",
            lambda c, s, x: not any("principally occupied" in y for y in x),
        )
    ],
    "train[20%:80%][season!=Winter]": [
        ("train[20%:80%]", lambda c, s, x: s != "Winter")
    ],
    "train[-9:]+test[season=Fall|Spring]+validation[2:][country!=Austria]": [
        ("train[-9:]", lambda c, s, x: True),
        ("test", lambda c, s, x: s in ("Fall", "Spring")),
        ("validation[2:]", lambda c, s, x: c != "Austria"),
    ],
}


@pytest.mark.parametrize("split", CASES)
def test_patches_are_those_that_tfds_and_python_select(sharded, builder, split):
    expected, number = [], 0
    for tfds_split, keeps in CASES[split]:
        patches = list(_patches(sharded, tfds_split))
        expected += [name for name, *facts in patches if keeps(*facts)]
        number += len(patches)
    # Otherwise the case would show nothing.
    assert 0 < len(expected) < number
    assert sorted(_names(builder, split)) == sorted(expected)
    assert built_dataset.num_examples(builder, split) == len(expected)


def test_training_visits_each_patch_of_a_part_once_an_epoch(sharded, builder):
    spec = input_pipeline.BatchSpec(
        preprocessing.Preprocessing("S1"), batch_size=5, shuffle_buffer=7
    )
    split = "train[season!=Winter]"
    expected = [
        name
        for name, _, season, _ in _patches(sharded, "train")
        if season != "Winter"
    ]
    steps = len(expected) // 5
    batches = input_pipeline.training_batches(
        builder, split, spec, epochs=range(3)
    )
    assert sum(1 for _ in batches) == 3 * steps > 3
    orders = [
        [
            name
            for step in range(steps)
            for name in input_pipeline.training_patch_names(
                builder, split, spec, epoch=epoch, step=step
            )
        ]
        for epoch in range(2)
    ]
    assert orders[0] != orders[1]
    for order in orders:
        assert len(set(order)) == len(order) == 5 * steps
        assert set(order) <= set(expected)


def test_all_records_of_the_files_are_read_for_a_part(builder):
    whole = dry_run._bytes_read(builder, "train")
    assert dry_run._bytes_read(builder, "train[season=Summer]") == whole


@pytest.mark.parametrize(
    ("split", "match"),
    [
        ("train[country=Portugl]", "Unknown country 'Portugl'.*'Austria', "),
        ("train[season=Autumn]", "Unknown season 'Autumn'.*'Winter', "),
        ("train[label=Sea]", "Unknown label 'Sea'.*'Sea and ocean'"),
        ("train[country=]", "Unknown country ''"),
        ("train[country=Austria|]", "Unknown country ''"),
        ("train[snow=yes]", "Cannot read the conditions.*about country, "),
        ("train[country=Austria", "Cannot read the conditions"),
        ("train[country=Austria][:3]", "Cannot read the conditions"),
        ("train[:3,country=Austria]", "Cannot read the conditions"),
        ("train[country==Austria]", "Cannot read the conditions"),
        ("train[country=Austria & ]", "Cannot read the conditions"),
        ("[country=Austria]", "Cannot read the conditions"),
        ("train[season=Fall]+", "Cannot read the conditions"),
        ("=", "Cannot read the conditions"),
        ("val[season=Fall]", r"no patch in split 'val.*'train': 27"),
        ("train[season=Fall & season=Spring]", "no patch in split"),
        ("train[:0][season=Fall]", "no patch in split"),
    ],
)
def test_what_cannot_be_selected_is_refused(builder, split, match):
    with pytest.raises(errors.UserError, match=match):
        subsets.select(builder, split)


@pytest.fixture
def copied(sharded, tmp_path):
    """A dataset to damage, and the path of its table."""
    copy = shutil.copytree(sharded, tmp_path / "data")
    (path,) = copy.rglob(patch_table.FILE_NAME)
    return built_dataset.open_dataset(copy), path


SPLIT = "train[country!=Finland]"


def _replace_column(table, name, values):
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(values))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda table: table.slice(1), "47 rows. Expected one for each of 48"),
        (lambda table: table.drop_columns("season"), "season"),
        (
            lambda table: _replace_column(table, "split", ["test"] * 48),
            "rows of split",
        ),
        (
            lambda table: _replace_column(table, "patch_name", [""] * 48),
            "rows without a name",
        ),
        (
            lambda table: _replace_column(table, "patch_name", [None] * 48),
            "rows without a name",
        ),
        (
            lambda table: _replace_column(table, "labels_19", ["x"] * 48),
            "cast from string to list",
        ),
    ],
)
def test_another_table_is_refused(copied, change, match):
    builder, path = copied
    parquet.write_table(change(parquet.read_table(path)), path)
    with pytest.raises(errors.UserError, match=f"cannot be used: .*{match}"):
        subsets.select(builder, SPLIT)


@pytest.mark.parametrize("content", [b"", b"PAR1 and no table PAR1", None])
def test_a_table_that_is_none_is_refused(copied, content):
    builder, path = copied
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(errors.UserError, match=f"{path} cannot be used"):
        subsets.select(builder, SPLIT)
    # Nothing is looked up there without conditions.
    assert built_dataset.num_examples(builder, "train") == 27


def test_a_table_of_damaged_text_is_refused(copied):
    builder, path = copied
    data = path.read_bytes()
    name = _names(builder, "test")[0].encode()
    assert data.count(name[:-4])
    path.write_bytes(data.replace(name[:-4], name[:-5] + b"\xff"))
    with pytest.raises(errors.UserError, match="cannot be used"):
        subsets.select(builder, SPLIT)


def test_a_pipe_in_place_of_the_table_is_not_waited_for(copied):
    builder, path = copied
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(errors.UserError, match="cannot be used"):
        subsets.select(builder, SPLIT)


def test_a_table_in_another_order_is_noticed(copied):
    builder, path = copied
    table = parquet.read_table(path)
    order = np.arange(len(table))[::-1]
    parquet.write_table(table.take(pa.array(order)), path)
    with pytest.raises(
        errors.UserError, match=r"holds the place of another patch in patches"
    ):
        for _ in input_pipeline.read_batches(builder, SPLIT, grids=()):
            pass


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train[:10%]", {"train"}),
        ("test[label=Pastures|Annual crops]+all", {"test", "all"}),
    ],
)
def test_names_of_splits_are_told_from_conditions(split, names):
    assert subsets.base_names(split) == names
