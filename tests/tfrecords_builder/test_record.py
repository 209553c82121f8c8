"""Records written by hand against the serializer of TFDS."""

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from ben_tf import bigearthnet
from ben_tf.archive import open_archive
from ben_tf.archive import patch_pair
from tfrecords_builder import bigearthnet_mm_dataset_builder as builder_lib
from tfrecords_builder import record


def features(tmp_path) -> tfds.features.FeaturesDict:
    return builder_lib.Builder(data_dir=str(tmp_path)).info.features


def test_records_are_those_of_tfds(real_archive, real_pairs, tmp_path):
    source = open_archive.open_archive(real_archive)
    schema = features(tmp_path)
    for official in real_pairs:
        pair = patch_pair.read(source, official)
        ours = tf.train.Example.FromString(record.serialize(pair))
        theirs = tf.train.Example.FromString(
            schema.serialize_example(record.example(pair))
        )
        assert ours == theirs
        # Same size, so the encoding is as compact.
        assert ours.ByteSize() == len(record.serialize(pair))


def test_values_survive(real_archive, real_pairs, tmp_path):
    source = open_archive.open_archive(real_archive)
    pair = patch_pair.read(source, real_pairs[0])
    decoded = features(tmp_path).deserialize_example_np(record.serialize(pair))
    for name, pixels in pair.grids.items():
        np.testing.assert_array_equal(decoded[name], pixels)
        assert decoded[name].dtype == bigearthnet.GRIDS[name].dtype
    epsg, upper_left = pair.footprint
    np.testing.assert_array_equal(decoded["upper_left"], upper_left)
    assert decoded["epsg"] == epsg
    assert decoded["patch_name"].decode() == pair.official.s2_name


def test_a_patch_without_19_class_label(real_archive, real_pairs, tmp_path):
    source = open_archive.open_archive(real_archive)
    pair = patch_pair.read(source, real_pairs[0])
    metadata = pair.metadata._replace(labels_43=("Airports",), labels_19=())
    pair = pair._replace(metadata=metadata)
    decoded = features(tmp_path).deserialize_example_np(record.serialize(pair))
    assert len(decoded["labels_19"]) == 0
    assert list(decoded["labels_43"]) == [
        bigearthnet.CLASSES_43.index("Airports")
    ]


def test_planned_size_of_a_record(real_archive, real_pairs):
    source = open_archive.open_archive(real_archive)
    for official in real_pairs:
        size = len(record.serialize(patch_pair.read(source, official)))
        assert abs(size - record.approximate_bytes("v1")) < 0.01 * size
