"""Charts that set several runs, settings or stages side by side."""

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from ben_tf.plots import style


def scores(
    values: Mapping[str, Mapping[str, float | None]],
    *,
    label: str,
    synthetic: bool,
) -> style.Picture:
    """A line for each class or metric, a mark for each variant: SVG.

    Args:
      values: Variant -> class or metric -> value in [0, 1], None if undefined;
        at most four variants, all with the same classes or metrics.
      label: What is measured.
      synthetic: As for `style.chart`.
    """
    names = list(next(iter(values.values())))
    # None, undefined, becomes NaN.
    table = np.array(
        [[row[name] for name in names] for row in values.values()], float
    )
    with style.chart(8, 0.9 + 0.27 * len(names), synthetic=synthetic) as sheet:
        axes = sheet.figure.subplots()
        heights = style.name_rows(axes, names)
        defined = ~np.isnan(table).all(axis=0)
        axes.hlines(
            heights[defined],
            np.nanmin(table[:, defined], axis=0),
            np.nanmax(table[:, defined], axis=0),
            color="#d1d5db",
            linewidth=3,
            zorder=1,
        )
        for name, row, (color, marker) in zip(
            values, table, style.VARIANTS, strict=False
        ):
            axes.plot(
                row,
                heights,
                linestyle="none",
                color=color,
                marker=marker,
                markersize=7,
                markeredgecolor="white",
                markeredgewidth=0.7,
                label=name,
                clip_on=False,
            )
        axes.grid(axis="y", visible=True)
        axes.set_xlim(0, 1)
        axes.set_xlabel(label)
        sheet.figure.legend(loc="outside upper right", ncols=len(values))
    return sheet.picture


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
    synthetic: bool,
) -> style.Picture:
    """A curve for each variant: SVG.

    Args:
      lines: Variant -> (x, y), y in [0, 1]; at most four.
      x_label: With unit.
      y_label: With unit.
      synthetic: As for `style.chart`.
    """
    with style.chart(5.6, 3.2, synthetic=synthetic) as sheet:
        axes = sheet.figure.subplots()
        for (name, (x, y)), (color, marker) in zip(
            lines.items(), style.VARIANTS, strict=False
        ):
            axes.plot(
                x, y, color=color, marker=marker, markersize=5, label=name
            )
        axes.set_ylim(0, 1.02)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        sheet.figure.legend(loc="outside right upper")
    return sheet.picture


def bars(
    values: Mapping[str, float], *, label: str, synthetic: bool
) -> style.Picture:
    """A bar with its number for each stage or setting: SVG.

    Args:
      values: Name -> value from 0 up.
      label: What is measured, with unit.
      synthetic: As for `style.chart`.
    """
    with style.chart(7.6, 0.7 + 0.34 * len(values), synthetic=synthetic) as (
        sheet
    ):
        axes = sheet.figure.subplots()
        drawn = axes.barh(
            style.name_rows(axes, list(values)),
            list(values.values()),
            height=0.65,
            color=style.PALE_BLUE,
        )
        axes.bar_label(drawn, fmt="{:,.0f}", padding=4, fontsize=9)
        axes.set_xlim(0, 1.14 * max(values.values()))
        axes.set_xlabel(label)
    return sheet.picture
