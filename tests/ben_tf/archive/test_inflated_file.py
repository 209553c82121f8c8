"""Reading while inflating gives what gzip gives."""

import gzip
import pathlib
import random
import tempfile
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies

from ben_tf import errors
from ben_tf.archive import inflated_file

CONTENT = random.Random(0).randbytes(10_000)


def open_file(folder: pathlib.Path, **kwargs) -> inflated_file.InflatedFile:
    kwargs = {"max_bytes": len(CONTENT), "progress": lambda n: None} | kwargs
    return inflated_file.InflatedFile(
        folder / "x.gz", folder / "x", chunk_bytes=997, **kwargs
    )


# Each read: bytes to leave out before it, its size, and how many bytes to keep
# of what follows.
@given(
    reads=strategies.lists(
        strategies.tuples(
            strategies.integers(0, 2_000),
            strategies.integers(0, 3_000),
            strategies.integers(0, 5_000),
        )
    ),
    merged_bytes=strategies.sampled_from([-1, 100]),
)
def test_reads_forward_and_keeps_what_is_there(reads, merged_bytes):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "x.gz").write_bytes(gzip.compress(CONTENT, 1))
        kept = []
        with (
            mock.patch.object(inflated_file, "_MERGED_BYTES", merged_bytes),
            open_file(folder) as file,
        ):
            position = 0
            for gap, size, num_kept in reads:
                position += gap
                expected = CONTENT[position : position + size]
                assert file.read_at(size, position) == expected
                position += size
                file.keep(position, num_kept)
                kept.append((position, position + num_kept))
                position += num_kept
            file.inflate_rest()
        copy = (folder / "x").read_bytes()
        for start, end in kept:
            expected = CONTENT[start:end]
            assert copy[start : start + len(expected)] == expected
        if merged_bytes < 0:
            # And nothing else.
            is_kept = np.zeros(len(CONTENT), bool)
            for start, end in kept:
                is_kept[start:end] = True
            others = np.frombuffer(copy, np.uint8)[~is_kept[: len(copy)]]
            assert not others.any()


def test_progress_adds_up_to_the_compressed_size(tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(CONTENT))
    counts = []
    with open_file(tmp_path, progress=counts.append) as file:
        file.inflate_rest()
    assert sum(counts) == (tmp_path / "x.gz").stat().st_size


@pytest.mark.parametrize("at", [0, 5_000, -6])
def test_damage_is_named(tmp_path, at):
    data = bytearray(gzip.compress(CONTENT))
    data[at] ^= 0xFF  # The header, the content, the checksum.
    (tmp_path / "x.gz").write_bytes(data)
    with (
        open_file(tmp_path) as file,
        pytest.raises(errors.UserError, match=r"x\.gz is truncated or"),
    ):
        file.inflate_rest()
