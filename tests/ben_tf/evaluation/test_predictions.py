"""The predictions file: round trip, and what a damaged one says."""

import dataclasses
import io
import zipfile

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
        model="ab",
        records="cd",
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


def _changed(**arrays) -> bytes:
    return _npz(**{**vars(_predictions()), **arrays})


def _of_a_declared_shape(shape) -> bytes:
    """A small file whose names say to be of another shape."""
    header = f"{{'descr': '<U4', 'fortran_order': False, 'shape': {shape}, }}\n"
    length = len(header).to_bytes(2, "little")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(
            "patch_name.npy", b"\x93NUMPY\x01\x00" + length + header.encode()
        )
    return buffer.getvalue()


_WHOLE = _npz(**vars(_predictions()))
_NAN = np.full((3, 3), np.nan, np.float32)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "not a zip file"),
        (b"not a zip file", "not a zip file"),
        (_WHOLE[:-40], "not a zip file"),
        (_WHOLE.replace(b"S\0\0\0002\0\0\0A", b"S\0\0\0003\0\0\0A"), "Bad CRC"),
        # As a version of ZIP that does not exist.
        (
            _WHOLE.replace(b"PK\1\2\x2d\3\x2d\0", b"PK\1\2\xff\3\xff\0"),
            "version",
        ),
        (_npz(labels=np.zeros((2, 3))), r"patch_name\.npy"),
        (_changed(labels=np.zeros((2, 3), np.uint8)), "shapes differ"),
        (
            _npz(**{n: a[:0] for n, a in vars(_predictions()).items()}),
            "no patches",
        ),
        (_changed(labels=np.zeros((3, 3))), "labels: expected uint8"),
        (_changed(upper_left=np.zeros((3, 1))), "upper_left: expected float64"),
        (_changed(epsg=np.zeros(3, np.int32)), "epsg: expected int64"),
        (_changed(patch_name=np.array([None] * 3)), "patch_name: expected"),
        (_changed(patch_name=np.array([b"a"] * 3)), "patch_name: expected str"),
        (_changed(patch_name=np.array(["a", "b", "\x1b[2J"])), "no text"),
        (_changed(probabilities=_NAN), "probabilities: expected 0 to 1"),
        (_changed(probabilities=_NAN * 0 + 2), "probabilities: expected 0"),
        (_changed(labels=np.full((3, 3), 2, np.uint8)), "labels: expected 0"),
        (_changed(country=np.array([0, 1, 10])), "country: expected -1 to 9"),
        (_changed(season=np.array([-2, 1, 2])), "season: expected -1 to 3"),
        (_changed(epsg=np.array([0, 1, 2])), "epsg: expected 32601"),
        (_changed(upper_left=np.full((3, 2), np.inf)), "upper_left: expected"),
        (_changed(model=np.array(1)), "model: expected str"),
        (_changed(records=np.array(["a", "b"])), "records: expected str"),
        (_of_a_declared_shape((10**12,)), "expected 16,000,000,000,0"),
    ],
)
def test_damaged_file(content, match, tmp_path):
    path = tmp_path / "test.npz"
    path.write_bytes(content)
    with pytest.raises(
        errors.UserError,
        match=rf"test\.npz cannot be read: .*{match}.*evaluate",
    ):
        predictions.load(path)


def test_a_compressed_bomb_is_refused_before_it_grows(tmp_path, monkeypatch):
    monkeypatch.setattr(predictions, "_MOST_BYTES", 1000)
    path = predictions.save(_predictions(), tmp_path / "test.npz")
    with pytest.raises(errors.UserError, match="more than 1,000 bytes"):
        predictions.load(path)


def test_arrays_of_either_order_come_back(tmp_path):
    labels = np.asfortranarray(_predictions().labels[:, :2])
    expected = dataclasses.replace(
        _predictions(),
        labels=labels,
        probabilities=np.zeros((3, 2), np.float32),
    )
    path = predictions.save(expected, tmp_path / "test.npz")
    np.testing.assert_equal(vars(predictions.load(path)), vars(expected))
