"""Differences of runs against SciPy's paired bootstrap."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from ben_tf import errors
from ben_tf.evaluation import comparison
from ben_tf.evaluation import differences
from ben_tf.evaluation import predictions
from ben_tf.evaluation import results
from tests.ben_tf.evaluation import made_runs


def _found(reference="a", **runs):
    return differences.to_reference(
        runs,
        {name: results.Evaluation.read(x, "test") for name, x in runs.items()},
        reference,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {
        "a": made_runs.write(folder / "a", quality=0.3),
        "b": made_runs.write(folder / "b", quality=0.5),
    }


def _sample_f2(quality):
    scored = made_runs.predicted(quality=quality)
    return np.array(
        [
            sklearn.metrics.fbeta_score(y, p >= 0.5, beta=2, zero_division=0)
            for y, p in zip(scored.labels, scored.probabilities, strict=True)
        ]
    )


def test_a_difference_of_means_is_that_of_scipy(runs):
    found = _found(**runs)
    assert list(found.of_run) == ["b"]
    assert found.omitted == []
    rows = {row.metric: row for row in found.of_run["b"]}
    assert list(rows) == list(comparison.HEADLINES)
    a, b = _sample_f2(0.3), _sample_f2(0.5)
    theirs = scipy.stats.bootstrap(
        [b, a],
        lambda x, y, axis: x.mean(axis) - y.mean(axis),
        paired=True,
        n_resamples=5000,
        method="percentile",
        rng=0,
    ).confidence_interval
    row = rows["sample_f2"]
    np.testing.assert_allclose(row.value, (b - a).mean(), rtol=1e-5)
    spread = theirs.high - theirs.low
    np.testing.assert_allclose(row.ends, theirs, atol=0.1 * spread)
    # The same patches cancel: intervals of the two would be much wider.
    alone = scipy.stats.bootstrap([a], np.mean, rng=0).confidence_interval
    assert spread < alone.high - alone.low


def test_lower_errors_are_better(runs):
    rows = {x.metric: x for x in _found(**runs).of_run["b"]}
    assert rows["hamming_loss"].value < 0
    assert rows["sample_f2"].value > 0
    for row in rows.values():
        assert row.is_better
    worse = _found(reference="b", **runs).of_run["a"]
    assert not any(row.is_better for row in worse)
    for row in worse:
        assert row.value == -rows[row.metric].value
        np.testing.assert_allclose(
            row.ends, -np.array(rows[row.metric].ends[::-1])
        )


def test_a_run_does_not_differ_from_itself(runs):
    for row in _found(a=runs["a"], again=runs["a"]).of_run["again"]:
        assert row.value == 0
        assert row.ends == (0, 0)
        assert row.contains_zero


@pytest.mark.parametrize(
    ("ends", "contains_zero"),
    [((-0.1, 0.2), True), ((0.01, 0.2), False), ((-0.2, -0.01), False)],
)
def test_whether_an_interval_contains_zero(ends, contains_zero):
    row = differences.Difference("macro_f1", 0.1, ends)
    assert row.contains_zero == contains_zero


def test_an_undefined_metric_has_no_difference(runs, tmp_path):
    run = made_runs.write(tmp_path / "run", quality=0.5)
    overall = results.Evaluation.read(run, "test").overall
    made_runs.change_scores(run, overall=overall | {"macro_f1": None})
    rows = _found(a=runs["a"], b=run).of_run["b"]
    assert "macro_f1" not in {row.metric for row in rows}
    assert len(rows) == len(comparison.HEADLINES) - 1


def test_what_cannot_be_paired_is_said(runs, tmp_path):
    other = made_runs.write(tmp_path / "other", patches=1)
    lost = made_runs.write(tmp_path / "lost", quality=0.6)
    lost.predictions_file("test").unlink()
    found = _found(**runs, other=other, lost=lost)
    assert list(found.of_run) == ["b"]
    assert found.omitted == [
        "other was not scored on the same patches and labels as a: no "
        "differences of other.",
        f"No file {lost.predictions_file('test')}: no differences of lost. "
        "Write it with python -m ben_tf.evaluate.",
    ]
    found = _found(reference="lost", **runs, lost=lost)
    assert found.of_run == {}
    (sentence,) = found.omitted
    assert "no differences of any run" in sentence
    assert _found(a=lost).omitted == []  # Nothing to subtract.


def test_predictions_of_other_weights_are_refused(runs, tmp_path):
    run = made_runs.write(tmp_path / "run", quality=0.5)
    predictions.save(
        made_runs.predicted(quality=0.9), run.predictions_file("test")
    )
    with pytest.raises(errors.UserError, match="not of the same evaluation"):
        _found(a=runs["a"], run=run)
    run.predictions_file("test").write_bytes(b"PK")
    with pytest.raises(errors.UserError, match="cannot be read"):
        _found(a=runs["a"], run=run)
