"""Records that cannot be used are refused by name, whatever reads them."""

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import errors
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.data import records

_METADATA = ("country", "season", "epsg", "upper_left", "s1_name")


@pytest.fixture(scope="module")
def builder(data_dir):
    return built_dataset.open_dataset(data_dir)


@pytest.fixture(scope="module")
def serialized(builder) -> list[bytes]:
    """Three records."""
    parts = builder.info.splits["test"].file_instructions
    files = tf.data.TFRecordDataset([part.filename for part in parts])
    return list(files.take(3).as_numpy_iterator())


def _parse(
    serialized,
    builder,
    grids=("s1", "s2_10m"),
    num_classes=19,
    drop_remainder=False,
):
    parse = records.parse_batch
    batches = (
        tf.data.Dataset.from_tensor_slices(serialized)
        .batch(len(serialized), drop_remainder=drop_remainder)
        .map(
            lambda x: parse(
                x, grids=grids, num_classes=num_classes, metadata=_METADATA
            )
        )
    )
    with records.explained_errors(builder):
        return next(iter(batches))


def _name(record: bytes) -> str:
    features = tf.train.Example.FromString(record).features.feature
    return features["patch_name"].bytes_list.value[0].decode()


def _pixel(grid, dtype, value):
    def change(features):
        values = features[grid].bytes_list.value
        pixels = np.frombuffer(values[0], dtype).copy()
        pixels[-1] = value
        values[0] = pixels.tobytes()

    return change


def _replace(name, kind, value):
    def change(features):
        getattr(features[name], kind).value[0] = value

    return change


def _half(features):
    values = features["s2_10m"].bytes_list.value
    values[0] = values[0][: len(values[0]) // 2]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_pixel("s1", np.float32, np.nan), "NaN or infinite s1"),
        (_pixel("s1", np.float32, -np.inf), "NaN or infinite s1"),
        (_half, "s2_10m of another size"),
        (
            lambda x: x["labels_19"].int64_list.value.append(19),
            "a label outside 0 to 18",
        ),
        (
            lambda x: x["labels_19"].int64_list.value.append(-1),
            "a label outside 0 to 18",
        ),
        (_replace("epsg", "int64_list", 0), "an impossible epsg"),
        (_replace("country", "int64_list", 10), "an impossible country"),
        (_replace("season", "int64_list", -2), "an impossible season"),
        (
            _replace("upper_left", "float_list", np.nan),
            "NaN or infinite upper_left",
        ),
    ],
)
# Where TensorFlow knows all shapes, it may compute some checks beforehand.
@pytest.mark.parametrize("drop_remainder", [False, True])
def test_what_cannot_be_used_is_refused_by_name(
    serialized, builder, change, reason, drop_remainder
):
    example = tf.train.Example.FromString(serialized[1])
    change(example.features.feature)
    damaged = [serialized[0], example.SerializeToString(), serialized[2]]
    with pytest.raises(errors.UserError) as refused:
        _parse(damaged, builder, drop_remainder=drop_remainder)
    message = str(refused.value)
    assert f"{_name(serialized[1])} holds {reason}. python -m" in message
    assert _name(serialized[0]) not in message
    assert "verify --data_dir=" in message


def test_what_a_model_does_not_read_is_not_looked_at(serialized, builder):
    example = tf.train.Example.FromString(serialized[0])
    _pixel("s1", np.float32, np.nan)(example.features.feature)
    _parse([example.SerializeToString()], builder, grids=("s2_10m",))


def test_large_numbers_are_no_infinities(serialized, builder):
    example = tf.train.Example.FromString(serialized[0])
    values = np.full((120, 120, 2), 1e30, np.float32)
    example.features.feature["s1"].bytes_list.value[0] = values.tobytes()
    batch = _parse([example.SerializeToString()], builder)
    np.testing.assert_array_equal(batch["inputs"]["s1"][0], values)


def test_a_name_that_is_no_text_is_refused(serialized, builder):
    example = tf.train.Example.FromString(serialized[0])
    _replace("patch_name", "bytes_list", b"\xff\xfe")(example.features.feature)
    with pytest.raises(errors.UserError, match=r"\?\? holds a name that is"):
        _parse([example.SerializeToString()], builder)


def test_many_damaged_records_are_named_by_the_first(serialized, builder):
    example = tf.train.Example.FromString(serialized[0])
    _pixel("s1", np.float32, np.nan)(example.features.feature)
    with pytest.raises(errors.UserError) as refused:
        _parse([example.SerializeToString()] * 9, builder)
    assert str(refused.value).count(_name(serialized[0])) == 5


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (tf.train.Example().SerializeToString(), "has unusable records: no "),
        (b"no example", "has unusable records: no tf.train.Example"),
    ],
)
def test_other_records_are_refused(record, reason, builder):
    with pytest.raises(errors.UserError, match=reason):
        _parse([record], builder)


def test_other_errors_are_left_alone(builder):
    with (
        pytest.raises(tf.errors.InvalidArgumentError),
        records.explained_errors(builder),
    ):
        tf.reshape(tf.zeros(3), (2, 2))


def test_errors_of_whoever_reads_are_left_alone(builder):
    with pytest.raises(tf.errors.NotFoundError):
        for _ in input_pipeline.read_batches(builder, "test", grids=("s1",)):
            tf.io.read_file("/nowhere")
