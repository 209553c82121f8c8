"""Headers of arrays: those of NumPy are known, all others refused."""

import io

import numpy as np
import pytest

from ben_tf import npy


def _read(content, dtype, *shape):
    return npy.read_header(io.BytesIO(content), len(content), dtype, shape)


def _npy(array, **options) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (np.arange(6, dtype=np.float32), "float32"),
        (np.zeros((2, 3), np.uint8), "uint8"),
        (np.zeros((2, 3, 4), np.int64), "int64"),
        (np.asfortranarray(np.eye(3)), "float64"),
        (np.zeros((0, 3), np.int32), "int32"),
        (np.array(["a", "bc"]), "str"),
    ],
)
def test_what_numpy_writes_is_read(array, dtype, tmp_path):
    content = _npy(array)
    header = _read(content, dtype, *array.shape)
    values = np.frombuffer(content[header.offset :], header.dtype)
    order = "F" if header.is_fortran else "C"
    np.testing.assert_array_equal(
        values.reshape(header.shape, order=order), array
    )
    assert _read(content, dtype, *[None] * array.ndim) == header
    np.lib.format.open_memmap(
        tmp_path / "a.npy", "w+", array.dtype, array.shape
    ).flush()
    mapped = _read((tmp_path / "a.npy").read_bytes(), dtype, *array.shape)
    assert mapped[:2] == header[:2]


def _with_header(text: str) -> bytes:
    header = (text + "\n").encode()
    magic = b"\x93NUMPY\x01\x00"
    return magic + len(header).to_bytes(2, "little") + header + bytes(480)


_HEADER = "{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}"
_GOOD = np.zeros((120, 16), np.float32)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "as NumPy writes it"),
        (b"\x93NUMPY\x01\x00\xff\xff", "as NumPy writes it"),
        (_npy(_GOOD)[:-1], "7,807 bytes, expected 7,808"),
        (_npy(_GOOD) + b"x", "7,809 bytes, expected 7,808"),
        (_npy(_GOOD.astype(">f4")), "as NumPy writes it"),
        (_npy(_GOOD.astype("f8")), r"expected float32 .*received <f8"),
        (_npy(_GOOD[:-1]), r"\(120, 16\), received <f4 \(119, 16\)"),
        (_npy(_GOOD.ravel()), r"received <f4 \(1920\)"),
        (
            _npy(np.array([object()] * 120), allow_pickle=True),
            "as NumPy writes it",
        ),
        (_npy(np.zeros(3, [("a", "f4")])), "as NumPy writes it"),
        # Nothing asks for so much memory.
        (_with_header(_HEADER.format("<f4", False, (10**14, 16))), "received"),
        (_with_header(_HEADER.format("<f4", False, (10**30, 16))), "received"),
        # Nothing is evaluated.
        (_with_header(_HEADER.format("<f4", False, "print(1)")), "as NumPy"),
        (_with_header("(" * 5000), "as NumPy"),
    ],
)
def test_another_header_is_refused(content, match):
    with pytest.raises(ValueError, match=match):
        _read(content, "float32", 120, 16)


def test_a_length_that_nobody_expects_is_not_believed():
    content = _with_header(_HEADER.format("<f4", False, (10**14, 16)))
    with pytest.raises(ValueError, match="bytes, expected 6,400,000,000,000,0"):
        _read(content, "float32", None, 16)


@pytest.mark.parametrize(
    ("code", "is_right"),
    [
        (ord("a"), True),
        (ord("é"), True),
        (0xD7FF, True),
        (0xE000, True),
        (0x1F30D, True),
        (0x1B, False),
        (0xD800, False),
        (0xDFFF, False),
        (0x110000, False),
        (0xFFFFFFFF, False),
    ],
)
def test_what_is_no_character_is_found(code, is_right):
    texts = np.array(["abc", "d"])
    texts.view(np.uint32)[1] = code
    assert npy.are_characters(texts) == is_right


def test_no_texts_are_characters():
    assert npy.are_characters(np.zeros(0, "<U3"))
