"""The predictions file: round trip, and what a damaged one says."""

import io

import numpy as np
import pytest

from ben_tf import errors
from ben_tf.evaluation import predictions


def _predictions(num_samples=3):
    return predictions.Predictions(
        patch_name=np.array(["S2A_é", "b", "c"][:num_samples]),
        labels=np.eye(3, dtype=np.uint8)[:num_samples],
        probabilities=np.full((num_samples, 3), 0.25, np.float32),
        country=np.arange(num_samples),
        season=np.arange(num_samples),
        epsg=np.full(num_samples, 32629),
        upper_left=np.full((num_samples, 2), 600_000.0),
    )


def test_what_is_saved_is_loaded(tmp_path):
    path = predictions.save(_predictions(), tmp_path / "new" / "test.npz")
    loaded = predictions.load(path)
    assert len(loaded) == 3
    np.testing.assert_equal(vars(loaded), vars(_predictions()))
    assert [p.name for p in path.parent.iterdir()] == ["test.npz"]


def test_a_file_without_pickle_is_readable_by_numpy_alone(tmp_path):
    path = predictions.save(_predictions(), tmp_path / "test.npz")
    with np.load(path, allow_pickle=False) as file:
        assert file["patch_name"].dtype.kind == "U"
        assert file["labels"].dtype == np.uint8
        assert file["probabilities"].dtype == np.float32


def test_missing_file(tmp_path):
    with pytest.raises(errors.UserError, match="No predictions found"):
        predictions.load(tmp_path / "test.npz")


def _npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a zip file",
        _npz(labels=np.zeros((2, 3))),
        _npz(**{**vars(_predictions()), "labels": np.zeros((2, 3))}),
        _npz(**{**vars(_predictions()), "upper_left": np.zeros((3, 1))}),
        _npz(**{**vars(_predictions()), "patch_name": np.array([None] * 3)}),
    ],
)
def test_damaged_file(content, tmp_path):
    path = tmp_path / "test.npz"
    path.write_bytes(content)
    with pytest.raises(errors.UserError, match="cannot be read"):
        predictions.load(path)
