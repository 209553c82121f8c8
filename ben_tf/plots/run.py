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
    history: history_lib.History,
    *,
    synthetic: bool,
    loss: str = "",
    narrow: bool = False,
) -> style.Picture:
    """Loss and two metrics by epoch, training and validation: SVG.

    Args:
      history: Of the names below, those are drawn that it has.
      synthetic: As for `style.chart`.
      loss: Which loss was minimised, in words; "" where nobody knows.
      narrow: For a telephone: below each other instead of side by side.
    """
    titles = {
        "loss": f"Loss ({loss})" if loss else "Loss",
        "macro_f1": "Macro F1",
        "sample_f2": "Sample F2",
    }
    shown = [name for name in titles if name in history.curves]
    num = max(len(shown), 1)
    width, height = (
        (style.NARROW_WIDTH, 2.3 * num) if narrow else (3.6 * num, 2.9)
    )
    with style.chart(width, height, synthetic=synthetic) as sheet:
        panels = sheet.panels(num, 1 if narrow else num)
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
            # A long name of a loss would reach into the next panel.
            axes.set_title(textwrap.fill(titles[name], 34))
            axes.set_xlabel("epoch")
            axes.locator_params(axis="x", integer=True)
            axes.set_ylim(bottom=0, top=None if name == "loss" else 1)
        if shown:
            panels[0].legend()
    return sheet.picture


def class_scores(
    rows: list[comparison.Row],
    *,
    with_paper: bool,
    synthetic: bool,
    narrow: bool = False,
) -> style.Picture:
    """F2 of every class with its interval, next to the paper's: SVG.

    Args:
      rows: From `comparison.class_rows`.
      with_paper: Whether to draw the paper's figures.
      synthetic: As for `style.chart`.
      narrow: For a telephone: names above their bars.
    """
    width, rest, row_height = (
        (style.NARROW_WIDTH, 1.1, 0.42) if narrow else (8, 0.8, 0.3)
    )
    with style.chart(
        width, rest + row_height * len(rows), synthetic=synthetic
    ) as sheet:
        axes = sheet.figure.subplots()
        heights = style.name_rows(
            axes, [row.name for row in rows], narrow=narrow
        )
        bar_height = 0.45 if narrow else 0.62
        # None, undefined, becomes NaN.
        values = np.array([row.ours for row in rows], float)
        axes.barh(
            heights,
            values,
            height=bar_height,
            color=[style.class_color(row.name) for row in rows],
            edgecolor=style.EDGE_COLOR,
            linewidth=0.6,
        )
        axes.barh([], [], color=style.GREY, label="ours")
        for height, row in zip(heights, rows, strict=True):
            if row.interval:
                # White around black can be seen on every class colour.
                for color, thickness in (("white", 4), ("black", 1.8)):
                    axes.plot(
                        row.interval,
                        [height] * 2,
                        color=color,
                        linewidth=thickness,
                        # One around 1 would lose half of its end.
                        clip_on=False,
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
                clip_on=False,
            )
        axes.set_xlim(0, 1)
        axes.set_xlabel("F2")
        sheet.figure.legend(loc="outside upper right", ncols=1 if narrow else 3)
    return sheet.picture


def error_cooccurrence(
    labels: np.ndarray,
    predictions: np.ndarray,
    class_names: Sequence[str],
    *,
    synthetic: bool,
) -> style.Picture:
    """Which class is predicted wrongly where another is missed: SVG.

    Row i, column j: of the patches where class i was missed, how many class j
    was predicted on though it is not there; the colour is their share.

    Args:
      labels: (N, classes) bool.
      predictions: (N, classes) bool.
      class_names: Names of the columns.
      synthetic: As for `style.chart`.
    """
    together, num_missed = _errors(labels, predictions)
    with np.errstate(invalid="ignore"):
        shares = together / num_missed[:, None]
    size = 0.29 * len(class_names)
    with style.chart(size + 4.2, size + 2.5, synthetic=synthetic) as sheet:
        axes = sheet.figure.subplots()
        style.class_matrix(
            axes,
            shares,
            class_names,
            num_missed,
            together,
            least=0.1,
            label="share of the missed",
        )
        axes.set_xlabel("predicted though it is not there (on so many patches)")
        axes.set_ylabel("missed (on so many patches)")
    return sheet.picture


