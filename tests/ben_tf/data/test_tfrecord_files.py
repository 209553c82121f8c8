"""The file that TensorFlow cannot read is named; it says only at which byte."""

import os
import shutil

import pytest
import tensorflow as tf

from ben_tf import errors
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.data import tfrecord_files

_LENGTHS = (5, 0, 700)


@pytest.fixture
def path(tmp_path):
    """Three records as TensorFlow writes them."""
    path = tmp_path / "x.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for length in _LENGTHS:
            writer.write(bytes(range(5)) * (length // 5))
    return path


def test_whole_files_have_no_fault(path):
    for position in (None, 0, 21, 37):
        tfrecord_files.check_files([(path, 3)], position)


@pytest.mark.parametrize("byte", range(0, 753, 41))
@pytest.mark.parametrize("bit", [0, 7])
def test_any_flipped_bit_that_tensorflow_finds_is_found(path, byte, bit):
    data = bytearray(path.read_bytes())
    data[byte] ^= 1 << bit
    path.write_bytes(data)
    with pytest.raises(tf.errors.DataLossError) as error:
        list(tf.data.TFRecordDataset(str(path)))
    position = int(str(error.value).split("record at ")[1].split()[0])
    with pytest.raises(errors.ArchiveError, match="is damaged") as fault:
        tfrecord_files.check_files([(path, 3)], position)
    assert fault.value.place == str(path)


def test_frames_hold_what_was_written(path):
    frames = [frame.read() for frame in tfrecord_files.frames(path)]
    assert frames == [
        (bytes(range(5)) * (length // 5), True) for length in _LENGTHS
    ]


@pytest.mark.parametrize(
    ("size", "fault"),
    [
        (752, "is truncated: it ends within record 2."),
        (40, "is truncated: it ends within record 2."),
        (37, "holds 2 records. Expected 3, as dataset_info.json says."),
        (0, "holds 0 records. Expected 3, as dataset_info.json says."),
    ],
)
def test_files_that_were_cut_off(path, size, fault):
    os.truncate(path, size)
    with pytest.raises(errors.ArchiveError) as error:
        tfrecord_files.check_files([(path, 3)], None)
    assert error.value.reason == fault


def test_the_first_of_several_files_is_named(path, tmp_path):
    missing = tmp_path / "missing"
    with pytest.raises(
        errors.ArchiveError, match="cannot be read: No such file or directory"
    ) as error:
        tfrecord_files.check_files([(path, 3), (missing, 1)], None)
    assert error.value.place == str(missing)


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _cut_between_records(path):
    length = int.from_bytes(path.read_bytes()[:8], "little")
    os.truncate(path, length + 16)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_flip, "is damaged: record "),
        (
            lambda path: os.truncate(path, 1000),
            "is truncated: it ends within record 0",
        ),
        (_cut_between_records, "holds 1 records. Expected "),
        (lambda path: path.unlink(), "cannot be read"),
    ],
)
def test_damage_to_a_dataset_is_a_sentence(data_dir, tmp_path, damage, reason):
    copy = shutil.copytree(data_dir, tmp_path / "data")
    builder = built_dataset.open_dataset(copy)
    path = next(copy.rglob("*-test.tfrecord-*"))
    damage(path)
    batches = input_pipeline.read_batches(builder, "test", grids=("s1",))
    with pytest.raises(errors.UserError, match=f"{path} {reason}"):
        list(batches)
