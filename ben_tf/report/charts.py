"""The charts of the report."""

import dataclasses

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
class Charts:
    """The pictures of a report.

    Attributes:
      training: Loss and metrics by epoch; None where nothing was trained.
      classes: F2 of every class.
      errors: Which classes are predicted where another is missed.
      precision_recall: A curve for each class.
      reliability: What predicted probabilities are worth.
      map: Patches at their location, coloured by F2.
    """

    training: style.Picture | None
    classes: style.Picture
    errors: style.Picture
    precision_recall: style.Picture
    reliability: style.Picture
    map: style.Picture


def draw(
    evaluation: results.Evaluation,
    predicted: predictions.Predictions,
    history: history_lib.History | None,
    *,
    published: published_lib.Published,
    sample_f2: np.ndarray,
) -> Charts:
    """Draws all charts.

    Args:
      evaluation: What was found.
      predicted: The predictions that were scored.
      history: How the run learned, if it did.
      published: Whose figures to draw next to ours.
      sample_f2: (N,) score of each patch.
    """
    synthetic = evaluation.is_synthetic
    labels = predicted.labels.astype(bool)
    longitudes, latitudes = geography.patch_centres(
        predicted.epsg, predicted.upper_left
    )
    return Charts(
        training=run.training_curves(history, synthetic=synthetic)
        if history
        else None,
        classes=run.class_scores(
            comparison.class_rows(evaluation, published),
            with_paper=comparison.shows_classes(evaluation, published),
            synthetic=synthetic,
        ),
        errors=run.error_cooccurrence(
            labels,
            predicted.probabilities >= np.float32(evaluation.threshold),
            evaluation.class_names,
            synthetic=synthetic,
        ),
        precision_recall=run.precision_recall(
            labels,
            predicted.probabilities,
            evaluation.class_names,
            evaluation.per_class["average_precision"],
            synthetic=synthetic,
        ),
        reliability=run.reliability(
            evaluation.calibration, synthetic=synthetic
        ),
        map=places.score_map(
            longitudes,
            latitudes,
            sample_f2,
            label="F2 of the patch",
            synthetic=synthetic,
        ),
    )
