"""Scores of weights that are not the best ones any more are told apart."""

import dataclasses

import numpy as np
import pytest

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
    learned = history.History.read(run)
    assert freshness.is_stale(scored_epoch, learned) == is_stale
    assert not freshness.is_stale(scored_epoch, None)
    if is_stale:
        with pytest.raises(errors.UserError, match="the scores are of the w"):
            freshness.check_best(run, scored_epoch, learned, what="the scores")
    else:
        freshness.check_best(run, scored_epoch, learned, what="the scores")


def test_predictions_are_those_that_were_scored(tmp_path):
    run = made_runs.write(tmp_path, quality=0.5)
    evaluation = results.Evaluation.read(run, "test")
    path = run.predictions_file("test")
    scored = freshness.read_predictions(run, evaluation)
    np.testing.assert_equal(vars(scored), vars(predictions.load(path)))
    for other in (
        dataclasses.replace(scored, model="of other weights"),
        dataclasses.replace(scored, records="of other records"),
        made_runs.predicted(quality=0.5, patches=1),
        made_runs.predicted(quality=0.5, num_classes=43),
    ):
        predictions.save(other, path)
        with pytest.raises(errors.UserError, match="not of the same evaluati"):
            freshness.read_predictions(run, evaluation)
