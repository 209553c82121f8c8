"""What charts share: colours, fonts, file formats, the mark on synthetic data.

Every chart can be read without its colours: lines and bars carry labels, and
the palettes (Okabe-Ito, viridis, a single hue, the classes' own) survive
colour blindness and print.
"""

import base64
import contextlib
import io
import math
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import axes as axes_lib
from matplotlib import figure
from matplotlib import layout_engine
from PIL import Image

from ben_tf import bigearthnet

# Okabe and Ito, "Color Universal Design", 2008.
BLUE = "#0072b2"
ORANGE = "#d55e00"
GREEN = "#009e73"
PURPLE = "#cc79a7"
GREY = "#6b7280"
PALE_BLUE = "#9ecae1"
# One for each variant of a comparison, with a marker that tells it as well.
VARIANTS = ((BLUE, "o"), (ORANGE, "D"), (GREEN, "s"), (PURPLE, "^"))

DROPPED_COLOR = "#ffffff"
# The lightest colours end somewhere on white paper, too.
EDGE_COLOR = "#6b7280"
_POINTS_PER_INCH = 72

SYNTHETIC_MARK = "SYNTHETIC DATA: says nothing about BigEarthNet"
_MARK_HEIGHT = 0.24  # Inches.
# What a telephone shows side by side without shrinking its text: 346 pixels.
NARROW_WIDTH = 3.6  # Inches.

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


class Picture(bytes):
    """The bytes of an SVG, PNG or JPEG file; a notebook shows it."""

    @property
    def kind(self) -> str:
        """PNG, JPEG or SVG."""
        if self.startswith(b"\x89PNG"):
            return "PNG"
        return "JPEG" if self.startswith(b"\xff\xd8") else "SVG"

    @property
    def data_uri(self) -> str:
        """The picture as an address that holds all of it, for HTML."""
        kind = {"SVG": "svg+xml"}.get(self.kind, self.kind.lower())
        content = base64.b64encode(self).decode("ascii")
        return f"data:image/{kind};base64,{content}"

    def _repr_svg_(self) -> str | None:
        if self.kind != "SVG":
            return None
        # No wider than its cell, which cuts off what does not fit.
        fitted = '<svg style="max-width: 100%; height: auto" '
        return self.decode("utf-8").replace("<svg ", fitted, 1)

    def _repr_png_(self) -> bytes | None:
        return bytes(self) if self.kind == "PNG" else None

    def _repr_jpeg_(self) -> bytes | None:
        return bytes(self) if self.kind == "JPEG" else None

    def __repr__(self) -> str:
        return f"<{self.kind} picture, {math.ceil(len(self) / 1000)} kB>"


class Sheet:
    """What `chart` yields: a figure, and after the block its picture.

    Attributes:
      figure: Matplotlib's figure, with constrained layout.
      picture: The file, once the block has ended.
    """

    def __init__(self, drawn: figure.Figure, mark_share: float):
        self.figure = drawn
        self.picture = Picture()
        self._mark_share = mark_share

    def panels(
        self, num: int, num_columns: int, **options: Any
    ) -> list[axes_lib.Axes]:
        """Places `num` axes in rows of `num_columns`.

        Args:
          num: How many.
          num_columns: How many stand side by side.
          **options: As for `Figure.subplots`.
        """
        panels = self.figure.subplots(
            math.ceil(num / num_columns), num_columns, squeeze=False, **options
        ).ravel()
        for left_over in panels[num:]:
            left_over.set_visible(False)
        return panels[:num].tolist()

    def label_all_panels(self, text: str, *, size: float) -> None:
        """Says what all horizontal axes measure, above the mark.

        Room is kept for it: matplotlib keeps some for a `supxlabel` only where
        it may choose the place itself, which would be that of the mark.
        """
        height = 1.6 * size / _POINTS_PER_INCH / self.figure.get_figheight()
        self.figure.text(
            0.5,
            self._mark_share + height / 2,
            text,
            ha="center",
            va="center",
            fontsize=size,
        )
        _keep_free(self.figure, self._mark_share + height)


@contextlib.contextmanager
def chart(
    width: float,
    height: float,
    *,
    synthetic: bool,
    file_format: str = "svg",
    dots_per_inch: int = 160,
) -> Iterator[Sheet]:
    """Opens a sheet to draw on.

    Args:
      width: Inches.
      height: Inches, without the mark.
      synthetic: Whether synthetic patches took part; puts `SYNTHETIC_MARK`
        into the picture.
      file_format: "svg"; "png" for very many marks, "jpeg" for pixels of
        patches, whose speckle makes a PNG large.
      dots_per_inch: Of a PNG or JPEG.
    """
    with mpl.rc_context(mpl.RcParams(_STYLE)):
        full_height = height + _MARK_HEIGHT * synthetic
        share = _MARK_HEIGHT * synthetic / full_height
        drawn = figure.Figure(
            figsize=(width, full_height),
            layout=layout_engine.ConstrainedLayoutEngine(),
        )
        _keep_free(drawn, share)
        if synthetic:
            drawn.text(
                0.5,
                share / 2,
                SYNTHETIC_MARK,
                ha="center",
                va="center",
                fontsize=8.5,
                fontweight="bold",
                color="#9a3412",
            )
        sheet = Sheet(drawn, share)
        yield sheet
        _settle(drawn)
        buffer = io.BytesIO()
        options: dict[str, dict[str, Any]] = {
            "svg": {"metadata": {"Date": None}},
            "jpeg": {"pil_kwargs": {"quality": 75}},
        }
        drawn.savefig(
            buffer,
            format=file_format,
            dpi=dots_per_inch,
            **options.get(file_format, {}),
        )
        file = buffer.getvalue()
        sheet.picture = Picture(
            _with_palette(file) if file_format == "png" else file
        )


