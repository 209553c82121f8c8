"""A damaged file of an index is named, whatever the damage."""

import hashlib
import io
import shutil

import faiss
import numpy as np
import pytest

from ben_tf import errors
from ben_tf.retrieval import index
from tests import json_files
from tests.ben_tf.retrieval import conftest
from tests.ben_tf.retrieval import index_folders

FILES = {
    "flat": [
        "countries.npy",
        "days.npy",
        "embeddings.npy",
        "epsg.npy",
        "labels.npy",
        "names.npy",
        "seasons.npy",
        "splits.npy",
        "upper_left.npy",
    ],
    "binary": ["codes.npy", "means.npy", "projection.npy"],
    "ivf": ["faiss.index"],
    "ivf_pq": ["faiss.index"],
}
EACH_FILE = [(s, name) for s, names in FILES.items() for name in names]


def _write(write, search):
    return write(search=search, distance="euclidean", bits=8)


@pytest.mark.parametrize("search", FILES)
def test_the_manifest_has_the_digest_of_every_file(write, search):
    path = _write(write, search)
    manifest = json_files.read(path / "manifest.json")
    expected = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (path / manifest["data"]).iterdir()
    }
    assert set(expected) == {*FILES["flat"], *FILES[search]}
    assert manifest["sha256"] == expected


@pytest.mark.parametrize(("search", "name"), EACH_FILE)
def test_one_bit_is_enough(write, search, name):
    path = _write(write, search)
    file = index_folders.data_file(path, name)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(errors.UserError, match="SHA-256") as caught:
        index.Index.open(path)
    assert str(file) in str(caught.value)
    assert "python -m ben_tf.retrieval build" in str(caught.value)


@pytest.mark.parametrize(("search", "name"), EACH_FILE)
def test_a_missing_file_is_named(write, search, name):
    path = _write(write, search)
    file = index_folders.data_file(path, name)
    file.unlink()
    with pytest.raises(
        errors.UserError, match=f"{name} is damaged: No such file"
    ):
        index.Index.open(path)


def test_a_digest_that_is_left_out_of_the_manifest_is_missed(write):
    path = write()
    digests = json_files.read(path / "manifest.json")["sha256"]
    del digests["labels.npy"]
    index_folders.edit_manifest(path, sha256=digests)
    with pytest.raises(errors.UserError, match=r"labels\.npy .*SHA-256"):
        index.Index.open(path)


@pytest.mark.parametrize("search", FILES)
def test_an_index_of_before_opens_as_it_did(write, archive, search):
    path = _write(write, search)
    index_folders.make_older(path)
    opened = index.Index.open(path)
    np.testing.assert_array_equal(
        opened.embeddings, archive["embeddings"][np.argsort(archive["names"])]
    )


def _npy(array, **options) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


_GOOD = np.zeros((120, 16), np.float32)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "as NumPy writes it"),
        (_npy(_GOOD)[:-1], "bytes, expected"),
        (_npy(_GOOD.astype(">f4")), "as NumPy writes it"),
        (_npy(_GOOD.astype("f8")), r"expected float32 .*received <f8"),
        (_npy(_GOOD[:-1]), r"expected float32 .*received <f4 \(119, 16\)"),
        (_npy(np.asfortranarray(_GOOD)), "expected C order"),
        (
            _npy(np.array([object()] * 120), allow_pickle=True),
            "as NumPy writes it",
        ),
    ],
)
def test_an_array_of_before_is_known_by_its_type_shape_and_size(
    write, content, match
):
    path = write()
    index_folders.make_older(path)
    index_folders.data_file(path, "embeddings.npy").write_bytes(content)
    with pytest.raises(errors.UserError, match=match):
        index.Index.open(path)


def test_a_folder_in_place_of_a_file(write):
    path = write()
    file = index_folders.data_file(path, "labels.npy")
    file.unlink()
    file.mkdir()
    with pytest.raises(errors.UserError, match=r"labels\.npy is damaged: Is a"):
        index.Index.open(path)
    shutil.rmtree(file.parent)
    with pytest.raises(errors.UserError, match=r"\.npy is damaged: No such"):
        index.Index.open(path)


@pytest.mark.parametrize("search", ["ivf", "ivf_pq"])
@pytest.mark.parametrize("number", [120, 2**40, -2, -(2**40)])
def test_a_faiss_file_that_names_rows_that_are_not_there(
    write, archive, search, number
):
    path = _write(write, search)
    file = index_folders.data_file(path, "faiss.index")
    structure = faiss.read_index(str(file))
    rows = np.full(120, number)
    structure.reset()
    structure.add_with_ids(archive["embeddings"], rows)
    faiss.write_index(structure, str(file))
    index_folders.vouch(path)
    opened = index.Index.open(path)
    with pytest.raises(errors.UserError, match="patches that are not there"):
        opened.search(
            archive["embeddings"][:1], k=3, fingerprint=conftest.FINGERPRINT
        )
