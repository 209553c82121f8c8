"""The charts of report.html, each with its caption."""

import numpy as np

from ben_tf.data import geography
from ben_tf.evaluation import comparison
from ben_tf.evaluation import paper
from ben_tf.evaluation import predictions
from ben_tf.plots import places
from ben_tf.plots import run as run_plots
from ben_tf.report import html_parts


def class_chart(result: dict) -> str:
    """F2 of every class, beside the paper's where it has them."""
    with_paper = len(result["class_names"]) == paper.NUM_CLASSES
    reasons = comparison.reasons(result)
    caption = "F2 at threshold 0.5."
    if with_paper:
        caption += " Diamonds: Table I of the paper"
        caption += (
            f"; not comparable ({', '.join(reasons)})." if reasons else "."
        )
    return html_parts.picture(
        run_plots.class_scores(
            comparison.class_rows(result),
            with_paper=with_paper,
            synthetic=comparison.is_synthetic(result),
        ),
        "Bar chart of the F2 score of every class; the table has the numbers.",
        caption,
    )


def curves(result: dict, history: dict[str, list[float]]) -> str:
    """Loss and metrics by epoch."""
    return html_parts.picture(
        run_plots.training_curves(
            history, synthetic=comparison.is_synthetic(result)
        ),
        "Training and validation curves by epoch.",
        is_wide=True,
    )


def score_map(
    result: dict, predicted: predictions.Predictions, *, sample_f2: np.ndarray
) -> str:
    """Where the patches lie, coloured by their score."""
    longitudes, latitudes = geography.patch_centres(
        predicted.epsg, predicted.upper_left
    )
    return html_parts.picture(
        places.score_map(
            longitudes,
            latitudes,
            sample_f2,
            label="F2 of the patch",
            synthetic=comparison.is_synthetic(result),
        ),
        "Map of the patches coloured by F2.",
        "Every patch at its place; bad ones are drawn on top.",
    )


def error_charts(result: dict, predicted: predictions.Predictions) -> str:
    """Co-occurrence of errors, precision-recall, reliability."""
    labels = predicted.labels.astype(bool)
    names = result["class_names"]
    error = result["calibration"]["expected_calibration_error"]
    synthetic = comparison.is_synthetic(result)
    return (
        "<h3>Which errors come together</h3>"
        + html_parts.picture(
            run_plots.error_cooccurrence(
                labels,
                predicted.probabilities >= np.float32(0.5),
                names,
                synthetic=synthetic,
            ),
            "Matrix of missed against falsely predicted classes.",
            "Row: a class that was missed, and on how many patches. Column: "
            "what was predicted there instead, as a share of those patches. "
            "Grey: the class was never missed.",
            is_wide=True,
        )
        + "<h3>Precision and recall</h3>"
        + html_parts.picture(
            run_plots.precision_recall(
                labels,
                predicted.probabilities,
                names,
                result["per_class"]["average_precision"],
                synthetic=synthetic,
            ),
            "Precision-recall curve of every class.",
            is_wide=True,
        )
        + "<h3>Calibration</h3>"
        + html_parts.picture(
            run_plots.reliability(result["calibration"], synthetic=synthetic),
            "Reliability curve.",
            f"Expected calibration error {error:.4f}, over all pairs of patch "
            "and class. Below the dotted line probabilities are too high.",
        )
    )
