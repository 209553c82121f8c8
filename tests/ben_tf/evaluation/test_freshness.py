"""Scores of weights that are not the best ones any more are told apart."""

import pytest
import sklearn.metrics

from ben_tf import errors
from ben_tf.evaluation import freshness
from ben_tf.evaluation import history
from ben_tf.evaluation import predictions
from ben_tf.evaluation import results
from tests.ben_tf.evaluation import made_runs


@pytest.mark.parametrize(
    ("validation", "scored_epoch", "is_stale"),
    [
        ((0.5, 0.75), 2, False),
        ((0.5, 0.75), 1, True),
        ((0.75, 0.5), 1, False),
        ((0.75, 0.5, 0.9), 1, True),
        # An epoch that history.csv does not have: nobody can tell.
        ((0.75, 0.5), 7, False),
    ],
)
def test_scores_are_those_of_the_best_epoch(
    tmp_path, validation, scored_epoch, is_stale
):
    run = made_runs.write(
        tmp_path, validation=validation, scored_epoch=scored_epoch
    )
    evaluation = results.Evaluation.read(run, "test")
    learned = history.History.read(run)
    assert freshness.is_stale(evaluation, learned) == is_stale
    assert not freshness.is_stale(evaluation, None)
    if is_stale:
        with pytest.raises(errors.UserError, match="went on after it was scor"):
            freshness.check_same_weights(run, evaluation, learned)
    else:
        freshness.check_same_weights(run, evaluation, learned)


def test_predictions_are_those_that_were_scored(tmp_path):
    run = made_runs.write(tmp_path, quality=0.5)
    evaluation = results.Evaluation.read(run, "test")
    scored = predictions.load(run.predictions_file("test"))
    assert freshness.sample_f2(run, evaluation, scored).mean() == pytest.approx(
        sklearn.metrics.fbeta_score(
            scored.labels,
            scored.probabilities >= 0.5,
            beta=2,
            average="samples",
            zero_division=0,
        )
    )
    for other in (
        made_runs.predicted(quality=0.6),
        made_runs.predicted(quality=0.5, patches=1),
        made_runs.predicted(quality=0.5, num_classes=43),
    ):
        with pytest.raises(errors.UserError, match="not of the same evaluati"):
            freshness.sample_f2(run, evaluation, other)
