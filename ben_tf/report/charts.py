"""The charts of the report."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from ben_tf.data import geography
from ben_tf.evaluation import comparison
from ben_tf.evaluation import history as history_lib
from ben_tf.evaluation import predictions
from ben_tf.evaluation import published as published_lib
from ben_tf.evaluation import results
from ben_tf.plots import places
from ben_tf.plots import run
from ben_tf.plots import style


@dataclasses.dataclass(frozen=True)
class Chart:
    """A chart in two sizes, of which a page shows the one that fits.

    Attributes:
      wide: For a screen or paper.
      narrow: For a telephone.
    """

    wide: style.Picture
    narrow: style.Picture


@dataclasses.dataclass(frozen=True)
class Charts:
    """The charts of an evaluation.

    Attributes:
      classes: F2 of every class.
      errors: Which classes are predicted where another is missed.
      precision_recall: A curve for each class.
      reliability: What predicted probabilities are worth.
      map: Patches at their location, coloured by F2.
    """

    classes: Chart
    errors: Chart
    precision_recall: Chart
    reliability: Chart
    map: Chart


def training(
    history: history_lib.History, *, loss: str, synthetic: bool
) -> Chart:
    """Draws loss and metrics by epoch.

    Args:
      history: How the run learned.
      loss: Which loss it minimised, in words; "" where nobody knows.
      synthetic: Whether it learned from synthetic patches.
    """
    return _in_both_sizes(
        functools.partial(
            run.training_curves, history, loss=loss, synthetic=synthetic
        )
    )


def draw(
    evaluation: results.Evaluation,
    predicted: predictions.Predictions,
    *,
    published: published_lib.Published,
    sample_f2: np.ndarray,
) -> Charts:
    """Draws all charts of an evaluation.

    Args:
      evaluation: What was found.
      predicted: The predictions that were scored.
      published: Whose figures to draw next to ours.
      sample_f2: (N,) score of each patch.
    """
    synthetic = evaluation.is_synthetic
    labels = predicted.labels.astype(bool)
    longitudes, latitudes = geography.patch_centres(
        predicted.epsg, predicted.upper_left
    )
    errors = (
        labels,
        predicted.probabilities >= np.float32(evaluation.threshold),
        evaluation.class_names,
    )
    return Charts(
        classes=_in_both_sizes(
            functools.partial(
                run.class_scores,
                comparison.class_rows(evaluation, published),
                with_paper=comparison.shows_classes(evaluation, published),
                synthetic=synthetic,
            )
        ),
        errors=Chart(
            run.error_cooccurrence(*errors, synthetic=synthetic),
            # A matrix of 19 classes has no room for its numbers there.
            run.commonest_errors(*errors, synthetic=synthetic),
        ),
        precision_recall=_in_both_sizes(
            functools.partial(
                run.precision_recall,
                labels,
                predicted.probabilities,
                evaluation.class_names,
                evaluation.per_class["average_precision"],
                synthetic=synthetic,
            )
        ),
        reliability=_in_both_sizes(
            functools.partial(
                run.reliability, evaluation.calibration, synthetic=synthetic
            )
        ),
        map=_in_both_sizes(
            functools.partial(
                places.score_map,
                longitudes,
                latitudes,
                sample_f2,
                label="F2 of the patch",
                synthetic=synthetic,
            )
        ),
    )


def _in_both_sizes(draw_one: Callable[..., style.Picture]) -> Chart:
    return Chart(draw_one(narrow=False), draw_one(narrow=True))
