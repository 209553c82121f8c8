"""Charts of a report as SVG or PNG bytes; drawn without pyplot's global state.

Every chart can be read without its colours: lines and bars carry labels, and
the palettes (Okabe-Ito, viridis, a single hue) survive colour blindness and
print.
"""

import contextlib
import io
import math
import textwrap

import matplotlib as mpl
import numpy as np
from matplotlib import figure

from ben_tf import comparison

# Okabe and Ito, "Color Universal Design", 2008.
BLUE = "#0072b2"
ORANGE = "#d55e00"
GREEN = "#009e73"
GREY = "#6b7280"
_STYLE = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9ca3af",
    "axes.labelcolor": "#374151",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.8,
    "xtick.color": "#4b5563",
    "ytick.color": "#4b5563",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",  # Text stays text: small, sharp, searchable.
    "svg.hashsalt": "ben_tf",  # The same data give the same bytes.
}


@contextlib.contextmanager
def _chart(width: float, height: float, format_: str = "svg"):
    """Yields a figure (inches) and an empty buffer that it is saved to."""
    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE):
        chart = figure.Figure(figsize=(width, height), layout="constrained")
        yield chart, buffer
        metadata = {"Date": None} if format_ == "svg" else {}
        chart.savefig(buffer, format=format_, dpi=160, metadata=metadata)


def training_curves(history: dict[str, list[float]]) -> bytes:
    """Loss and two metrics by epoch, training and validation: SVG.

    Args:
      history: Column of history.csv -> values; "epoch" and any of the names
        below, with and without "val_".
    """
    titles = {
        "loss": "Loss (cross-entropy)",
        "macro_f1": "Macro F1",
        "sample_f2": "Sample F2",
    }
    shown = {name: title for name, title in titles.items() if name in history}
    with _chart(3.6 * max(len(shown), 1), 2.9) as (chart, buffer):
        panels = chart.subplots(1, max(len(shown), 1), squeeze=False)[0]
        for axes, (name, title) in zip(panels, shown.items(), strict=False):
            for key, color, label in (
                (name, GREY, "training"),
                (f"val_{name}", BLUE, "validation"),
            ):
                if key in history:
                    axes.plot(
                        history["epoch"],
                        history[key],
                        color=color,
                        label=label,
                        marker="o" if len(history["epoch"]) < 30 else None,
                        markersize=3,
                    )
            axes.set_title(title)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.set_ylim(bottom=0, top=None if name == "loss" else 1)
        if shown:
            panels[0].legend()
    return buffer.getvalue()


def class_scores(rows: list[comparison.Row], *, with_paper: bool) -> bytes:
    """F2 of every class with its interval, beside the paper's: SVG.

    Args:
      rows: From `comparison.class_rows`.
      with_paper: Whether to draw the paper's figures.
    """
    with _chart(8, 0.8 + 0.3 * len(rows)) as (chart, buffer):
        axes = chart.subplots()
        heights = np.arange(len(rows))[::-1]
        values = np.array(
            [math.nan if row.ours is None else row.ours for row in rows]
        )
        axes.barh(heights, values, height=0.62, color="#9ecae1", label="ours")
        for height, row in zip(heights, rows, strict=True):
            if row.interval:
                axes.plot(row.interval, [height] * 2, color=BLUE, linewidth=2)
            if row.ours is None:
                axes.text(0.01, height, comparison.UNDEFINED, va="center")
        axes.plot([], [], color=BLUE, linewidth=2, label="95 % interval")
        if with_paper:
            axes.plot(
                [math.nan if row.paper is None else row.paper for row in rows],
                heights,
                linestyle="none",
                marker="D",
                markersize=6,
                markerfacecolor="white",
                markeredgecolor=ORANGE,
                markeredgewidth=1.6,
                label="paper, ResNet50 from scratch",
            )
        axes.set_yticks(heights, [_shorten(row.name) for row in rows])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.set_xlim(0, 1)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel("F2")
        chart.legend(loc="outside upper right", ncols=3)
    return buffer.getvalue()


