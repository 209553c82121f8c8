"""Order, boundaries and framing of the records, against those of TFDS."""

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from hypothesis import given
from hypothesis import strategies
from tensorflow_datasets.core import hashing
from tensorflow_datasets.core.utils import shard_utils

from tfrecords_builder import bigearthnet_mm_dataset_builder as builder_lib
from tfrecords_builder import shards


@given(
    num_records=strategies.integers(1, 300_000),
    num_shards=strategies.integers(1, 2_000),
)
def test_boundaries_are_those_of_tfds(num_records, num_shards):
    num_shards = min(num_records, num_shards)
    ranges = shards.boundaries(num_records, num_shards)
    ends = shard_utils.get_shard_boundaries(num_records, num_shards)
    assert [end for _, end in ranges] == ends
    assert [first for first, _ in ranges] == [0, *ends[:-1]]


def test_order_is_that_of_tfds(real_pairs):
    ordered = shards.in_record_order("train", real_pairs)
    hasher = hashing.Hasher("train")
    hashes = [hasher.hash_key(pair.s2_name) for pair in ordered]
    assert hashes == sorted(hashes)
    assert shards.in_record_order("train", real_pairs[::-1]) == ordered
    assert shards.in_record_order("test", real_pairs) != ordered


def build(real_archive, data_dir) -> dict[str, list[tf.train.Example]]:
    builder = builder_lib.Builder(data_dir=str(data_dir), num_workers=1)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=str(real_archive)
        )
    )
    return {
        # The reader checks the checksums.
        path.name: [
            tf.train.Example.FromString(data)
            for data in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        ]
        for path in builder.data_path.glob("*.tfrecord-*")
    }


def test_shards_are_those_of_the_writer_of_tfds(
    real_archive, tmp_path, monkeypatch
):
    ours = build(real_archive, tmp_path / "ours")
    monkeypatch.setattr(
        builder_lib.Builder,
        "_generate_splits",
        tfds.core.GeneratorBasedBuilder._generate_splits,
    )
    theirs = build(real_archive, tmp_path / "theirs")
    assert len(ours) == 3
    assert ours == theirs


def test_unknown_on_error_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Expected 'raise' or 'skip'"):
        builder_lib.Builder(data_dir=str(tmp_path), on_error="ignore")
