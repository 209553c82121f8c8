"""Errors as the libraries themselves raise them become sentences."""

import csv
import errno
import gzip
import http.client
import io
import json
import lzma
import os
import pickle
import struct
import tarfile
import urllib.error
import zipfile
import zlib
from concurrent.futures import process

import isal.isal_zlib
import msgspec
import numpy as np
import pyarrow as pa
import pytest
import rasterio
import requests
import tensorflow as tf
from google.protobuf import json_format
from pyarrow import parquet

from ben_tf import errors
from ben_tf import foreign_errors


def raised(function) -> Exception:
    with pytest.raises(Exception) as info:
        function()
    return info.value


def nested(depth: int):
    return nested(depth + 1)


def import_module(name):
    raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def raise_(error):
    raise error


def fail_in_graph() -> None:
    @tf.function
    def asserts(value):
        tf.debugging.Assert(value < 1, ["the patch S2A holds NaN"])
        return value

    asserts(tf.constant(1))


def fit() -> None:
    def asserts(value):
        checked = tf.debugging.Assert(False, ["the patch S2A holds NaN"])
        with tf.control_dependencies([checked]):
            return tf.identity(value)

    inputs = tf.keras.Input((1,))
    outputs = tf.keras.layers.Lambda(asserts)(inputs)
    model = tf.keras.Model(inputs, outputs)
    model.compile(loss="mse")
    model.fit(np.ones((2, 1)), np.ones((2, 1)), verbose=0)


def half_gzip() -> bytes:
    return gzip.compress(b"x" * 1000)[:-9]


CASES = {
    "memory": (lambda: np.zeros(1 << 45), "memory does not suffice: Unable"),
    "no words": (lambda: raise_(MemoryError()), "suffice: MemoryError. Lower"),
    "recursion": (lambda: nested(0), "nested too deeply: maximum recursion"),
    "UTF-8": (lambda: b"\xff".decode(), "not UTF-8: 'utf-8' codec"),
    "gzip": (lambda: gzip.decompress(b"garbage"), "damaged or truncated: Not"),
    "gzip end": (lambda: gzip.decompress(half_gzip()), "ends too early: Compr"),
    "zlib": (lambda: zlib.decompress(b"x"), "truncated: Error -5 while"),
    "isal": (lambda: isal.isal_zlib.decompress(b"x"), "truncated stream"),
    "lzma": (lambda: lzma.decompress(b"x"), "truncated: Input format"),
    "tar": (
        lambda: tarfile.open(fileobj=io.BytesIO(b"x" * 600)),
        "tfrecords_builder.verify finds it",
    ),
    "zip": (lambda: zipfile.ZipFile(io.BytesIO(b"x")), "not a zip file"),
    "struct": (lambda: struct.unpack("<Q", b"1"), "truncated: unpack requires"),
    "json": (lambda: json.loads("{"), "JSON file is damaged: Expecting"),
    "msgspec": (lambda: msgspec.json.decode(b"{"), "JSON file is damaged: Inp"),
    "msgspec type": (
        lambda: msgspec.json.decode(b"1", type=str),
        "damaged: Expected `str`, got `int`",
    ),
    "csv": (
        lambda: list(csv.reader(['"x'], strict=True)),
        "A table is damaged: unexpected end",
    ),
    "pickle": (lambda: pickle.loads(b"x"), "file is damaged: invalid load"),
    "parquet": (
        lambda: parquet.read_table(pa.BufferReader(b"x" * 99)),
        "table cannot be read: ",
    ),
    "protobuf": (
        lambda: tf.train.Example.FromString(b"\xff"),
        "file of ours is damaged: Error parsing",
    ),
    "protobuf JSON": (
        lambda: json_format.Parse("{", tf.train.Example()),
        "file of ours is damaged: Failed to load",
    ),
    "rasterio": (
        lambda: rasterio.open(__file__),
        "not recognized as being in a supported file format. Expected a whole",
    ),
    "rasterio absent": (lambda: rasterio.open("/absent"), "raster file cannot"),
    "GDAL": (
        lambda: raise_(rasterio._err.CPLE_AppDefinedError(1, 1, "TIFF tag")),
        "A raster file cannot be read: TIFF tag. Expected a whole",
    ),
    "URL": (
        lambda: raise_(urllib.error.URLError("refused")),
        "The network or the server fails: <urlopen error refused>",
    ),
    "HTTP": (
        lambda: raise_(http.client.IncompleteRead(b"x", 10)),
        "1 bytes read, 10 more expected",
    ),
    "requests": (
        lambda: requests.get("http://127.0.0.1:1/"),
        "The network or the server fails: ",
    ),
    "pool": (
        lambda: raise_(process.BrokenProcessPool("terminated")),
        "A worker process was killed",
    ),
    "package": (
        lambda: import_module("faiss"),
        "No module named 'faiss'. Inst",
    ),
    "FAISS": (
        lambda: raise_(RuntimeError("Error in faiss/index_read.cpp: bad")),
        "FAISS cannot read its index: Error in",
    ),
    "TF file": (lambda: tf.io.read_file("/absent"), "is missing: /absent; No"),
    "TF folder": (lambda: tf.io.read_file("/"), "cannot go on: /; Is a dir"),
    "TF memory": (
        # TensorFlow itself waits ten seconds before it gives up.
        lambda: raise_(
            tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")
        ),
        "suffice: OOM when allocating",
    ),
    "CUDA memory": (
        lambda: raise_(
            tf.errors.InternalError(
                None, None, "Failed to load: CUDA_ERROR_OUT_OF_MEMORY: x"
            )
        ),
        "suffice: Failed to load: CUDA_ERROR_OUT_OF_MEMORY",
    ),
    "TF record": (
        lambda: list(tf.data.TFRecordDataset(__file__)),
        "truncated: corrupted record at 0 (Is this even a TFRecord file?).",
    ),
    "TF input": (
        lambda: tf.matmul(tf.zeros((2, 3)), tf.zeros((2, 3))),
        "TensorFlow cannot go on: Matrix size-incompatible",
    ),
    "TF graph": (
        fail_in_graph,
        "cannot go on: assertion failed: [the patch S2A holds NaN].",
    ),
    "TF permission": (
        lambda: raise_(tf.errors.PermissionDeniedError(None, None, "/x")),
        "A file may not be used: /x. Give yourself the permission",
    ),
    "TF disk": (
        lambda: raise_(
            tf.errors.ResourceExhaustedError(
                None, None, "/run/x; No space left on device"
            )
        ),
        "/run/x; No space left on device. Make room",
    ),
    "Keras": (fit, "assertion failed: [the patch S2A holds NaN]"),
}


