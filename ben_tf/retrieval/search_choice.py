"""Chooses how an index is searched from its size and the memory there is."""

from ben_tf.retrieval import distances
from ben_tf.retrieval import faiss_file
from ben_tf.retrieval import store

_GIB = 2**30


def choose(
    distance: str, *, num_patches: int, dimension: int, memory_bytes: int
) -> tuple[str, str]:
    """Exact search where embeddings fit into half of the memory.

    Exact search reads all embeddings for each query, from the file cache if
    they fit into it; the other half is for whatever else runs.

    Args:
      distance: One of `distances.DISTANCES`.
      num_patches: How many embeddings.
      dimension: Of each, float32.
      memory_bytes: Of the machine, as it is installed: what is free at the
        moment would choose differently from day to day.

    Returns:
      The search, and a sentence that says why.
    """
    size = 4 * num_patches * dimension
    facts = (
        f"{num_patches:,} x {dimension:,} embeddings take {size / _GIB:.3g} "
        f"GiB of the {memory_bytes / _GIB:.3g} GiB that this machine has"
    )
    exact = f"Search {store.EXACT}, which is exact"
    if 2 * size <= memory_bytes:
        return store.EXACT, f"{exact}: {facts}."
    other = faiss_file.IVF_PQ
    if distance == distances.CHI_SQUARE:
        return store.EXACT, (
            f"{exact}, though slow: {facts}, and no other search knows the "
            "chi-square distance. With `distance=euclidean` or cosine it "
            f"would be {other}."
        )
    return other, (
        f"Search {other}, which is approximate: {facts}. Use "
        f"`search={store.EXACT}` for exact search."
    )
