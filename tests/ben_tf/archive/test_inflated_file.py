"""Reading while inflating gives what gzip gives."""

import gzip
import io
import pathlib
import random
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies

from ben_tf import errors
from ben_tf.archive import inflated_file

CONTENT = random.Random(0).randbytes(10_000)


def open_file(folder: pathlib.Path, **kwargs) -> inflated_file.InflatedFile:
    kwargs = {"max_bytes": len(CONTENT), "progress": lambda n: None} | kwargs
    return inflated_file.InflatedFile(
        folder / "x.gz", chunk_bytes=997, **kwargs
    )


# Each read: bytes to leave out before it, its size, how many bytes to keep of
# what follows, and in which file.
@given(
    reads=strategies.lists(
        strategies.tuples(
            strategies.integers(0, 2_000),
            strategies.integers(0, 3_000),
            strategies.integers(0, 5_000),
            strategies.integers(0, 2),
        )
    )
)
def test_reads_forward_and_keeps_what_is_there(reads):
    targets = [io.BytesIO() for _ in range(3)]
    kept = [b"" for _ in targets]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "x.gz").write_bytes(gzip.compress(CONTENT, 1))
        with open_file(folder) as file:
            position = 0
            for gap, size, num_kept, number in reads:
                position += gap
                expected = CONTENT[position : position + size]
                assert file.read_at(size, position) == expected
                position += size
                file.keep(position, num_kept, targets[number])
                kept[number] += CONTENT[position : position + num_kept]
                position += num_kept
            file.inflate_rest()
    assert [target.getvalue() for target in targets] == kept


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