@pytest.mark.parametrize("case", CASES)
def test_errors_of_libraries(case):
    function, expected = CASES[case]
    sentence = foreign_errors.sentence(raised(function))
    assert expected in sentence
    assert "\n" not in sentence
    assert "{{" not in sentence
    assert sentence[0].isupper() or sentence[0] == "/"
    assert sentence.endswith(".")


def test_errors_of_files_name_the_file_and_a_way_out(tmp_path):
    file = tmp_path / "file"
    file.touch()
    for function, expected in (
        (lambda: open(tmp_path / "absent"), "absent: No such file"),
        (lambda: open(tmp_path), f"{tmp_path}: Is a directory. Expected a"),
        (lambda: (file / "x").touch(), "file/x: Not a directory. Expected"),
        (lambda: tmp_path.rmdir(), "Directory not empty. It is kept"),
        (lambda: os.mkdir(os.fsencode(file)), "file: File exists. It is kept"),
        (lambda: (tmp_path / ("x" * 300)).touch(), "Choose a shorter path"),
        (lambda: os.replace(file, tmp_path / "a" / "b"), "a/b: No such file"),
    ):
        sentence = foreign_errors.sentence(raised(function))
        assert str(tmp_path) in sentence
        assert expected in sentence


@pytest.mark.parametrize(
    ("code", "way_out"),
    [
        (errno.ENOSPC, "Make room"),
        (errno.EDQUOT, "Make room"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission"),
        (errno.EPERM, "permission"),
        (errno.EMFILE, "`num_workers`"),
        (errno.ENOMEM, "`batch_size`"),
        (errno.EIO, "run the same command again"),
        (errno.ESTALE, "run the same command again"),
        (errno.ECONNREFUSED, "Check the network"),
        (errno.EADDRINUSE, "another port"),
        (errno.ENOTSUP, ""),
    ],
)
def test_each_error_number_has_its_way_out(code, way_out):
    sentence = foreign_errors.sentence(OSError(code, os.strerror(code), "f"))
    assert os.strerror(code) in sentence
    assert way_out in sentence


def test_errors_of_files_without_a_number():
    assert foreign_errors.sentence(OSError("SavedModel is absent.")) == (
        "SavedModel is absent."
    )
    # A descriptor is no name.
    assert "3" not in foreign_errors.sentence(OSError(errno.EIO, "I/O", 3))


@pytest.mark.parametrize(
    "error",
    [
        TypeError("x"),
        KeyError("x"),
        AssertionError(),
        ValueError("x"),
        RuntimeError("x"),
        ZeroDivisionError(),
        ModuleNotFoundError("No module", name="ben_tf.nothing"),
    ],
)
def test_defects_are_no_sentences(error):
    assert foreign_errors.sentence(error) is None


def test_every_class_of_the_table_is_met():
    """A name that is not right would never match."""
    met = {
        f"{base.__module__}.{base.__qualname__}"
        for function, _ in CASES.values()
        for base in type(raised(function)).__mro__
    }
    assert set(foreign_errors._SENTENCES) - met == set()


def test_our_own_errors_are_left_alone():
    """They say more; `command_line` prints them as they are."""
    assert foreign_errors.sentence(errors.UserError("x")) is None
