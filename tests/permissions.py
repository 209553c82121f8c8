"""Makes permissions count for root as well, who tests in containers."""

import contextlib
import ctypes
import pathlib
import struct
from collections.abc import Iterator

_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def obeyed() -> Iterator[None]:
    """Gives up root's right to pass over permissions, for this thread."""
    before = ctypes.create_string_buffer(struct.calcsize("6I"))
    header = struct.pack("Ii", _VERSION_3, 0)
    assert not _libc.capget(header, before)
    effective, *others = struct.unpack("6I", before.raw)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        effective &= ~(1 << capability)
    assert not _libc.capset(header, struct.pack("6I", effective, *others))
    try:
        yield
    finally:
        assert not _libc.capset(header, before)


@contextlib.contextmanager
def denied(path: pathlib.Path, mode: int = 0) -> Iterator[None]:
    """Takes permissions from a file or folder, and gives them back."""
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        with obeyed():
            yield
    finally:
        if path.exists():
            path.chmod(before)
