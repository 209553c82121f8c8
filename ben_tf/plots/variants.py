"""Charts that set several runs, settings or stages side by side."""

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from ben_tf.plots import style

Ends = tuple[float, float]  # Of an interval.

# That a chart with a colour, a marker or a line style for each can show.
MOST_VARIANTS = 16
_MARKERS = (*(marker for _, marker in style.VARIANTS), "v", "P", "X", "p")
_LINES = ("-", "--", ":", "-.")


def scores(
    values: Mapping[str, Mapping[str, float | None]],
    *,
    label: str,
    synthetic: bool,
) -> style.Picture:
    """A line for each class or metric, a mark for each variant: SVG.

    Args:
      values: Variant -> class or metric -> value in [0, 1], None if undefined;
        at most `MOST_VARIANTS`, all with the same classes or metrics.
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
        for index, (name, row) in enumerate(zip(values, table, strict=True)):
            color, marker, _ = _look(index)
            axes.plot(
                row,
                heights,
                linestyle="none",
                color=color,
                marker=marker,
                markersize=7,
                markeredgecolor="white",
                markeredgewidth=0.7,
                label=_legend_text(name),
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
      lines: Variant -> (x, y), y in [0, 1]; at most `MOST_VARIANTS`.
      x_label: With unit.
      y_label: With unit.
      synthetic: As for `style.chart`.
    """
    with style.chart(5.6, 3.2, synthetic=synthetic) as sheet:
        axes = sheet.figure.subplots()
        for index, (name, (x, y)) in enumerate(lines.items()):
            color, marker, line = _look(index)
            axes.plot(
                x,
                y,
                color=color,
                linestyle=line,
                marker=marker,
                # A hundred epochs would make a thick line of them.
                markevery=max(1, len(x) // 12),
                markersize=5,
                label=_legend_text(name),
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


def interval_rows(
    values: Mapping[str, Mapping[str, tuple[float | None, Ends | None]]],
    *,
    label: str,
    synthetic: bool,
) -> style.Picture:
    """For each class a mark and an interval for each variant: SVG.

    Args:
      values: Variant -> class -> (value in [0, 1], 95 % interval), None if
        undefined; at most `MOST_VARIANTS`, all with the same classes.
      label: What is measured.
      synthetic: As for `style.chart`.
    """
    names = list(next(iter(values.values())))
    # Within the row of a class, from the upper to the lower end.
    reach = 0.3 * (len(values) > 1)
    places = np.linspace(reach, -reach, len(values))
    height = 0.9 + (0.14 + 0.13 * len(values)) * len(names)
    with style.chart(8, height, synthetic=synthetic) as sheet:
        axes = sheet.figure.subplots()
        heights = style.name_rows(axes, names)
        for border in heights[:-1]:
            axes.axhline(border - 0.5, color="#d1d5db", linewidth=0.8)
        for index, ((variant, row), place) in enumerate(
            zip(values.items(), places, strict=True)
        ):
            color, marker, _ = _look(index)
            rows = heights + place
            for name, at in zip(names, rows, strict=True):
                if (ends := row[name][1]) is not None:
                    axes.plot(ends, [at] * 2, color=color, linewidth=1.4)
            axes.plot(
                np.array([row[name][0] for name in names], float),
                rows,
                linestyle="none",
                color=color,
                marker=marker,
                markersize=5.5,
                markeredgecolor="white",
                markeredgewidth=0.6,
                label=_legend_text(variant),
                clip_on=False,
            )
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"{label}; lines: 95 % intervals")
        sheet.figure.legend(
            loc="outside upper right", ncols=min(len(values), 3)
        )
    return sheet.picture


def interval_bars(
    values: Mapping[str, tuple[float | None, Ends | None]],
    *,
    title: str,
    label: str,
    limit: float,
    synthetic: bool,
) -> style.Picture:
    """A bar with interval and number for each variant, on a given scale: SVG.

    Pictures of the same variants and limit have bars of the same length for the
    same value.

    Args:
      values: Variant -> (value from 0 to `limit`, 95 % interval), None if
        undefined.
      title: What is measured.
      label: What the scale means.
      limit: Where the scale ends.
      synthetic: As for `style.chart`.
    """
    with style.chart(4.4, 0.85 + 0.3 * len(values), synthetic=synthetic) as (
        sheet
    ):
        axes = sheet.figure.subplots()
        heights = style.name_rows(axes, list(values))
        names = [style.shorten_middle(name, 22) for name in values]
        axes.set_yticks(heights, names, fontsize=9)
        axes.barh(
            heights,
            # None, undefined, becomes NaN.
            np.array([value for value, _ in values.values()], float),
            height=0.62,
            color=style.PALE_BLUE,
            edgecolor=style.EDGE_COLOR,
            linewidth=0.6,
        )
        for at, (value, ends) in zip(heights, values.values(), strict=True):
            if ends is not None:
                axes.plot(
                    ends,
                    [at] * 2,
                    color="black",
                    linewidth=1.4,
                    marker="|",
                    markersize=7,
                )
            axes.text(
                1.03,
                at,
                "undefined" if value is None else f"{value:.4f}",
                transform=axes.get_yaxis_transform(),
                va="center",
                fontsize=9,
            )
        axes.set_xlim(0, limit)
        axes.set_title(title)
        axes.set_xlabel(label, fontsize=9)
    return sheet.picture


def _legend_text(name: str) -> str:
    """A name that matplotlib does not leave out, as it does "_name"."""
    short = style.shorten_middle(name, 40)
    return f" {short}" if short.startswith("_") else short


def _look(index: int) -> tuple[str, str, str]:
    """Colour, marker and line style of a variant.

    The first four are those of `style.VARIANTS`. Further ones have the same
    colours, with other markers and lines.
    """
    color, _ = style.VARIANTS[index % len(style.VARIANTS)]
    turn = index // len(style.VARIANTS)
    return (
        color,
        _MARKERS[(index + index // len(_MARKERS)) % len(_MARKERS)],
        _LINES[turn % len(_LINES)],
    )
