"""The manifest, as it lies on the disk."""

import json
import os

from ben_tf import bigearthnet
from ben_tf.retrieval import index
from ben_tf.retrieval import store
from tests import json_files

# What an index of format 2 says of itself.
MANIFEST = {
    "format": 2,
    "data": "data-e3041a2aeb75598f",
    "num_patches": 399,
    "dimension": 128,
    "distance": "cosine",
    "search": "binary",
    "num_bits": 64,
    "query_modalities": ["S2", "S1"],
    "modality": "S2",
    "splits": ["test", "validation[:10]"],
    "class_names": list(bigearthnet.CLASSES_19),
    "fingerprint": "98411f3d",
    "saved_model": "../saved_model",
    "non_negative": True,
    "synthetic": True,
    "sha256": {},
}


def test_reads_a_manifest_and_finds_the_model_next_to_the_index(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    manifest = store.read_manifest(tmp_path)
    assert manifest.splits == ("test", "validation[:10]")
    assert manifest.query_modalities == ("S2", "S1")
    assert manifest.class_names == bigearthnet.CLASSES_19
    assert os.path.samefile(
        os.path.dirname(manifest.saved_model), tmp_path.parent
    )


def test_writes_the_same_manifest(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    (tmp_path / MANIFEST["data"]).mkdir()
    store.commit(tmp_path, store.read_manifest(tmp_path))
    # Indexes of before do not say what they were made of.
    expected = MANIFEST | {"dataset": "", "trained_on": [], "model": ""}
    expected |= {"records": "", "origin": None}
    assert json_files.read(tmp_path / "manifest.json") == expected


def test_a_model_that_has_moved_can_be_named(write, tmp_path):
    path = write()
    assert os.path.samefile(
        os.path.dirname(index.Index.open(path).manifest.saved_model), tmp_path
    )
    moved = index.Index.open(path, saved_model=tmp_path / "elsewhere")
    assert moved.manifest.saved_model == str(tmp_path / "elsewhere")
