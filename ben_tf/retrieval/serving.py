"""One SavedModel that takes raw bands and k, and returns names and scores.

It holds the model that embeds, the embeddings of an index and their names, and
needs nothing but TensorFlow to run. The search is exact, block by block.
Embeddings and names are variables: a graph larger than 2 GiB cannot be saved,
a checkpoint can.
"""

import os
import pathlib

import numpy as np
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf import saved_model as saved_model_lib
from ben_tf.cards import search_card
from ben_tf.retrieval import chi_square
from ben_tf.retrieval import distances
from ben_tf.retrieval import embedding
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import store

_MATMUL_BLOCK_BYTES = 128 << 20
_CHI_SQUARE_BLOCK_BYTES = 8 << 20


def export(
    index: index_lib.Index, output_dir: str | os.PathLike
) -> pathlib.Path:
    """Writes model and index as one SavedModel.

    Its signatures:

    - "serving_default": the model's raw grids, (B, size, size, bands) each,
      and `k`, a whole number -> `names` (B, k) string, nearest first, and
      `scores` (B, k) float32, their distances (smaller is more alike).
    - "search": `embeddings` (B, D) float32 and `k` -> the same.

    Args:
      index: The index. Whatever its search, the export searches exactly.
      output_dir: Folder to write; one that holds a SavedModel is replaced.

    Returns:
      `output_dir`.

    Raises:
      UserError: The model of the index is not there; the index compares
        binary codes; or `output_dir` holds something else.
    """
    output_dir = pathlib.Path(output_dir)
    if output_dir.exists() and not (output_dir / "saved_model.pb").is_file():
        raise errors.UserError(
            f"{output_dir} exists and holds no SavedModel. Expected a new "
            "folder, or an export to replace. Choose another `output_dir`."
        )
    if index.manifest.search == store.BINARY:
        raise errors.UserError(
            "The index compares binary codes. Expected embeddings. Build it "
            "with another `search` to export it for serving."
        )
    files.check_writable(output_dir.absolute().parent, is_folder=True)
    manifest = index.manifest
    modality = manifest.modality
    names = embedding.input_names(index.model, modality)
    module = Retriever(
        index.embeddings, index.names, distance=manifest.distance
    )
    module.model = index.model.loaded
    specs = [
        tf.TensorSpec(
            (None, *bigearthnet.GRIDS[name].shape),
            bigearthnet.GRIDS[name].dtype,
            name=name,
        )
        for name in names
    ]

    @tf.function(
        input_signature=[*specs, tf.TensorSpec((), tf.int32, name="k")]
    )
    def serve(*arguments: tf.Tensor) -> dict[str, tf.Tensor]:
        *grids, k = arguments
        inputs = dict(zip(names, grids, strict=True))
        embeddings = index.model.embed(inputs, modality=modality)
        return module.search(embeddings, k)

    module.serve = serve
    saved_model_lib.write(
        module,
        output_dir,
        signatures={"serving_default": serve, "search": module.search},
        card=search_card.render(
            index.model,
            search_card.Indexed(
                num_patches=manifest.num_patches,
                dataset=manifest.dataset,
                splits=manifest.splits,
                distance=manifest.distance,
                synthetic=manifest.synthetic,
            ),
            modality=modality,
            input_names=names,
        ),
    )
    return output_dir