def commonest_errors(
    labels: np.ndarray,
    predictions: np.ndarray,
    class_names: Sequence[str],
    *,
    synthetic: bool,
    num: int = 12,
) -> style.Picture:
    """The largest cells of `error_cooccurrence` as bars, for a telephone: SVG.

    Args:
      labels: (N, classes) bool.
      predictions: (N, classes) bool.
      class_names: Names of the columns.
      synthetic: As for `style.chart`.
      num: How many to draw, fewer where there are fewer.
    """
    together, num_missed = _errors(labels, predictions)
    # The order of the classes decides among equals.
    largest = np.argsort(-together, axis=None, kind="stable")[:num]
    pairs = [
        (missed, predicted)
        for missed, predicted in zip(
            *np.unravel_index(largest, together.shape), strict=True
        )
        if together[missed, predicted]
    ]
    with style.chart(
        style.NARROW_WIDTH, 0.8 + 0.62 * max(len(pairs), 1), synthetic=synthetic
    ) as sheet:
        axes = sheet.figure.subplots()
        heights = style.name_rows(
            axes,
            [
                f"{class_names[missed]}\n→ {class_names[predicted]}"
                for missed, predicted in pairs
            ],
            narrow=True,
        )
        counts = [int(together[pair]) for pair in pairs]
        drawn = axes.barh(heights, counts, height=0.36, color=style.PALE_BLUE)
        axes.bar_label(
            drawn,
            [
                f"{count:,} of {int(num_missed[missed]):,}"
                for count, (missed, _) in zip(counts, pairs, strict=True)
            ],
            padding=4,
            fontsize=9,
        )
        if not pairs:
            axes.text(0, 0, "none")
        axes.set_xlim(0, 1.4 * max(counts, default=1))
        axes.locator_params(axis="x", integer=True, nbins=5)
        axes.set_xlabel("patches, of those where the first was missed")
    return sheet.picture


def precision_recall(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    areas: Sequence[float | None],
    *,
    synthetic: bool,
    narrow: bool = False,
) -> style.Picture:
    """Precision-recall curve of every class in a small panel: SVG.

    Args:
      labels: (N, classes) bool.
      probabilities: (N, classes) float32.
      class_names: Names of the columns.
      areas: Average precision of each class, None if undefined.
      synthetic: As for `style.chart`.
      narrow: For a telephone: two side by side instead of five.
    """
    num_columns = 2 if narrow else _NUM_COLUMNS
    num_rows = -(-len(class_names) // num_columns)
    width = style.NARROW_WIDTH if narrow else 10
    with style.chart(width, 1.95 * num_rows, synthetic=synthetic) as sheet:
        panels = sheet.panels(
            len(class_names), num_columns, sharex=True, sharey=True
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
                textwrap.fill(style.shorten(name, 44), 20), fontsize=8, y=1.0
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
    calibration: results.Calibration,
    *,
    synthetic: bool,
    narrow: bool = False,
) -> style.Picture:
    """Reliability curve above the number of pairs in each bin: SVG.

    Args:
      calibration: Of an evaluation.
      synthetic: As for `style.chart`.
      narrow: For a telephone.
    """
    width = style.NARROW_WIDTH if narrow else 4.6
    with style.chart(width, 4.4, synthetic=synthetic) as sheet:
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


def _errors(
    labels: np.ndarray, predictions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Counts patches by missed and wrongly predicted class.

    Returns:
      (classes, classes) on how many patches the class of the row was missed
      and that of the column predicted wrongly; (classes,) how many patches
      each class was missed on.
    """
    # Sums of float32 would end at 16,777,216.
    missed = (labels & ~predictions).astype(np.float64)
    false = (~labels & predictions).astype(np.float64)
    return missed.T @ false, missed.sum(axis=0)


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