def _keep_free(drawn: figure.Figure, share: float) -> None:
    """Lays axes out above the lowest `share` of a figure."""
    engine = drawn.get_layout_engine()
    if isinstance(engine, layout_engine.ConstrainedLayoutEngine):
        engine.set(rect=(0, share, 1, 1 - share))


def _settle(drawn: figure.Figure) -> None:
    """Lays a figure out, once and to a ten-thousandth of its size.

    The last bits of what the layout's solver finds differ from time to time,
    and matplotlib makes names in an SVG of them.
    """
    engine = drawn.get_layout_engine()
    if engine is not None:
        engine.execute(drawn)
        drawn.set_layout_engine("none")
    for axes in drawn.axes:
        axes.set_position(np.round(axes.get_position(original=True).bounds, 4))


def _with_palette(png: bytes) -> bytes:
    """The same picture in 256 colours, a third of the size."""
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(256).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def class_color(name: str) -> str:
    """The colour of a class; one of the 43 has that of its 19-class label.

    `DROPPED_COLOR` for what the 19-class nomenclature drops, `GREY` for what is
    no class of either (names may come from a file).
    """
    colors = bigearthnet.CLASS_COLORS[19]
    if name in colors:
        return colors[name]
    parent = bigearthnet.CLASS_43_TO_19.get(name, name)
    return DROPPED_COLOR if parent is None else colors.get(parent, GREY)


def shorten(name: str, width: int = 46) -> str:
    """A name of at most `width` characters, cut with an ellipsis, as text."""
    short = name[: width - 1].rstrip(" ,") + "…"
    return _as_text(name if len(name) <= width else short)


def shorten_middle(name: str, width: int) -> str:
    """As `shorten`, for names that differ at the end, such as those of runs."""
    short = f"{name[: width // 2 - 1]}…{name[-(width - width // 2) :]}"
    return _as_text(name if len(name) <= width else short)


def _as_text(name: str) -> str:
    """A name that matplotlib does not take for a formula between dollars."""
    return name.replace("$", r"\$")


def name_rows(
    axes: axes_lib.Axes, names: Sequence[str], *, narrow: bool = False
) -> np.ndarray:
    """Makes a row for each name, the first on top; returns their heights.

    Args:
      axes: Where to draw.
      names: Of the rows.
      narrow: Writes the names above their rows instead of to the left, where
        they would leave no room.
    """
    heights = np.arange(len(names))[::-1]
    names = ["\n".join(map(shorten, name.split("\n"))) for name in names]
    if narrow:
        axes.set_yticks([])
        for height, name in zip(heights, names, strict=True):
            axes.annotate(
                name,
                # Just above a bar that takes less than half of its row.
                (0, height + 0.26),
                xycoords=axes.get_yaxis_transform(),
                va="bottom",
                fontsize=9,
                color="#374151",
            )
    else:
        axes.set_yticks(heights, names, fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_ylim(-0.6, len(names) - (0.1 if narrow else 0.4))
    return heights


def short_number(number: int) -> str:
    """At most four characters up to 999 million: 999, 1.2k, 12k, 126k."""
    for size, unit in ((10**6, "M"), (10**3, "k")):
        # What would round to the next unit is one of it.
        if number >= 0.9995 * size:
            scaled = number / size
            return f"{scaled:.{int(scaled < 9.95)}f}{unit}"
    return str(number)


def class_matrix(
    axes: axes_lib.Axes,
    values: np.ndarray,
    class_names: Sequence[str],
    numbers: np.ndarray,
    counts: np.ndarray,
    *,
    least: float,
    label: str,
) -> None:
    """Draws a square table of classes in shades of blue, with a scale.

    Args:
      axes: Where to draw.
      values: (classes, classes) from 0 up; NaN, undefined, is grey.
      class_names: Names of the rows and of the columns.
      numbers: (classes,) a number of patches to add to each row's name.
      counts: (classes, classes) on how many patches a value rests, written
        into each cell that is neither empty nor undefined.
      least: The darkest blue is the largest value, or this if it is larger.
      label: What the values are.
    """
    axes.set_facecolor("#d1d5db")
    # An image with a pixel for each cell stays small, also for 43 classes.
    drawn = axes.imshow(
        values,
        cmap="Blues",
        vmin=0,
        vmax=max(float(np.nanmax(values, initial=0)), least),
        interpolation="none",
    )
    borders = np.arange(-0.5, len(class_names))
    axes.set_xticks(borders, minor=True)
    axes.set_yticks(borders, minor=True)
    axes.grid(visible=False)
    axes.grid(which="minor", color="#e5e7eb", linewidth=0.5)
    centres = np.arange(len(class_names))
    names = [shorten(name, 30) for name in class_names]
    axes.set_xticks(centres, names, rotation=45, ha="right", fontsize=9)
    names = [f"{a} ({int(n):,})" for a, n in zip(names, numbers, strict=True)]
    axes.set_yticks(centres, names, fontsize=9)
    axes.tick_params(which="both", length=0)
    axes.figure.colorbar(drawn, ax=axes, shrink=0.5, label=label)
    darkest = drawn.get_clim()[1]
    for row, column in zip(
        *np.nonzero((counts > 0) & np.isfinite(values)), strict=True
    ):
        axes.text(
            column,
            row + 0.02,
            short_number(int(counts[row, column])),
            ha="center",
            va="center",
            fontsize=6.5,
            color="white" if values[row, column] > 0.6 * darkest else "black",
        )
