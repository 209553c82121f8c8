"""Reading what zstandard has written, whole, damaged and cut off."""

import io
import random
import tracemalloc

import pytest
import zstandard

from ben_tf.archive import zst_file

# Half of it cannot be compressed.
CONTENT = random.Random(0).randbytes(300_000) + bytes(300_000)
COMPRESSED = zstandard.ZstdCompressor(write_checksum=True).compress(CONTENT)


def read(data: bytes, num_bytes: int) -> bytes:
    """All of it, in portions."""
    file = zst_file.ZstFile(io.BytesIO(data))
    return b"".join(iter(lambda: file.read(num_bytes), b""))


@pytest.mark.parametrize("num_bytes", [1_000, 4_096, 1 << 20])
def test_what_was_written_is_read(num_bytes):
    assert read(COMPRESSED, num_bytes) == CONTENT


def test_frames_follow_each_other():
    frames = COMPRESSED + zstandard.compress(b"") + zstandard.compress(b"end")
    assert read(frames, 7_000) == CONTENT + b"end"


def test_nothing():
    assert read(b"", 10) == b""


@pytest.mark.parametrize("at", [0, 100, -2])
def test_damage_is_noticed(at):
    data = bytearray(COMPRESSED)
    data[at] ^= 0xFF  # The header, the content, the checksum.
    with pytest.raises((zstandard.ZstdError, EOFError)):
        read(bytes(data), 4_096)


@pytest.mark.parametrize("length", [3, 20, 100_000, len(COMPRESSED) - 1])
def test_a_file_that_is_cut_off(length):
    with pytest.raises(EOFError, match="cut off"):
        read(COMPRESSED[:length], 4_096)


def test_what_follows_a_frame_must_be_one():
    with pytest.raises(zstandard.ZstdError):
        read(COMPRESSED + b"nonsense", 4_096)


def test_what_inflates_without_end_is_not_held_in_memory():
    # As large as 1,000 blocks, of which each stands for 128 KB.
    bomb = zstandard.ZstdCompressor().compress(bytes(500_000_000))
    tracemalloc.start()
    try:
        assert zst_file.ZstFile(io.BytesIO(bomb)).read(10) == bytes(10)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 400_000_000
