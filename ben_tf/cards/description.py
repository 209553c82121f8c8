"""What an export says of itself, as programs read it."""

from typing import Literal

import msgspec

from ben_tf import bigearthnet


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a SavedModel says of itself.

    Attributes:
      format: Version of this description.
      class_names: Meaning of the columns of `serve`.
      modality: "S1", "S2" or "MM".
      input_names: Raw grids that the model takes, keys of `bigearthnet.GRIDS`.
      embedding_size: D of `embed`.
      embeddings: What can be embedded: `modality`, and with a shared space
        each sensor alone.
      fingerprint: SHA-256 of all weights, hexadecimal.
      model: Name of the architecture.
      trained_on_synthetic: Whether the weights come from synthetic data.
      statistics: What the bands are standardised with.
      trained_on: Names of the datasets of the training, those of the weights
        that it began with as well; () where nobody knows.
      epoch: Epoch of the weights, from 1; 0 where nobody knows.
    """

    format: Literal[2]
    class_names: tuple[str, ...]
    modality: str
    input_names: tuple[str, ...]
    embedding_size: int
    embeddings: tuple[str, ...]
    fingerprint: str
    model: str
    trained_on_synthetic: bool
    # Models of before have none; they were all trained with the paper's.
    statistics: bigearthnet.Statistics = bigearthnet.PAPER_STATISTICS
    trained_on: tuple[str, ...] = ()
    epoch: int = 0
