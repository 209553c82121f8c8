"""Whether scores and predictions still are those of a run's best weights."""

import numpy as np

from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import history
from ben_tf.evaluation import predictions
from ben_tf.evaluation import results
from ben_tf.metrics import definitions
from ben_tf.metrics import exact


def is_stale(
    evaluation: results.Evaluation, learned: history.History | None
) -> bool:
    """Whether the run has better weights by now than those that were scored.

    Only what history.csv can tell: where it has lost rows, its best epoch may
    be another one.
    """
    scored = evaluation.model.epoch
    return (
        learned is not None
        and scored in learned.epochs
        and learned.best_epoch not in (0, scored)
    )


def check_same_weights(
    run: workdir_lib.Workdir,
    evaluation: results.Evaluation,
    learned: history.History | None,
) -> None:
    """Refuses scores of weights that are not the run's best ones any more.

    Raises:
      UserError: The run went on after them.
    """
    if learned is not None and is_stale(evaluation, learned):
        raise errors.UserError(
            f"The run in {run} went on after it was scored: the scores are of "
            f"the weights of epoch {evaluation.model.epoch}, its best ones are "
            f"of epoch {learned.best_epoch} now. Run python -m ben_tf.export, "
            "unless its training ended and did that, then python -m "
            "ben_tf.evaluate."
        )


def sample_f2(
    run: workdir_lib.Workdir,
    evaluation: results.Evaluation,
    predicted: predictions.Predictions,
) -> np.ndarray:
    """F2 of each patch, once it is known that the scores are of them.

    Args:
      run: Where both were read.
      evaluation: The scores.
      predicted: The predictions.

    Returns:
      (N,) float32; NaN: undefined.

    Raises:
      UserError: The predictions are of other patches or other weights.
    """
    per_sample, _ = exact.samples_and_counts(
        predicted.labels.astype(bool), predicted.probabilities
    )
    values = per_sample["sample_f2"]
    shape = (evaluation.num_samples, len(evaluation.class_names))
    if (
        predicted.labels.shape != shape
        or predicted.fingerprint != evaluation.data.fingerprint
        # By other weights.
        or not np.isclose(
            float(definitions.mean_of_defined(values.astype(np.float64))),
            # As JSON has it where it is undefined.
            np.array(evaluation.overall["sample_f2"], np.float64),
            equal_nan=True,
        )
    ):
        raise errors.UserError(
            f"Metrics and predictions in {run} are not of the same "
            "evaluation. Run python -m ben_tf.evaluate again."
        )
    return values
