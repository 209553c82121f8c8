"""Charts of one run: training curves, scores, errors, calibration."""

import textwrap
from collections.abc import Sequence

import numpy as np

from ben_tf.evaluation import comparison
from ben_tf.evaluation import history as history_lib
from ben_tf.evaluation import results
from ben_tf.plots import style

_NUM_COLUMNS = 5  # Of precision-recall curves.


def training_curves(
    history: history_lib.History, *, synthetic: bool
) -> style.Picture:
    """Loss and two metrics by epoch, training and validation: SVG.

    Args:
      history: Of the names below, those are drawn that it has.
      synthetic: As for `style.chart`.
    """
    titles = {
        "loss": "Loss (cross-entropy)",
        "macro_f1": "Macro F1",
        "sample_f2": "Sample F2",
    }
    shown = [name for name in titles if name in history.curves]
    num = max(len(shown), 1)
    with style.chart(3.6 * num, 2.9, synthetic=synthetic) as sheet:
        panels = sheet.panels(num, num)
        for axes, name in zip(panels, shown, strict=False):
            for key, color, label in (
                (name, style.GREY, "training"),
                (f"val_{name}", style.BLUE, "validation"),
            ):
                if key in history.curves:
                    axes.plot(
                        history.epochs,
                        history.curves[key],
                        color=color,
                        label=label,
                        marker="o" if len(history.epochs) < 30 else None,
                        markersize=3,
                    )
            axes.set_title(titles[name])
            axes.set_xlabel("epoch")
            axes.locator_params(axis="x", integer=True)
            axes.set_ylim(bottom=0, top=None if name == "loss" else 1)
        if shown:
            panels[0].legend()
    return sheet.picture


def class_scores(
    rows: list[comparison.Row], *, with_paper: bool, synthetic: bool
) -> style.Picture:
    """F2 of every class with its interval, next to the paper's: SVG.

    Args:
      rows: From `comparison.class_rows`.
      with_paper: Whether to draw the paper's figures.
      synthetic: As for `style.chart`.
    """
    with style.chart(8, 0.8 + 0.3 * len(rows), synthetic=synthetic) as sheet:
        axes = sheet.figure.subplots()
        heights = style.name_rows(axes, [row.name for row in rows])
        # None, undefined, becomes NaN.
        values = np.array([row.ours for row in rows], float)
        axes.barh(
            heights,
            values,
            height=0.62,
            color=[style.class_color(row.name) for row in rows],
            edgecolor=style.EDGE_COLOR,
            linewidth=0.6,
        )
        axes.barh([], [], color=style.GREY, label="ours")
        for height, row in zip(heights, rows, strict=True):
            if row.interval:
                # White around black can be seen on every class colour.
                for color, width in (("white", 4), ("black", 1.8)):
                    axes.plot(
                        row.interval, [height] * 2, color=color, linewidth=width
                    )
            if row.ours is None:
                axes.text(0.01, height, comparison.UNDEFINED, va="center")
        axes.plot([], [], color="black", label="95 % interval")
        if with_paper:
            axes.plot(
                np.array([row.published for row in rows], float),
                heights,
                linestyle="none",
                marker="D",
                markersize=6,
                markerfacecolor="white",
                markeredgecolor=style.ORANGE,
                markeredgewidth=1.6,
                label="paper, ResNet50 from scratch",
            )
        axes.set_xlim(0, 1)
        axes.set_xlabel("F2")
        sheet.figure.legend(loc="outside upper right", ncols=3)
    return sheet.picture


