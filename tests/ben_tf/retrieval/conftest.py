"""A small archive of made-up embeddings, and indexes of it."""

import numpy as np
import pytest

from ben_tf import bigearthnet
from ben_tf.retrieval import index_builder

FINGERPRINT = "ab" * 32
NUM_PATCHES = 120
DIMENSION = 16


def make_archive(*, num_patches=NUM_PATCHES, seed=0):
    """Arguments of `write_index`; rows are not sorted by name."""
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
        "modality": "MM",
        "splits": ("test",),
        "class_names": bigearthnet.CLASSES_19,
        "fingerprint": FINGERPRINT,
        "synthetic": True,
    }


@pytest.fixture
def archive():
    return make_archive()


@pytest.fixture
def write(tmp_path, archive):
    """Writes an index of the archive with the given options."""

    def write_index(name="index", **options):
        return index_builder.write_index(
            tmp_path / name,
            **{"saved_model": tmp_path / "saved_model", **archive, **options},
        )

    return write_index
