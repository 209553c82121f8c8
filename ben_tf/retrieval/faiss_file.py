"""The file of an approximate search: written, read, and not believed.

Inverted lists of compressed vectors stay in the file, memory-mapped; all else
is read into memory. FAISS trusts much of what a file says, so what a search
would follow is compared with what the index is known to be.
"""

import os

import faiss

from ben_tf import errors

IVF_PQ = "ivf_pq"
KINDS = {
    "ivf": faiss.IndexIVFFlat,
    "hnsw": faiss.IndexHNSWSQ,
    "pq": faiss.IndexPQ,
    IVF_PQ: faiss.IndexIVFPQ,
}
BUILD_AGAIN = "Build the index again with python -m ben_tf.retrieval build."


def kind_of(index: faiss.Index) -> str:
    """Which of `KINDS` a FAISS index is; "" for any other."""
    # Not isinstance: classes derived from these search in other ways.
    return next((k for k, c in KINDS.items() if type(index) is c), "")


def save(index: faiss.Index, path: str | os.PathLike) -> None:
    """Writes what `approximate_search.build` returned."""
    faiss.write_index(index, os.fspath(path))


def load(
    path: str | os.PathLike, kind: str, *, num_rows: int, dimension: int
) -> faiss.Index:
    """Reads what `save` wrote; the caller has checked the file's digest.

    Raises:
      UserError: The file holds another structure than the manifest says.
    """
    # A file may say that its lists lie in another file, which is then opened.
    flags = faiss.IO_FLAG_READ_ONLY
    if kind == IVF_PQ:
        flags |= faiss.IO_FLAG_MMAP
    try:
        index = faiss.read_index(os.fspath(path), flags)
    # A size that is wrong asks for any amount of memory.
    except (RuntimeError, MemoryError) as error:
        raise errors.UserError(
            f"{path} is damaged: FAISS cannot read it. {BUILD_AGAIN}"
        ) from error
    found = (kind_of(index), index.ntotal, index.d)
    if found != (kind, num_rows, dimension) or not _is_whole(index):
        raise errors.UserError(
            f"{path} does not belong to this index. Expected {kind} with "
            f"{num_rows} x {dimension} embeddings. {BUILD_AGAIN}"
        )
    return index


def _is_whole(index: faiss.Index) -> bool:
    """Whether an index can be searched: its sizes fit each other."""
    if not index.is_trained or index.metric_type != faiss.METRIC_L2:
        return False
    code_size = 4 * index.d
    if hasattr(index, "pq"):
        pq = index.pq
        if pq.d != index.d or pq.d % pq.M or pq.nbits > 8:
            return False
        code_size = pq.code_size
    if kind_of(index) == "pq":
        return index.codes.size() == index.ntotal * code_size
    if not isinstance(index, faiss.IndexIVF):
        return True
    cells = faiss.downcast_index(index.quantizer)
    lists = faiss.downcast_InvertedLists(index.invlists)
    if isinstance(lists, faiss.OnDiskInvertedLists):
        # Mapped from this file, not from one that it names.
        is_here = kind_of(index) == IVF_PQ and not lists.filename
    else:
        is_here = isinstance(lists, faiss.ArrayInvertedLists)
    return (
        is_here
        and isinstance(cells, faiss.IndexFlat)
        and (cells.ntotal, cells.d) == (index.nlist, index.d)
        and (index.code_size, lists.code_size) == (code_size, code_size)
        and lists.nlist == index.nlist
        # As numbers of Python, whose sum is never too large to be right.
        and sum(map(lists.list_size, range(lists.nlist))) == index.ntotal
    )