def error_cooccurrence(
    labels: np.ndarray,
    predictions: np.ndarray,
    class_names: Sequence[str],
    *,
    synthetic: bool,
) -> style.Picture:
    """Which class is predicted wrongly where another is missed: SVG.

    Row i, column j: of the patches where class i was missed, the share on
    which class j was predicted though it is not there.

    Args:
      labels: (N, classes) bool.
      predictions: (N, classes) bool.
      class_names: Names of the columns.
      synthetic: As for `style.chart`.
    """
    missed = (labels & ~predictions).astype(np.float32)
    false = (~labels & predictions).astype(np.float32)
    num_missed = missed.sum(axis=0)
    with np.errstate(invalid="ignore"):
        shares = (missed.T @ false) / num_missed[:, None]
    size = 0.29 * len(class_names)
    with style.chart(size + 4.2, size + 2.5, synthetic=synthetic) as sheet:
        axes = sheet.figure.subplots()
        style.class_matrix(
            axes,
            shares,
            class_names,
            num_missed,
            least=0.1,
            label="share of the missed",
        )
        axes.set_xlabel("predicted though it is not there")
        axes.set_ylabel("missed (on so many patches)")
    return sheet.picture


def precision_recall(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    areas: Sequence[float | None],
    *,
    synthetic: bool,
) -> style.Picture:
    """Precision-recall curve of every class in a small panel: SVG.

    Args:
      labels: (N, classes) bool.
      probabilities: (N, classes) float32.
      class_names: Names of the columns.
      areas: Average precision of each class, None if undefined.
      synthetic: As for `style.chart`.
    """
    num_rows = -(-len(class_names) // _NUM_COLUMNS)
    with style.chart(10, 1.95 * num_rows, synthetic=synthetic) as sheet:
        panels = sheet.panels(
            len(class_names), _NUM_COLUMNS, sharex=True, sharey=True
        )
        for axes, name, present, scores, area in zip(
            panels, class_names, labels.T, probabilities.T, areas, strict=True
        ):
            recall, precision = _curve(present, scores)
            axes.fill_between(
                recall, precision, step="pre", color="#d6e6f2", linewidth=0
            )
            axes.step(
                recall, precision, where="pre", color=style.BLUE, linewidth=1.3
            )
            axes.set_title(
                textwrap.fill(style.shorten(name, 44), 24), fontsize=8, y=1.0
            )
            axes.text(0.05, 0.08, f"AP {comparison.number(area)}", fontsize=8)
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1.02)
            axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"], fontsize=8)
            axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"], fontsize=8)
        sheet.label_all_panels("recall", size=10)
        sheet.figure.supylabel("precision", fontsize=10)
    return sheet.picture


def reliability(
    calibration: results.Calibration, *, synthetic: bool
) -> style.Picture:
    """Reliability curve above the number of pairs in each bin: SVG.

    Args:
      calibration: Of an evaluation.
      synthetic: As for `style.chart`.
    """
    with style.chart(4.6, 4.4, synthetic=synthetic) as sheet:
        curve, counts = sheet.figure.subplots(
            2, 1, sharex=True, height_ratios=[3, 1], squeeze=True
        )
        curve.plot(
            [0, 1], [0, 1], color=style.GREY, linestyle=":", label="perfect"
        )
        curve.plot(
            np.array(calibration.mean_probability, float),
            np.array(calibration.fraction_present, float),
            color=style.BLUE,
            marker="o",
            markersize=4,
            label="this model",
        )
        curve.set_ylabel("share with the class")
        curve.set_xlim(0, 1)
        curve.set_ylim(0, 1)
        curve.legend(loc="lower right")
        edges = np.linspace(0, 1, len(calibration.num_pairs) + 1)
        counts.stairs(
            calibration.num_pairs, edges, fill=True, color=style.PALE_BLUE
        )
        counts.set_yscale("log")
        counts.set_ylabel("pairs")
        counts.set_xlabel("predicted probability")
    return sheet.picture


def _curve(
    labels: np.ndarray, scores: np.ndarray, num_points: int = 200
) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision at falling thresholds, thinned for drawing."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order])
    last_of_equals = np.append(np.diff(scores[order]) != 0, True)
    steps = np.flatnonzero(last_of_equals)
    if len(steps) > num_points:
        chosen = np.linspace(0, len(steps) - 1, num_points).round()
        steps = steps[chosen.astype(int)]
    if not hits[-1]:
        return np.zeros(0), np.zeros(0)
    recall = hits[steps] / hits[-1]
    precision = hits[steps] / (steps + 1)
    return np.append(0, recall), np.append(precision[0], precision)