class Retriever(tf.Module):
    """Embeddings and names in TensorFlow, and the search in them."""

    def __init__(
        self, embeddings: np.ndarray, names: np.ndarray, *, distance: str
    ):
        """Copies the index into variables.

        Args:
          embeddings: (N, D) float32, rows sorted by name.
          names: (N,) str.
          distance: One of `distances.DISTANCES`.
        """
        super().__init__()
        num_rows, size = embeddings.shape
        self.embeddings = tf.Variable(embeddings, trainable=False)
        self.names = tf.Variable(names.astype(object), trainable=False)
        self._distance = distance
        self._num_rows = num_rows
        block_bytes = _MATMUL_BLOCK_BYTES
        if distance == distances.CHI_SQUARE:
            block_bytes = _CHI_SQUARE_BLOCK_BYTES
        self._block = min(num_rows, max(64, block_bytes // (4 * size)))
        self.lengths = tf.Variable(
            np.sqrt(np.einsum("nd,nd->n", embeddings, embeddings)),
            trainable=False,
        )
        self.search = tf.function(
            self._search,
            input_signature=[
                tf.TensorSpec((None, size), tf.float32, name="embeddings"),
                tf.TensorSpec((), tf.int32, name="k"),
            ],
        )

    def _search(
        self, embeddings: tf.Tensor, k: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([tf.debugging.assert_positive(k)]):
            k = tf.minimum(k, self._num_rows)
        # Read once: gathering from a variable itself would make TensorFlow
        # copy all of it at every later read.
        archive, names = self.embeddings.read_value(), self.names.read_value()
        rows = self._candidates(
            embeddings,
            archive,
            tf.minimum(k + distances.SPARE_CANDIDATES, self._num_rows),
        )

        def rank(
            arguments: tuple[tf.Tensor, tf.Tensor],
        ) -> tuple[tf.Tensor, tf.Tensor]:
            query, candidates = arguments
            # By row first: the second sort keeps that order among equals.
            candidates = tf.sort(candidates)
            found = distances.distance(
                self._distance,
                query,
                tf.gather(archive, candidates),
                xp=tf.experimental.numpy,
            )
            order = tf.argsort(found, stable=True)[:k]
            return tf.gather(found, order), tf.gather(candidates, order)

        scores, rows = tf.map_fn(
            rank, (embeddings, rows), fn_output_signature=(tf.float32, tf.int32)
        )
        return {"names": tf.gather(names, rows), "scores": scores}

    def _candidates(
        self, queries: tf.Tensor, archive: tf.Tensor, wanted: tf.Tensor
    ) -> tf.Tensor:
        """(B, D), (N, D) -> (B, wanted) int32 rows, nearest up to rounding."""
        lengths = self.lengths.read_value()
        num_queries = tf.shape(queries)[0]
        best = tf.fill((num_queries, wanted), float("inf"))
        best_rows = tf.zeros((num_queries, wanted), tf.int32)
        for start in tf.range(0, self._num_rows, self._block):
            tf.autograph.experimental.set_loop_options(
                shape_invariants=[
                    (best, tf.TensorShape((None, None))),
                    (best_rows, tf.TensorShape((None, None))),
                ]
            )
            # The last block is moved back to have the common shape; rows that
            # an earlier block has seen are hidden.
            moved = tf.minimum(start, self._num_rows - self._block)
            found = self._rough(
                queries,
                archive[moved : moved + self._block],
                lengths[moved : moved + self._block],
            )
            hidden = tf.range(self._block) < start - moved
            found = tf.where(hidden, float("inf"), found)
            near, places = tf.math.top_k(
                -found, tf.minimum(wanted, self._block)
            )
            # What was found earlier comes first, so it wins among equals.
            best = tf.concat([best, -near], axis=1)
            best_rows = tf.concat([best_rows, places + moved], axis=1)
            near, places = tf.math.top_k(-best, wanted)
            best = -near
            best_rows = tf.gather(best_rows, places, batch_dims=1)
        return best_rows

    def _rough(
        self, queries: tf.Tensor, block: tf.Tensor, lengths: tf.Tensor
    ) -> tf.Tensor:
        """(B, D), (rows, D) -> (B, rows), ordered as the distances are."""
        if self._distance == distances.CHI_SQUARE:
            return chi_square.pairwise(queries, block)
        product = tf.matmul(queries, block, transpose_b=True)
        if self._distance == distances.COSINE:
            return tf.math.divide_no_nan(-product, lengths)
        return tf.square(lengths) - 2 * product
