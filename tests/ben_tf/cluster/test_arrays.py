"""Arrays survive JSON, and what is damaged is refused."""

import msgspec
import numpy as np
import pytest

from ben_tf import errors
from ben_tf.cluster import arrays


@pytest.mark.parametrize(
    "array",
    [
        np.array([1.5, np.pi], np.float32),
        np.zeros((0, 3), np.int64),
        np.array([b"abc", b"d"]),
        np.array([[True], [False]]),
    ],
)
def test_arrays_come_back(array):
    text = msgspec.json.encode(arrays.Array.of(array))
    found = msgspec.json.decode(text, type=arrays.Array).value
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_strings_of_tensorflow_become_bytes():
    found = arrays.Array.of(np.array([b"abc", b"d"], object)).value
    assert found.dtype == "S3"


@pytest.mark.parametrize(
    "damaged",
    [
        arrays.Array("|O", (1,), bytes(8)),
        arrays.Array("wings", (1,), bytes(8)),
        arrays.Array("<f4", (3,), bytes(8)),
        arrays.Array("<f4", (-5, 2), bytes(8)),
    ],
)
def test_damaged_arrays_are_refused(damaged):
    with pytest.raises(errors.UserError, match="is damaged"):
        _ = damaged.value
