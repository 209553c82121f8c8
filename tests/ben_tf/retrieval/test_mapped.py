"""Pages of mapped files are given back; what they hold is not lost."""

import pathlib

import numpy as np
import pytest

from ben_tf.retrieval import mapped

SHAPE = (12_000, 1024)  # 48 MB; a page of the file cache may have 4.


def _resident(path: pathlib.Path) -> int:
    """Bytes of a mapped file that this process has resident."""
    resident, is_it = 0, False
    for line in pathlib.Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            is_it = line.endswith(str(path))
        elif is_it and line.startswith("Rss:"):
            resident += 1024 * int(line.split()[1])
    return resident


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "array.npy"
    values = np.arange(SHAPE[0] * SHAPE[1], dtype=np.float32)
    np.save(path, values.reshape(SHAPE))
    return path


def _open(path, mode="r"):
    return np.load(path, mmap_mode=mode)


def test_blocks_cover_all_rows_and_do_not_pile_up(file):
    array = _open(file)
    seen, most = [], 0
    for rows in mapped.blocks(array, rows_at_once=256):
        seen.append(array[rows].copy())
        most = max(most, _resident(file))
    np.testing.assert_array_equal(np.concatenate(seen), np.load(file))
    # A block has 1 MB; the kernel maps pages around it.
    assert 0 < most < 16e6
    assert _resident(file) < 16e6


def test_what_was_written_stays(file):
    array = _open(file, "r+")
    array[:] = 7
    mapped.release(array)
    assert _resident(file) == 0
    assert (array == 7).all()
    array.flush()
    assert (np.load(file) == 7).all()


def test_rows_alone_are_given_back(file):
    array = _open(file)
    array.sum()
    mapped.release(array, slice(3000, 9000))
    size = file.stat().st_size
    assert _resident(file) == pytest.approx(size / 2, rel=0.2)


@pytest.mark.parametrize("kind", ["memory", "slice", "copy on write"])
def test_other_arrays_stay_as_they_are(file, kind):
    array = {
        "memory": np.load(file),
        "slice": _open(file, "r+")[5:],
        "copy on write": _open(file, "c"),
    }[kind]
    array[3] = -1
    for rows in mapped.blocks(array, rows_at_once=1000):
        assert array[rows].shape[1] == SHAPE[1]
    assert (array[3] == -1).all()


@pytest.mark.parametrize("is_mapped", [True, False])
def test_rows_are_taken_in_any_order(file, is_mapped):
    values = np.load(file)
    array = _open(file) if is_mapped else values
    rows = np.random.default_rng(0).integers(0, len(values), 5000)
    np.testing.assert_array_equal(mapped.take(array, rows), values[rows])
    names = np.array(["b", "aa", "c"])
    assert mapped.take(names, np.array([1, 1, 0])).tolist() == ["aa", "aa", "b"]
    assert _resident(file) < file.stat().st_size / 2


def test_no_row_is_no_block():
    assert list(mapped.blocks(np.zeros((0, 4)), rows_at_once=2)) == []
