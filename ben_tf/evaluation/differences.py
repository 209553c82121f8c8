"""Differences of runs, with the paired bootstrap: the same patches for both."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import tqdm

from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import comparison
from ben_tf.evaluation import freshness
from ben_tf.evaluation import results
from ben_tf.metrics import intervals


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far a metric of a run is from that of the reference.

    Attributes:
      metric: Its name.
      value: The run's minus the reference's.
      ends: 95 % interval (lower, upper) over resampled patches.
    """

    metric: str
    value: float
    ends: tuple[float, float]

    @property
    def contains_zero(self) -> bool:
        """Whether the choice of patches may explain the difference."""
        return self.ends[0] <= 0 <= self.ends[1]

    @property
    def is_better(self) -> bool:
        """Whether the run has the better value of the two."""
        return (self.value < 0) == (self.metric in comparison.LOWER_IS_BETTER)


@dataclasses.dataclass(frozen=True)
class Differences:
    """All differences to one run.

    Attributes:
      of_run: Name of another run -> its differences; a metric that is
        undefined for one of the two is left out.
      omitted: Why there are none of a run, in a sentence each.
    """

    of_run: Mapping[str, list[Difference]]
    omitted: list[str]


def to_reference(
    runs: Mapping[str, workdir_lib.Workdir],
    evaluations: Mapping[str, results.Evaluation],
    reference: str,
) -> Differences:
    """Resamples the patches of all runs in the same way, and subtracts.

    Reads the predictions of one run at a time.

    Args:
      runs: Name -> where its predictions are.
      evaluations: Name -> its scores, all of the same nomenclature.
      reference: One of the names.

    Raises:
      UserError: Predictions are damaged, or not those that were scored.
    """
    of_run: dict[str, list[Difference]] = {}
    omitted: list[str] = []
    found = Differences(of_run, omitted)
    others = [name for name in runs if name != reference]
    if not others:
        return found
    scored = evaluations[reference]
    zero = _replicates(runs[reference], scored)
    if zero is None:
        omitted.append(_missing(runs[reference], scored, "any run"))
        return found
    for name in tqdm.tqdm(others, desc="differences", unit="run"):
        evaluation = evaluations[name]
        if evaluation.data.fingerprint != scored.data.fingerprint:
            omitted.append(
                f"{name} was not scored on the same patches and labels as "
                f"{reference}: no differences of {name}."
            )
            continue
        drawn = _replicates(runs[name], evaluation)
        if drawn is None:
            omitted.append(_missing(runs[name], evaluation, name))
            continue
        of_run[name] = [
            Difference(metric, ours - theirs, (float(low), float(high)))
            for metric in comparison.HEADLINES
            for ours in [evaluation.overall[metric]]
            for theirs in [scored.overall[metric]]
            for low, high in [intervals.interval(drawn[metric] - zero[metric])]
            if ours is not None and theirs is not None and not np.isnan(low)
        ]
    return found


def _replicates(
    run: workdir_lib.Workdir, evaluation: results.Evaluation
) -> dict[str, np.ndarray] | None:
    """Scores of the run on resampled patches; None without predictions."""
    path = run.predictions_file(evaluation.split)
    if not path.exists():
        return None
    predicted = freshness.read_predictions(run, evaluation)
    return intervals.replicates(
        predicted.labels,
        predicted.probabilities,
        threshold=evaluation.threshold,
    )


def _missing(
    run: workdir_lib.Workdir, evaluation: results.Evaluation, of_whom: str
) -> str:
    return (
        f"No file {run.predictions_file(evaluation.split)}: no differences of "
        f"{of_whom}. Write it with python -m ben_tf.evaluate."
    )
