"""Charts of what patches are labelled with, and how they are divided."""

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from ben_tf import bigearthnet
from ben_tf.plots import style

_PARTS = (style.BLUE, "#9ecae1", style.ORANGE, "#e5e7eb", style.GREEN)


def class_counts(
    counts: Mapping[str, int], *, synthetic: bool
) -> style.Picture:
    """Patches with each label, logarithmic, in the classes' colours: SVG.

    Args:
      counts: Class -> number of patches. One of the 43 classes that the
        19-class nomenclature drops is hatched.
      synthetic: As for `style.chart`.
    """
    with style.chart(
        8, 0.7 + 0.235 * len(counts), synthetic=synthetic
    ) as sheet:
        axes = sheet.figure.subplots()
        names = list(counts)
        heights = style.name_rows(axes, names)
        # A bar of nothing cannot be drawn on a logarithmic axis.
        drawn = axes.barh(
            heights,
            np.maximum(list(counts.values()), 0.5),
            height=0.7,
            color=[style.class_color(name) for name in names],
            edgecolor=style.EDGE_COLOR,
            linewidth=0.6,
        )
        for bar, name in zip(drawn, names, strict=True):
            if bigearthnet.CLASS_43_TO_19.get(name, name) is None:
                bar.set_hatch("////")
        numbers = [f"{count:,}" for count in counts.values()]
        axes.bar_label(drawn, numbers, padding=4, fontsize=8)
        axes.set_xscale("log")
        axes.set_xlim(left=0.5, right=3 * max(1, *counts.values()))
        axes.set_xlabel("patches with the label (logarithmic)")
    return sheet.picture


def labels_per_patch(
    numbers: Mapping[str, np.ndarray], *, synthetic: bool
) -> style.Picture:
    """How many labels patches have, a line for each nomenclature: SVG.

    Args:
      numbers: Nomenclature -> (N,) int, labels of each patch.
      synthetic: As for `style.chart`.
    """
    with style.chart(5.2, 2.9, synthetic=synthetic) as sheet:
        axes = sheet.figure.subplots()
        most = max(int(values.max()) for values in numbers.values())
        for (name, values), (color, marker) in zip(
            numbers.items(), style.VARIANTS, strict=False
        ):
            shares = np.bincount(values, minlength=most + 1) / len(values)
            axes.plot(
                100 * shares,
                color=color,
                marker=marker,
                markersize=5,
                label=f"{name}, {values.mean():.2f} on average",
            )
        axes.set_xlabel("labels of a patch")
        axes.set_ylabel("patches, %")
        axes.set_ylim(bottom=0)
        axes.locator_params(axis="x", integer=True)
        axes.legend()
    return sheet.picture


def cooccurrence(
    labels: np.ndarray, class_names: Sequence[str], *, synthetic: bool
) -> style.Picture:
    """Which labels come together: SVG.

    Row i, column j: of the patches with class i, how many have class j as
    well; the colour is their percentage.

    Args:
      labels: (N, classes) bool.
      class_names: Names of the columns.
      synthetic: As for `style.chart`.
    """
    present = labels.astype(np.float64)
    numbers = present.sum(axis=0)
    together = present.T @ present
    with np.errstate(invalid="ignore"):
        shares = 100 * together / numbers[:, None]
    np.fill_diagonal(shares, np.nan)
    size = 0.28 * len(class_names)
    with style.chart(size + 3.6, size + 1.7, synthetic=synthetic) as sheet:
        axes = sheet.figure.subplots()
        style.class_matrix(
            axes,
            shares,
            class_names,
            numbers,
            together,
            least=1,
            label="%",
        )
        axes.set_xlabel("have this label as well (on so many patches)")
        axes.set_ylabel("patches with this label (how many)")
    return sheet.picture


def shares(
    counts: Mapping[str, Mapping[str, int]], *, synthetic: bool
) -> style.Picture:
    """How each group is divided into the same parts: SVG.

    Args:
      counts: Group -> part -> number of patches; the same parts in all.
      synthetic: As for `style.chart`.
    """
    parts = list(next(iter(counts.values())))
    table = np.array([[group[p] for p in parts] for group in counts.values()])
    totals = table.sum(axis=1)
    with style.chart(8, 0.9 + 0.31 * len(counts), synthetic=synthetic) as sheet:
        axes = sheet.figure.subplots()
        heights = style.name_rows(
            axes,
            [f"{g} ({n:,})" for g, n in zip(counts, totals, strict=True)],
        )
        left = np.zeros(len(counts))
        for part, width, color in zip(
            parts, 100 * table.T / totals, _PARTS, strict=False
        ):
            drawn = axes.barh(
                heights,
                width,
                left=left,
                height=0.7,
                color=color,
                edgecolor="white",
                label=part,
            )
            dark = color in (style.BLUE, style.ORANGE, style.GREEN)
            axes.bar_label(
                drawn,
                [f"{size:.0f}" if size >= 4 else "" for size in width],
                label_type="center",
                fontsize=8,
                color="white" if dark else "black",
            )
            left += width
        axes.grid(visible=False)
        axes.set_xlim(0, 100)
        axes.set_xlabel("patches, %")
        sheet.figure.legend(loc="outside upper right", ncols=len(parts))
    return sheet.picture
