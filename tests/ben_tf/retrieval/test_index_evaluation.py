import numpy as np
import pytest
from sklearn import metrics

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.retrieval import index
from ben_tf.retrieval import index_evaluation
from tests.ben_tf.retrieval import conftest


def queries(**changes):
    """An archive of other patches; labels of class 0 are common to all."""
    other = conftest.make_archive(num_patches=30, seed=1)
    other["names"] = np.char.add("query_", other["names"])
    return {**other, "splits": ("validation",), **changes}


def test_agrees_with_brute_force(write):
    archive_path = write("archive")
    query_path = write("queries", **queries())
    result = index_evaluation.evaluate(
        archive=archive_path, queries=query_path, ks=(1, 5, 1000)
    )
    archive = index.Index.open(archive_path)
    asked = index.Index.open(query_path)
    distance = -metrics.pairwise.additive_chi2_kernel(
        np.float64(asked.embeddings), np.float64(archive.embeddings)
    )
    order = np.argsort(distance, axis=1)[:, :5]
    shared = np.einsum("qc,qhc->qh", asked.labels, archive.labels[order])
    recall = shared / asked.labels.sum(axis=1, keepdims=True)
    precision = shared / archive.labels[order].sum(axis=2)
    # Beyond the size of the archive there is nothing to score.
    assert result.ks == (1, 5)
    scores = result.scores
    for name, expected in (
        ("precision_any_shared_label", (shared > 0).mean()),
        ("graded_recall", recall.mean()),
        ("graded_precision", precision.mean()),
        ("average_cumulative_gain", shared.mean()),
        (
            "graded_f1",
            2
            * recall.mean()
            * precision.mean()
            / (recall.mean() + precision.mean()),
        ),
    ):
        assert scores[name]["5"] == pytest.approx(expected), name
    gain = 2.0 ** (asked.labels.astype(int) @ archive.labels.T) - 1
    expected = metrics.ndcg_score(gain, -distance, k=5)
    assert scores["ndcg"]["5"] == pytest.approx(expected)


def test_own_patch_is_neither_found_nor_counted(write):
    # Each label set comes once, so only a query's own patch shares a label.
    labels = np.eye(19, dtype=np.uint8)
    archive = {
        **conftest.make_archive(num_patches=19),
        "labels": labels,
        "embeddings": labels.astype(np.float32),
    }
    path = write(**archive)
    result = index_evaluation.evaluate(
        archive=path, queries=path, ks=(1, 18, 19)
    )
    assert result.ks == (1, 18)
    for values in result.scores.values():
        assert set(values.values()) == {0.0}


def test_patches_of_another_version_are_scored_only_if_asked(write):
    v1, v2 = ("bigearthnet_mm/v1/1.0.0", "bigearthnet_mm/v2/1.0.0")
    seen = {"dataset": v2, "trained_on": (v2, v1)}
    archive = write("archive", **seen)
    asked = write("queries", **queries(**seen))
    with pytest.raises(
        errors.UserError, match=r"on v1 .* up to 60,886 .* 'test' of v2"
    ):
        index_evaluation.evaluate(archive=archive, queries=asked, ks=(1,))
    result = index_evaluation.evaluate(
        archive=archive, queries=asked, ks=(1,), allow_leakage=True
    )
    assert result.num_trained_on == 60_886 + 62_089
    table = index_evaluation.format_table(result)
    assert "trained on up to 122,975 of these patches" in table
    # The same index twice holds the same patches.
    result = index_evaluation.evaluate(
        archive=archive, queries=archive, ks=(1,), allow_leakage=True
    )
    assert result.num_trained_on == 60_886


def test_patches_of_the_same_version_and_unknown_ones_are_scored(write):
    of_v1 = {"dataset": "bigearthnet_mm/v1/1.0.0"}
    for name, options in (
        ("same", of_v1 | {"trained_on": ("bigearthnet_mm/v1/1.0.0",)}),
        ("unknown", {}),
    ):
        path = write(name, **options)
        result = index_evaluation.evaluate(archive=path, queries=path, ks=(1,))
        assert result.num_trained_on == 0
        assert "trained on" not in index_evaluation.format_table(result)


def test_all_directions(write):
    sensors = {
        sensor: write(sensor, modality=sensor) for sensor in ("S1", "S2")
    }
    directions = {
        index_evaluation.evaluate(
            archive=archive, queries=asked, ks=(1,)
        ).direction
        for archive in sensors.values()
        for asked in sensors.values()
    }
    assert directions == {"S1->S1", "S1->S2", "S2->S1", "S2->S2"}


def test_leaves_out_queries_without_label(write):
    asked = queries()
    asked["labels"] = asked["labels"].copy()
    asked["labels"][:10] = 0
    result = index_evaluation.evaluate(
        archive=write("archive"), queries=write("queries", **asked), ks=(1,)
    )
    assert result.num_queries == 20
    assert result.num_queries_without_label == 10


def test_table_warns_of_synthetic_patches(write):
    path = write()
    result = index_evaluation.evaluate(archive=path, queries=path, ks=(1, 5))
    table = index_evaluation.format_table(result)
    assert "MM->MM: 120 queries of test" in table
    assert "without the query itself" in table
    assert "say nothing about BigEarthNet" in table


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"fingerprint": "cd" * 32}, "another model"),
        (
            {
                "class_names": bigearthnet.CLASSES_43,
                "labels": np.ones((30, 43), np.uint8),
            },
            "different nomenclatures",
        ),
        ({"labels": np.zeros((30, 19), np.uint8)}, "0 queries with labels"),
    ],
)
def test_refuses_indexes_that_do_not_fit(write, changes, match):
    archive, asked = write("archive"), write("queries", **queries(**changes))
    with pytest.raises(errors.UserError, match=match):
        index_evaluation.evaluate(archive=archive, queries=asked, ks=(1,))


@pytest.mark.parametrize("ks", [(), (0, 1)])
def test_refuses_cut_offs(write, ks):
    path = write()
    with pytest.raises(errors.UserError, match="at least 1"):
        index_evaluation.evaluate(archive=path, queries=path, ks=ks)
