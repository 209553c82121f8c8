"""Embeddings, what belongs to them, and how a loaded SavedModel makes them."""

import dataclasses
import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ben_tf import errors
from ben_tf import origin as origin_lib
from ben_tf.retrieval import patch_facts

if TYPE_CHECKING:
    from ben_tf import saved_model


_NAMES_SHOWN = 3


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where embeddings come from, and with it what they compare to.

    Attributes:
      modality: What was embedded: "S1", "S2" or "MM".
      splits: Splits of the dataset, such as ("test",).
      class_names: Columns of the labels.
      fingerprint: That of the model; only its embeddings are comparable.
      saved_model: Folder of the model.
      synthetic: Whether patches or model are synthetic.
      dataset: Name of the dataset; "" in indexes of before.
      model: Name of the model's architecture; "" in indexes of before.
      trained_on: Names of the datasets that the model was trained on; () in
        indexes of before.
      records: Fingerprint of the dataset's records; "" in indexes of before.
      origin: When and with what they were computed; None in indexes of before.
    """

    modality: str
    splits: tuple[str, ...]
    class_names: tuple[str, ...]
    fingerprint: str
    saved_model: str
    synthetic: bool
    dataset: str = ""
    model: str = ""
    trained_on: tuple[str, ...] = ()
    records: str = ""
    origin: origin_lib.Origin | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Embedded(patch_facts.Patches):
    """Embedded patches, one in a row of each array.

    Attributes:
      embeddings: (N, D) float32; may be memory-mapped.
      provenance: Where they come from; the patches' splits are numbers of its
        own.
    """

    embeddings: np.ndarray
    provenance: Provenance

    def describe(self, rows: np.ndarray) -> list[patch_facts.Patch]:
        """(M,) int numbers of rows -> what is known of these patches."""
        return self.rows(
            rows,
            class_names=self.provenance.class_names,
            split_names=self.provenance.splits,
        )


def embed(
    model: "saved_model.ServedModel",
    inputs: Mapping[str, np.ndarray],
    *,
    modality: str,
    names: Sequence[str] | np.ndarray | None = None,
) -> np.ndarray:
    """Raw grids (B, size, size, bands) -> (B, D) float32.

    Args:
      model: From `saved_model.load`.
      inputs: Arrays by name of grid, keys of `bigearthnet.GRIDS`.
      modality: Which embedding of the model: "S1", "S2" or "MM".
      names: (B,) names of the patches, str or UTF-8, to name them in an error.

    Raises:
      UserError: The model has no embedding of that modality, or one of these
        patches has an embedding that is NaN or infinite.
    """
    check_modality(model, modality)
    embeddings = np.asarray(model.embed(inputs, modality=modality), np.float32)
    check_finite(
        embeddings,
        names,
        remedy="Check the pixels of these patches and that the model was "
        "trained.",
    )
    return embeddings


def check_finite(
    embeddings: np.ndarray,
    names: Sequence[str] | np.ndarray | None = None,
    *,
    remedy: str,
) -> tuple[float, float]:
    """Refuses embeddings that are NaN or infinite.

    Args:
      embeddings: (B, D) floats.
      names: (B,) names of the patches, str or UTF-8; None to count them.
      remedy: A sentence that says what to do.

    Returns:
      The smallest and the largest value, (inf, -inf) of none.

    Raises:
      UserError: An embedding holds NaN or an infinite number.
    """
    # NaN is the smallest and the largest of what holds it.
    smallest = float(embeddings.min(initial=np.inf))
    largest = float(embeddings.max(initial=-np.inf))
    if embeddings.size and not (math.isfinite(smallest + largest)):
        rows = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
        if len(rows):
            some = ", ".join(
                _name(names[row]) if names is not None else f"number {row}"
                for row in rows[:_NAMES_SHOWN]
            )
            more = ", ..." if len(rows) > _NAMES_SHOWN else ""
            raise errors.UserError(
                f"The embeddings of {len(rows):,} of {len(embeddings):,} "
                f"patches are NaN or infinite: {some}{more}. Expected finite "
                f"numbers. {remedy}"
            )
    return smallest, largest


def _name(name: str | bytes) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else name


def input_names(
    model: "saved_model.ServedModel", modality: str
) -> tuple[str, ...]:
    """Raw grids that `embed` needs, keys of `bigearthnet.GRIDS`."""
    check_modality(model, modality)
    return model.inputs_of(modality)


def check_modality(model: "saved_model.ServedModel", modality: str) -> None:
    """Raises UserError unless the model embeds that modality."""
    if modality not in model.embeddings:
        raise errors.UserError(
            f"The model has no embedding of {modality}. Expected one of "
            f"{', '.join(model.embeddings)}. Change `modality` or use another "
            "model; python -m ben_tf.train --fusion=shared trains one that "
            "embeds each sensor alone."
        )
