"""A small archive of made-up embeddings, and indexes of it."""

import dataclasses

import numpy as np
import pytest

from ben_tf import bigearthnet
from ben_tf.retrieval import embedding
from ben_tf.retrieval import index_writer

FINGERPRINT = "ab" * 32
NUM_PATCHES = 120
DIMENSION = 16


def make_archive(*, num_patches=NUM_PATCHES, seed=0):
    """Fields of `Embedded` and `Provenance`; rows are not sorted by name."""
    generator = np.random.default_rng(seed)
    labels = generator.random((num_patches, 19)) < 0.1
    labels[:, 0] |= ~labels.any(axis=1)
    signature = generator.random((19, DIMENSION), np.float32)
    noise = generator.random((num_patches, DIMENSION), np.float32)
    names = [f"patch_{number:04d}" for number in range(num_patches)]
    return {
        "names": generator.permutation(names),
        "labels": labels.astype(np.uint8),
        "embeddings": labels.astype(np.float32) @ signature + noise,
        "epsg": np.full(num_patches, 32633),
        "upper_left": generator.integers(1, 9, (num_patches, 2)) * 1e5,
        "countries": np.arange(num_patches) % 10,
        "seasons": np.arange(num_patches) % 4,
        "days": 17_000 + np.arange(num_patches),
        "split_numbers": np.zeros(num_patches),
        "modality": "MM",
        "splits": ("test",),
        "class_names": bigearthnet.CLASSES_19,
        "fingerprint": FINGERPRINT,
        "synthetic": True,
    }


def write_index(path, *, other_means=None, **values):
    """Writes an index of such fields, which may also be options."""
    options = {
        field.name: values.pop(field.name)
        for field in dataclasses.fields(index_writer.IndexOptions)
        if field.name in values
    }
    provenance = {
        name: values.pop(name)
        for name in embedding.Provenance.__struct_fields__
        if name in values
    }
    return index_writer.write_index(
        path,
        embedding.Embedded(
            **values, provenance=embedding.Provenance(**provenance)
        ),
        index_writer.IndexOptions(**options),
        other_means=other_means,
    )


@pytest.fixture
def archive():
    return make_archive()


@pytest.fixture
def write(tmp_path, archive):
    """Writes an index of the archive with the given options."""

    def write(name="index", **options):
        return write_index(
            tmp_path / name,
            **{"saved_model": str(tmp_path / "model"), **archive, **options},
        )

    return write
