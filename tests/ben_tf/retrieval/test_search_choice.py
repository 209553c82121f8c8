"""Exact search where there is memory for it, and a sentence that says why."""

import pytest

from ben_tf import errors
from ben_tf import main_memory
from ben_tf.retrieval import index
from ben_tf.retrieval import index_writer
from ben_tf.retrieval import search_choice

GIB = 2**30


@pytest.mark.parametrize(
    ("distance", "memory", "search", "sentence"),
    [
        (
            "euclidean",
            8 * GIB,
            "flat",
            "Search flat, which is exact: 1,048,576 x 1,024 embeddings take 4 "
            "GiB of the 8 GiB that this machine has.",
        ),
        (
            "euclidean",
            8 * GIB - 1,
            "ivf_pq",
            "Search ivf_pq, which is approximate: 1,048,576 x 1,024 embeddings "
            "take 4 GiB of the 8 GiB that this machine has. Use `search=flat` "
            "for exact search.",
        ),
        (
            "chi_square",
            2 * GIB,
            "flat",
            "Search flat, which is exact, though slow: 1,048,576 x 1,024 "
            "embeddings take 4 GiB of the 2 GiB that this machine has, and no "
            "other search knows the chi-square distance. With "
            "`distance=euclidean` or cosine it would be ivf_pq.",
        ),
    ],
)
def test_half_of_the_memory_is_for_embeddings(
    distance, memory, search, sentence
):
    assert search_choice.choose(
        distance, num_patches=2**20, dimension=1024, memory_bytes=memory
    ) == (search, sentence)


@pytest.mark.parametrize(
    ("memory", "distance", "search"),
    [
        (GIB, "cosine", "flat"),
        (100, "cosine", "ivf_pq"),
        (100, "chi_square", "flat"),
    ],
)
def test_an_index_says_which_search_it_took(
    write, monkeypatch, capsys, memory, distance, search
):
    monkeypatch.setattr(main_memory, "installed_bytes", lambda: memory)
    opened = index.Index.open(write(search="auto", distance=distance))
    assert opened.manifest.search == search
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"Search {search},")
    assert "120 x 16 embeddings" in line


def test_a_search_that_was_named_is_taken_silently(capsys):
    options = index_writer.IndexOptions("cosine", "hnsw")
    assert options.for_size(10**9, 10**4) is options
    assert capsys.readouterr().out == ""


def test_other_options_are_checked_with_auto():
    with pytest.raises(errors.UserError, match="Unknown distance"):
        index_writer.IndexOptions("l1", "auto")
