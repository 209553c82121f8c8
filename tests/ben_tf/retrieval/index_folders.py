"""Reaches into an index folder, to damage it."""

import json
import pathlib

from ben_tf.retrieval import index_files
from ben_tf.retrieval import store
from tests import json_files


def edit_manifest(path: pathlib.Path, **changes) -> None:
    """Replaces fields of the manifest."""
    file = path / "manifest.json"
    fields = json_files.read(file)
    fields.update(changes)
    file.write_text(json.dumps(fields))


def data_file(path: pathlib.Path, name: str) -> pathlib.Path:
    """A file of the data folder that counts."""
    return path / store.read_manifest(path).data / name


def vouch(path: pathlib.Path) -> None:
    """Gives the manifest the digests of the files as they are."""
    folder = data_file(path, "names.npy").parent
    edit_manifest(path, sha256=index_files.digests(folder))


def make_older(path: pathlib.Path) -> None:
    """Leaves the digests that a version before wrote: FAISS's alone."""
    digests = store.read_manifest(path).sha256
    edit_manifest(
        path, sha256={n: d for n, d in digests.items() if n == "faiss.index"}
    )