def error_cooccurrence(labels, predictions, class_names) -> bytes:
    """Which class is seen wrongly where another is missed: SVG.

    Row i, column j: of the patches where class i was missed, the share on
    which class j was predicted though it is not there.

    Args:
      labels: (N, classes) bool.
      predictions: (N, classes) bool.
      class_names: Names of the columns.
    """
    missed = (labels & ~predictions).astype(np.float32)
    false = (~labels & predictions).astype(np.float32)
    num_missed = missed.sum(axis=0)
    with np.errstate(invalid="ignore"):
        shares = (missed.T @ false) / num_missed[:, None]
    size = 0.29 * len(class_names)
    with _chart(size + 4.2, size + 2.5) as (chart, buffer):
        axes = chart.subplots()
        axes.set_facecolor("#d1d5db")  # Undefined: the class was never missed.
        drawn = axes.pcolormesh(
            shares,
            cmap="Blues",
            vmin=0,
            vmax=max(float(np.nanmax(shares, initial=0)), 0.1),
            edgecolors="#e5e7eb",
            linewidth=0.5,
        )
        centres = np.arange(len(class_names)) + 0.5
        names = [_shorten(name, 30) for name in class_names]
        axes.set_xticks(centres, names, rotation=45, ha="right")
        axes.set_yticks(
            centres,
            [
                f"{name} ({int(num)})"
                for name, num in zip(names, num_missed, strict=True)
            ],
        )
        axes.invert_yaxis()
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.set_xlabel("predicted though it is not there")
        axes.set_ylabel("missed (on so many patches)")
        chart.colorbar(drawn, ax=axes, shrink=0.5, label="share of the missed")
    return buffer.getvalue()


def precision_recall(labels, probabilities, class_names, areas) -> bytes:
    """Precision-recall curve of every class in a small panel: SVG.

    Args:
      labels: (N, classes) bool.
      probabilities: (N, classes) float32.
      class_names: Names of the columns.
      areas: Average precision of each class, None if undefined.
    """
    num_columns = 5
    num_rows = math.ceil(len(class_names) / num_columns)
    with _chart(10, 1.95 * num_rows) as (chart, buffer):
        panels = chart.subplots(
            num_rows, num_columns, sharex=True, sharey=True, squeeze=False
        ).ravel()
        for index, (axes, name) in enumerate(
            zip(panels, class_names, strict=False)
        ):
            recall, precision = _curve(
                labels[:, index], probabilities[:, index]
            )
            axes.fill_between(
                recall, precision, step="pre", color="#d6e6f2", linewidth=0
            )
            axes.step(recall, precision, where="pre", color=BLUE, linewidth=1.3)
            axes.set_title(
                textwrap.fill(_shorten(name, 44), 24), fontsize=8, y=1.0
            )
            axes.text(
                0.05, 0.08, f"AP {comparison.number(areas[index])}", fontsize=8
            )
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1.02)
            axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"], fontsize=8)
            axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"], fontsize=8)
        for axes in panels[len(class_names) :]:
            axes.set_visible(False)
        chart.supxlabel("recall", fontsize=10)
        chart.supylabel("precision", fontsize=10)
    return buffer.getvalue()


def reliability(calibration: dict) -> bytes:
    """Reliability curve above the number of pairs in each bin: SVG.

    Args:
      calibration: As metrics/<split>.json holds it.
    """

    def as_array(name):
        values = calibration[name]
        return np.array([math.nan if v is None else v for v in values], float)

    num_pairs = as_array("num_pairs")
    with _chart(4.6, 4.4) as (chart, buffer):
        curve, counts = chart.subplots(
            2, 1, sharex=True, height_ratios=[3, 1], squeeze=True
        )
        curve.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfect")
        curve.plot(
            as_array("mean_probability"),
            as_array("fraction_present"),
            color=BLUE,
            marker="o",
            markersize=4,
            label="this model",
        )
        curve.set_ylabel("share with the class")
        curve.set_xlim(0, 1)
        curve.set_ylim(0, 1)
        curve.legend(loc="lower right")
        edges = np.linspace(0, 1, len(num_pairs) + 1)
        counts.stairs(num_pairs, edges, fill=True, color="#9ecae1")
        counts.set_yscale("log")
        counts.set_ylabel("pairs")
        counts.set_xlabel("predicted probability")
    return buffer.getvalue()


def score_map(longitudes, latitudes, scores, label: str) -> bytes:
    """Patches at their place, coloured by score: PNG.

    Args:
      longitudes: (N,) degrees east.
      latitudes: (N,) degrees north.
      scores: (N,) in [0, 1].
      label: What the colour means.
    """
    # On top of each other at this scale: the bad ones must be seen.
    order = np.argsort(-scores, kind="stable")
    with _chart(8, 5.6, "png") as (chart, buffer):
        axes = chart.subplots()
        drawn = axes.scatter(
            longitudes[order],
            latitudes[order],
            c=scores[order],
            s=float(np.clip(20_000 / len(scores), 1, 22)),
            cmap="viridis",
            vmin=0,
            vmax=1,
            linewidth=0,
        )
        # A degree of longitude is shorter than one of latitude.
        middle = math.radians(float(np.mean(latitudes)))
        axes.set_aspect(1 / math.cos(middle))
        axes.set_xlabel("longitude, degrees east")
        axes.set_ylabel("latitude, degrees north")
        chart.colorbar(drawn, ax=axes, shrink=0.8, label=label)
    return buffer.getvalue()


def _curve(labels, scores, num_points: int = 200):
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


def _shorten(name: str, width: int = 46) -> str:
    return name if len(name) <= width else name[: width - 1].rstrip(" ,") + "…"
