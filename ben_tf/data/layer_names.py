"""Names of the layers of a network that others look up.

Exports, losses on embeddings and transfer of weights find them by name, and
checkpoints and exports keep them: a new name would not fit old files.
"""

EMBEDDING = "embedding"  # (B, D), what retrieval compares.
HEAD_NORM = "head_bn"
LOGITS = "logits"  # (B, classes)
PROBABILITIES = "probabilities"  # (B, classes)


def embedding_of(sensor: str) -> str:
    """The embedding by one sensor of a shared space: S1 -> s1_embedding."""
    return f"{sensor.lower()}_{EMBEDDING}"
