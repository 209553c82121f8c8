"""Scores, predictions and weights of one run that belong together.

A run may be resumed, exported or scored again at any time; what was made
before stays in its workdir until it is made again.
"""

from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import history
from ben_tf.evaluation import predictions
from ben_tf.evaluation import results


def read_predictions(
    run: workdir_lib.Workdir, evaluation: results.Evaluation
) -> predictions.Predictions:
    """Reads the predictions that an evaluation scored.

    Args:
      run: Its workdir.
      evaluation: From `results.Evaluation.read`.

    Raises:
      UserError: There are none, or they are of other weights or patches.
    """
    path = run.predictions_file(evaluation.split)
    predicted = predictions.load(path)
    model, data = evaluation.model, evaluation.data
    if (
        predicted.labels.shape
        != (evaluation.num_samples, len(evaluation.class_names))
        or predicted.fingerprint != data.fingerprint
        or predicted.records != data.records
        # Files of before do not say whose predictions they are.
        or predicted.model not in ("", model.fingerprint)
    ):
        raise errors.UserError(
            f"Metrics and predictions in {run} are not of the same "
            "evaluation. Run python -m ben_tf.evaluate again."
        )
    return predicted


def is_stale(epoch: int, learned: history.History | None) -> bool:
    """Whether the run has better weights by now than those of an epoch.

    Args:
      epoch: Of the weights that something was made of; 0 where nobody knows.
      learned: From `history.History.read`. Where it has lost rows, its best
        epoch may be another one, so that nothing is called stale.
    """
    return (
        learned is not None
        and epoch in learned.epochs
        and learned.best_epoch not in (0, epoch)
    )


def check_best(
    run: workdir_lib.Workdir,
    epoch: int,
    learned: history.History | None,
    *,
    what: str,
) -> None:
    """Refuses what was made of weights that are no longer the run's best.

    Args:
      run: Its workdir.
      epoch: As for `is_stale`.
      learned: Likewise.
      what: What was made, such as "the scores".

    Raises:
      UserError: The run was resumed since, and has better weights.
    """
    if learned is not None and is_stale(epoch, learned):
        raise errors.UserError(
            f"The run in {run} was resumed: {what} are of the weights of epoch "
            f"{epoch}, its best ones are of epoch {learned.best_epoch} now. "
            "Run python -m ben_tf.export, unless its training ended and did "
            "that, then python -m ben_tf.evaluate."
        )
