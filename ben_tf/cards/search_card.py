"""The card of a search model: a model and an index in one SavedModel."""

from collections.abc import Sequence
from typing import NamedTuple

import ben_tf
from ben_tf import bigearthnet
from ben_tf.cards import description as description_lib
from ben_tf.cards import model_card
from ben_tf.cards import templates


class Indexed(NamedTuple):
    """What is searched.

    Attributes:
      num_patches: How many patches.
      dataset: Full name of their dataset; "" where nobody knows.
      splits: Its splits that they are of.
      distance: What compares embeddings.
      synthetic: Whether the patches or the model are synthetic.
    """

    num_patches: int
    dataset: str
    splits: Sequence[str]
    distance: str
    synthetic: bool


def render(
    description: description_lib.Description,
    indexed: Indexed,
    *,
    modality: str,
    input_names: Sequence[str],
) -> str:
    """Makes the text of the card.

    Args:
      description: Of the model that embeds.
      indexed: What is searched.
      modality: Of the sensors that are embedded.
      input_names: The raw grids that this takes, keys of `bigearthnet.GRIDS`.
    """
    return templates.render(
        "cards/search_card.md",
        model=description,
        indexed=indexed,
        sensors=model_card.SENSORS[modality],
        grids={name: bigearthnet.GRIDS[name] for name in input_names},
        input_dtype=None,
        dataset=bigearthnet.DATASET_NAME,
        version=ben_tf.__version__,
    )
