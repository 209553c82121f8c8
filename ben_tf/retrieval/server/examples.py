"""Queries that are made of patches of an index."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from ben_tf import errors
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import query
from ben_tf.retrieval.server import drawings


class Examples(NamedTuple):
    """Patches of an index that make a query.

    Attributes:
      positives: Names; more like these.
      negatives: Less like those.
    """

    positives: tuple[str, ...]
    negatives: tuple[str, ...]


def resolve(
    index: index_lib.Index, asked: Sequence[query.Query | Examples]
) -> list[query.Query | errors.UserError]:
    """The queries, or what is wrong with one; reads all examples at once.

    Args:
      index: What the examples are patches of.
      asked: Queries, which stay as they are, and examples.
    """
    known = _queries_of(
        index,
        {
            name
            for one in asked
            if isinstance(one, Examples)
            for name in (*one.positives, *one.negatives)
        },
    )
    result: list[query.Query | errors.UserError] = []
    for one in asked:
        try:
            result.append(
                _made_of(one, known, non_negative=index.manifest.non_negative)
                if isinstance(one, Examples)
                else one
            )
        except errors.UserError as error:
            result.append(error)
    return result


def unknown(patch_name: str) -> drawings.UnknownPatchError:
    """What to say of a patch that an index does not have."""
    return drawings.UnknownPatchError(
        f"Patch {patch_name[:100]!r} is not in the index."
    )


def _queries_of(
    index: index_lib.Index, names: set[str]
) -> dict[str, query.Query]:
    """Queries by name, of the patches that the index has."""
    if not names:
        return {}
    rows = index.rows_of(sorted(names))
    rows = rows[rows != index_lib.EMPTY]
    return {
        patch.name: query.Query(
            patch, vector, index.manifest.synthetic, made_of=(patch.name,)
        )
        for patch, vector in zip(
            index.describe(rows), index.embeddings[rows], strict=True
        )
    }


def _made_of(
    asked: Examples, known: Mapping[str, query.Query], *, non_negative: bool
) -> query.Query:
    """The query that examples make.

    Raises:
      UserError: One is not in the index; no positive example.
    """
    for name in (*asked.positives, *asked.negatives):
        if name not in known:
            raise unknown(name)
    positives = [known[name] for name in asked.positives]
    negatives = [known[name] for name in asked.negatives]
    if len(positives) == 1 and not negatives:
        return positives[0]
    return query.combined(positives, negatives, non_negative=non_negative)
