"""What we rely on in TFDS holds for the TFDS that is installed."""

import errno
import importlib
import os
import pathlib

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath
from hypothesis import given
from hypothesis import strategies
from tensorflow_datasets.core import hashing
from tensorflow_datasets.core import utils
from tensorflow_datasets.core.utils import shard_utils

from tfrecords_builder import tfds_internals

NAMES = tuple(f"patch {number}" for number in range(50))


class Tiny(tfds_internals.SplitWriter, skip_registration=True):
    """Writes two files itself and notes what TFDS does meanwhile."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, **kwargs):
        self.calls = []
        super().__init__(**kwargs)

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"name": tfds.features.Text()})
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for name in NAMES:
            yield name, {"name": name}

    def write_splits(self, dl_manager, download_config):
        self.calls.append(pathlib.Path(self.data_path))
        template = tfds_internals.filename_template(self, "train")
        for index in range(2):
            path = template.sharded_filepath(shard_index=index, num_shards=2)
            with tf.io.TFRecordWriter(str(path)) as writer:
                for name in NAMES[index :: 10 + index]:
                    example = {"name": name}
                    writer.write(self.info.features.serialize_example(example))
        return [
            tfds.core.SplitInfo(
                name="train",
                filename_template=template,
                shard_lengths=[len(NAMES[0::10]), len(NAMES[1::11])],
                num_bytes=123,
            )
        ]


class TinyByTfds(Tiny, skip_registration=True):
    _generate_splits = tfds.core.GeneratorBasedBuilder._generate_splits


def prepare(builder_class, data_dir, **options) -> Tiny:
    builder = builder_class(data_dir=str(data_dir))
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(**options)
    )
    return builder


def names(builder) -> list[str]:
    records = builder.as_dataset(split="train", shuffle_files=False)
    return [example["name"].decode() for example in tfds.as_numpy(records)]


def test_write_splits_is_called_once_in_the_unfinished_folder(tmp_path):
    builder = prepare(Tiny, tmp_path)
    (folder,) = builder.calls
    final = pathlib.Path(builder.data_path)
    assert folder.parent == final.parent
    assert folder.match(tfds_internals.UNFINISHED_PATTERN)
    assert folder.name.endswith(f"_{final.name}")
    assert not folder.exists()
    assert final.is_dir()


def test_a_file_that_is_not_whole_has_a_name_that_is_cleaned_up(tmp_path):
    final = epath.Path(tmp_path) / "metadata.json"
    with utils.incomplete_file(final) as unfinished:
        unfinished.touch()
        pattern = tfds_internals.UNFINISHED_FILE_PATTERN
        assert pathlib.Path(unfinished).match(pattern)
    assert not pathlib.Path(final).match(pattern)


def test_files_named_by_the_template_are_what_tfds_reads(tmp_path):
    prepare(Tiny, tmp_path)
    builder = Tiny(data_dir=str(tmp_path))
    assert names(builder) == [*NAMES[0::10], *NAMES[1::11]]
    split = builder.info.splits["train"]
    assert split.num_examples == 10
    assert split.num_bytes == 123


def test_an_error_while_writing_leaves_no_version(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("The cable was pulled.")

    monkeypatch.setattr(Tiny, "write_splits", fail)
    with pytest.raises(OSError, match="cable"):
        prepare(Tiny, tmp_path)
    assert not list(tmp_path.rglob("1.0.0"))
    assert not list(tmp_path.rglob(tfds_internals.UNFINISHED_PATTERN))


def test_tfds_never_loads_a_folder_with_an_unfinished_prefix(tmp_path):
    version = pathlib.Path(prepare(Tiny, tmp_path).data_path)
    prefix = tfds_internals.unfinished_prefix("OLD")
    hidden = version.rename(version.with_name(prefix + version.name))
    assert hidden.match(tfds_internals.UNFINISHED_PATTERN)
    with pytest.raises(tfds.core.registered.DatasetNotFoundError):
        tfds.load("tiny", data_dir=tmp_path)
    hidden.rename(version)
    assert len(tfds.load("tiny", data_dir=tmp_path)["train"]) == 10


def test_without_a_writer_tfds_writes_in_the_order_of_record_order(tmp_path):
    builder = prepare(TinyByTfds, tmp_path)
    order = tfds_internals.record_order("train")
    assert names(builder) == sorted(NAMES, key=order)


def test_record_order_is_that_of_the_hashes_of_tfds():
    for split in ("train", "test"):
        hasher = hashing.Hasher(split)
        assert sorted(NAMES, key=hasher.hash_key) == sorted(
            NAMES, key=tfds_internals.record_order(split)
        )
    assert sorted(NAMES, key=tfds_internals.record_order("test")) != sorted(
        NAMES, key=tfds_internals.record_order("train")
    )


@given(
    num_records=strategies.integers(1, 300_000),
    num_shards=strategies.integers(1, 2_000),
)
def test_boundaries_are_those_of_tfds(num_records, num_shards):
    num_shards = min(num_records, num_shards)
    ranges = tfds_internals.shard_boundaries(num_records, num_shards)
    ends = shard_utils.get_shard_boundaries(num_records, num_shards)
    assert [end for _, end in ranges] == ends
    assert [first for first, _ in ranges] == [0, *ends[:-1]]


def test_tfds_cuts_its_shards_at_the_boundaries(tmp_path):
    builder = prepare(TinyByTfds, tmp_path, num_shards=4)
    lengths = builder.info.splits["train"].shard_lengths
    ranges = tfds_internals.shard_boundaries(len(NAMES), 4)
    assert lengths == [end - first for first, end in ranges]


def test_the_shard_config_gives_the_number_that_tfds_writes(tmp_path):
    def num_shards(num_bytes: int, num_records: int, **options) -> int:
        config = tfds.download.DownloadConfig(**options).get_shard_config()
        return config.get_number_shards(num_bytes, num_records)

    assert num_shards(1000, 50) == 1
    # Files of 64 MiB to 1 GiB.
    assert 64 << 20 < (162 << 30) / num_shards(162 << 30, 590_326) < 1 << 30
    assert num_shards(1000, 50, num_shards=7) == 7
    builder = prepare(TinyByTfds, tmp_path, num_shards=7)
    assert len(builder.info.splits["train"].shard_lengths) == 7
    assert len(os.listdir(builder.data_path)) >= 7


def test_a_new_builder_leaves_no_folder_and_asks_nobody(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    class Described(Tiny, skip_registration=True):
        def _info(self):
            return tfds_internals.described_here(super()._info())

    Tiny(data_dir=tmp_path / "data")
    assert len(list(temporary.iterdir())) == 1  # What is to be avoided.
    Described(data_dir=tmp_path / "data")
    assert len(list(temporary.iterdir())) == 1


def test_the_first_visualizer_that_matches_shows_the_examples(monkeypatch):
    module = importlib.import_module(
        "tensorflow_datasets.core.visualization.show_examples"
    )
    monkeypatch.setattr(module, "_ALL_VISUALIZERS", [*module._ALL_VISUALIZERS])

    class Ours(tfds.visualization.Visualizer):
        def match(self, ds_info):
            return ds_info.name == "tiny"

        def show(self, ds, ds_info, **options):
            return options

    tfds_internals.show_examples_with(Ours())
    with tfds.testing.tmp_dir() as data_dir:
        info = Tiny(data_dir=data_dir).info
    records = tf.data.Dataset.from_tensors({"name": "x"})
    assert tfds.show_examples(records, info, rows=1) == {"rows": 1, "cols": 3}


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record", "parquet"])
def test_a_shard_in_each_file_format_is_what_tfds_reads(tmp_path, file_format):
    class TinyInFormat(Tiny, skip_registration=True):
        def write_splits(self, dl_manager, download_config):
            template = tfds_internals.filename_template(self, "train")
            tfds_internals.write_file(
                file_format,
                template.sharded_filepath(shard_index=0, num_shards=1),
                (
                    self.info.features.serialize_example({"name": name})
                    for name in NAMES
                ),
            )
            return [
                tfds.core.SplitInfo(
                    name="train",
                    filename_template=template,
                    shard_lengths=[len(NAMES)],
                    num_bytes=1,
                )
            ]

    builder = TinyInFormat(data_dir=str(tmp_path), file_format=file_format)
    builder.download_and_prepare()
    if file_format == "array_record":
        read = [
            each["name"].decode() for each in builder.as_data_source()["train"]
        ]
    else:
        read = names(builder)
    assert read == [*NAMES]


def test_a_disk_that_is_full_is_an_os_error_in_array_records_too():
    with pytest.raises(OSError, match="No space left on device") as error:
        tfds_internals.write_file(
            "array_record", "/dev/full", [os.urandom(9999)]
        )
    assert error.value.errno == errno.ENOSPC


def test_other_errors_while_writing_stay_as_they_are(tmp_path):
    def records():
        yield b"the first"
        raise RuntimeError("The cable was pulled.")

    with pytest.raises(RuntimeError, match="cable"):
        tfds_internals.write_file("array_record", tmp_path / "x", records())
