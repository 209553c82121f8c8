"""Shards are those that the writer of TFDS would have written."""

import tensorflow as tf
import tensorflow_datasets as tfds

from tfrecords_builder import bigearthnet_mm_dataset_builder as builder_lib


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
