"""All that a served model returns as one function, and how a conversion does.

Formats without signatures hold a single function. Its inputs are the raw grids
of the model by name, its outputs `probabilities`, `embedding` and, for a model
with one space for both sensors, `embedding_s1` and `embedding_s2`.
"""

from collections.abc import Callable
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import saved_model as saved_model_lib

Arrays = Mapping[str, np.ndarray]

# Sizes of the batches that conversions are tried with: a batch size that has
# become part of the graph shows.
_BATCH_SIZES = (1, 3)


def function_of(
    served: saved_model_lib.ServedModel, *, dtype: str | None = None
) -> tf.types.experimental.GenericFunction:
    """Makes one function of all endpoints.

    Args:
      served: The model.
      dtype: What the raw grids come as; default: as the model takes them.

    Returns:
      A function from a dict of raw grids (B, size, size, bands) to a dict of
      float32 outputs, (B, classes) and (B, D).
    """

    def compute(inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        raw = {
            name: tf.cast(grid, bigearthnet.GRIDS[name].dtype)
            for name, grid in inputs.items()
        }
        outputs = {saved_model_lib.PROBABILITIES: served.serve(raw)}
        for modality in served.embeddings:
            name = saved_model_lib.EMBEDDING
            if modality != served.modality:
                name += f"_{modality.lower()}"
            outputs[name] = served.embed(raw, modality=modality)
        return outputs

    specs = {
        name: tf.TensorSpec(
            (None, *bigearthnet.GRIDS[name].shape),
            dtype or bigearthnet.GRIDS[name].dtype,
            name=name,
        )
        for name in served.input_names
    }
    return tf.function(compute, input_signature=[specs], autograph=False)


def random_patches(
    description: saved_model_lib.Description, num_patches: int
) -> dict[str, np.ndarray]:
    """Draws raw grids with the statistics of the bands; always the same.

    Args:
      description: Of the model that will see them.
      num_patches: How many.

    Returns:
      Name -> (num_patches, size, size, bands) of the grid's dtype and unit.
    """
    random = np.random.default_rng(0)
    statistics = description.statistics
    patches = {}
    for name in description.input_names:
        grid = bigearthnet.GRIDS[name]
        drawn = random.normal(
            [statistics.mean[band] for band in grid.bands],
            [statistics.std[band] for band in grid.bands],
            (num_patches, *grid.shape),
        )
        if np.issubdtype(grid.dtype, np.integer):
            limits = np.iinfo(grid.dtype)
            drawn = drawn.round().clip(limits.min, limits.max)
        patches[name] = drawn.astype(grid.dtype)
    return patches


def check_conversion(
    served: saved_model_lib.ServedModel,
    convert: Callable[[Arrays], Arrays],
    *,
    what: str,
    tolerance: float,
) -> float:
    """Compares a converted model with the one that it was made of.

    Args:
      served: The model.
      convert: The converted one: raw grids by name to outputs by name.
      what: What it is, for the message.
      tolerance: The largest difference that is rounding.

    Returns:
      The largest `difference` on random patches.

    Raises:
      UserError: It is larger, or outputs are missing.
    """
    function = function_of(served)
    largest = 0.0
    for num_patches in _BATCH_SIZES:
        patches = random_patches(served, num_patches)
        received = convert(patches)
        for name, expected in function(patches).items():
            found = difference(expected.numpy(), received.get(name))
            # Not max(), which would lose NaN.
            if not found <= tolerance:
                raise errors.UserError(
                    f"The model was not written as {what}: its `{name}` of "
                    f"{num_patches} random patches differs from the "
                    f"SavedModel's by {found:.2g}. Expected at most "
                    f"{tolerance:g}. Export it with `format=saved_model`, and "
                    "report the versions of the installed packages."
                )
            largest = max(largest, found)
    return largest


def difference(expected: np.ndarray, received: np.ndarray | None) -> float:
    """How far an answer is from the expected one.

    Args:
      expected: (B, D) float32.
      received: The same; None: no answer.

    Returns:
      The largest difference of two numbers; of embeddings with values beyond 1,
      whose rounding grows with them, as a share of the largest value. Infinite
      if the shapes differ.
    """
    if received is None or received.shape != expected.shape:
        return np.inf
    scale = max(1.0, float(np.abs(expected).max()))
    return float(np.abs(expected - received).max()) / scale
