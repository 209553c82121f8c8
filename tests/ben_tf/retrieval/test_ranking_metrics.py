import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies
from sklearn import metrics as sklearn_metrics

from ben_tf.retrieval import ranking_metrics

# Worked by hand. Query: labels {0, 1}. Archive: {0, 1}, {2}, {0, 2}, {0, 1}.
QUERY = np.array([[1, 1, 0]])
ARCHIVE = np.array([[1, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 0]])
# Ranked list: {2}, {0, 2}, {0, 1}: shared labels 0, 1, 2.
HITS = ARCHIVE[None, [1, 2, 0]]


def score(ks=(1, 2, 3)):
    counts = ranking_metrics.relevance_counts(QUERY, ARCHIVE)
    return ranking_metrics.score_queries(QUERY, HITS, counts, ks=ks)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("precision_any_shared_label", [0, 1 / 2, 2 / 3]),
        ("recall_any_shared_label", [0, 1 / 3, 2 / 3]),
        # Precision at ranks 2 and 3 is 1/2 and 2/3; 3 relevant patches.
        ("average_precision", [0, (1 / 2) / 2, (1 / 2 + 2 / 3) / 3]),
        ("average_precision_of_retrieved", [0, 1 / 2, (1 / 2 + 2 / 3) / 2]),
        # |q and r| / |r| is 0/1, 1/2, 2/2; |q and r| / |q| is 0, 1/2, 1.
        ("graded_precision", [0, 1 / 4, 1 / 2]),
        ("graded_recall", [0, 1 / 4, 1 / 2]),
        ("average_cumulative_gain", [0, 1 / 2, 1]),
        # ACG at ranks 2 and 3 is 1/2 and 1.
        ("weighted_average_precision", [0, 1 / 2, (1 / 2 + 1) / 2]),
        # Gains 0, 1, 3; ideal gains 3, 3, 1; discounts 1, log2(3), 2.
        (
            "ndcg",
            [
                0,
                (1 / np.log2(3)) / (3 + 3 / np.log2(3)),
                (1 / np.log2(3) + 3 / 2) / (3 + 3 / np.log2(3) + 1 / 2),
            ],
        ),
    ],
)
def test_agrees_with_hand_worked_list(name, expected):
    np.testing.assert_allclose(score()[name], [expected])


def test_counts_shared_labels_in_archive():
    counts = ranking_metrics.relevance_counts(QUERY, ARCHIVE)
    np.testing.assert_array_equal(counts, [[1, 1, 2, 0]])


def test_ideal_relevance_descends():
    counts = ranking_metrics.relevance_counts(QUERY, ARCHIVE)
    np.testing.assert_array_equal(
        ranking_metrics.ideal_relevance(counts, 4), [[2, 2, 1, 0]]
    )


def test_f1_is_harmonic_mean_of_means():
    sums = {name: values.sum(axis=0) for name, values in score().items()}
    result = ranking_metrics.mean_scores(sums, num_queries=1, ks=(1, 2, 3))
    assert result["graded_f1"] == {"1": 0.0, "2": 0.25, "3": 0.5}
    assert result["f1_any_shared_label"]["2"] == pytest.approx(0.4)


def test_nothing_relevant_scores_zero():
    archive = np.array([[0, 0, 1], [0, 0, 0]])
    counts = ranking_metrics.relevance_counts(QUERY, archive)
    for values in ranking_metrics.score_queries(
        QUERY, archive[None], counts, ks=(1, 2)
    ).values():
        np.testing.assert_array_equal(values, [[0, 0]])


def test_refuses_query_without_labels():
    with pytest.raises(ValueError, match="at least one label"):
        ranking_metrics.score_queries(
            np.zeros((1, 3)), HITS, np.zeros((1, 4)), ks=(1,)
        )


@pytest.mark.parametrize("ks", [(0, 1), (4,)])
def test_refuses_cut_off_out_of_range(ks):
    with pytest.raises(ValueError, match="cut-offs between 1 and 3"):
        score(ks)


@given(strategies.integers(0, 2**32 - 1))
def test_agrees_with_definitions_and_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    archive = generator.integers(0, 2, (12, 4))
    query = generator.integers(0, 2, (1, 4))
    query[0, 0] = 1
    ranking = generator.permutation(12)
    counts = ranking_metrics.relevance_counts(query, archive)
    assert counts.sum() == 12
    ks = (1, 5, 12)
    result = ranking_metrics.score_queries(
        query, archive[None, ranking], counts, ks=ks
    )
    shared = archive @ query[0]
    # A ranking as scores: the first hit has the largest.
    ranking_scores = np.empty(12)
    ranking_scores[ranking] = np.arange(12, 0, -1)
    for column, k in enumerate(ks):
        expected = sklearn_metrics.ndcg_score(
            [2.0**shared - 1], [ranking_scores], k=k
        )
        assert result["ndcg"][0, column] == pytest.approx(expected)
    if (shared > 0).any():
        assert result["average_precision"][0, -1] == pytest.approx(
            sklearn_metrics.average_precision_score(shared > 0, ranking_scores)
        )
