"""Indexes of made-up embeddings: clusters behind a ReLU, as networks make them.

What they hold is synthetic, and says nothing about BigEarthNet.
"""

import os
import pathlib

import numpy as np

from ben_tf import bigearthnet
from ben_tf.retrieval import embedding
from ben_tf.retrieval import index_writer
from ben_tf.retrieval import patch_facts

EXACT = index_writer.IndexOptions("euclidean", "flat")
FINGERPRINT = "made up"
_NUM_CLUSTERS = 1000


class Embeddings:
    """Draws embeddings of the same clusters."""

    def __init__(self, generator: np.random.Generator, size: int):
        """Draws the clusters: (1000, size) float32."""
        self._generator = generator
        self._centres = generator.standard_normal(
            (_NUM_CLUSTERS, size), np.float32
        )

    def draw(self, count: int) -> np.ndarray:
        """(count, size) float32, not negative."""
        clusters, size = self._centres.shape
        rows = 0.5 * self._generator.standard_normal((count, size), np.float32)
        rows += self._centres[self._generator.integers(0, clusters, count)]
        return np.maximum(rows, 0, out=rows)


def write(
    path: str | os.PathLike,
    embeddings: np.ndarray,
    seasons: np.ndarray,
    options: index_writer.IndexOptions,
    *,
    labels: np.ndarray | None = None,
    fingerprint: str = FINGERPRINT,
    saved_model: str = "made up",
) -> pathlib.Path:
    """Writes an index of the embeddings.

    Args:
      path: Folder to write.
      embeddings: (N, D) float32.
      seasons: (N,) numbers in `bigearthnet.SEASONS`.
      options: Distance and kind of search.
      labels: (N, 19) uint8, multi-hot; none by default.
      fingerprint: What the index says of the model that made it.
      saved_model: Likewise: its folder.
    """
    num = len(embeddings)
    facts = {**patch_facts.unknown(num), "seasons": seasons.astype(np.uint8)}
    return index_writer.write_index(
        path,
        embedding.Embedded(
            names=np.array([f"patch_{row:08d}" for row in range(num)]),
            labels=np.zeros((num, 19), np.uint8) if labels is None else labels,
            embeddings=embeddings,
            epsg=np.full(num, 32633),
            # A place in the middle of its zone.
            upper_left=np.tile([500_000.0, 5_300_000.0], (num, 1)),
            provenance=embedding.Provenance(
                modality="MM",
                splits=("test",),
                class_names=bigearthnet.CLASSES_19,
                fingerprint=fingerprint,
                saved_model=saved_model,
                synthetic=True,
            ),
            **facts,
        ),
        options,
    )
