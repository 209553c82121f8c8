"""Charts of what patches look like: bands, histograms, rows of pictures."""

import contextlib
import math
import textwrap
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from matplotlib import axes as axes_lib

from ben_tf import bigearthnet
from ben_tf.plots import pictures as pictures_lib
from ben_tf.plots import style

_NUM_COLUMNS = 7


def bands(grids: Mapping[str, np.ndarray], *, synthetic: bool) -> style.Picture:
    """Every band of a patch on its own grid, in grey: JPEG.

    Args:
      grids: Raw native grids, keys of `bigearthnet.GRIDS`, each (size, size,
        bands).
      synthetic: As for `style.chart`.
    """
    images = pictures_lib.bands_of(grids)
    with _small_panels(
        len(images), height=1.75, synthetic=synthetic, file_format="jpeg"
    ) as (sheet, panels):
        for axes, (band, image) in zip(panels, images.items(), strict=True):
            low, high = np.nanpercentile(image, (2, 98))
            axes.imshow(
                image, cmap="gray", vmin=low, vmax=high, interpolation="nearest"
            )
            grid = bigearthnet.grid_of_band(band)
            unit = " dB" if grid.sensor == "S1" else ""
            axes.set_title(f"{band}, {grid.pixel_size_m} m", fontsize=9)
            axes.set_xlabel(f"{low:.0f} to {high:.0f}{unit}", fontsize=8)
            axes.set(xticks=[], yticks=[])
            axes.grid(visible=False)
    return sheet.picture


def histograms(
    values: Mapping[str, np.ndarray], *, synthetic: bool
) -> style.Picture:
    """Histograms of bands with the archive's mean and deviation: SVG.

    Args:
      values: Band -> raw values in its unit, any shape.
      synthetic: As for `style.chart`.
    """
    with _small_panels(
        len(values), height=1.55, synthetic=synthetic, file_format="svg"
    ) as (sheet, panels):
        for axes, (band, raw) in zip(panels, values.items(), strict=True):
            mean = bigearthnet.PAPER_STATISTICS.mean[band]
            std = bigearthnet.PAPER_STATISTICS.std[band]
            low, high = mean - 4 * std, mean + 4 * std
            if bigearthnet.grid_of_band(band).sensor == "S2":
                low = 0
            numbers, edges = np.histogram(raw, bins=40, range=(low, high))
            axes.stairs(numbers, edges, fill=True, color=style.PALE_BLUE)
            axes.axvspan(mean - std, mean + std, color="#fed7aa", alpha=0.45)
            axes.axvline(mean, color=style.ORANGE, linewidth=1.2)
            axes.set_title(band, fontsize=9)
            axes.set_xlim(low, high)
            axes.set_yticks([])
            axes.tick_params(labelsize=7)
            axes.locator_params(axis="x", nbins=3)
            axes.spines["left"].set_visible(False)
            axes.grid(axis="y", visible=False)
        sheet.label_all_panels(
            "VV, VH: backscatter in dB; others: surface reflectance x 10,000. "
            "Line and band: mean and standard deviation of the whole archive",
            size=8.5,
        )
    return sheet.picture


def pictures(
    rows: Sequence[Sequence[tuple[str, np.ndarray]]],
    *,
    synthetic: bool,
    side: float = 1.5,
) -> style.Picture:
    """Rows of pictures with what is said below each: JPEG.

    Args:
      rows: Each a list of (caption, pixels), pixels as `pictures.render`
        returns them; rows may differ in length.
      synthetic: As for `style.chart`.
      side: Inches that a picture takes.
    """
    num_columns = max(map(len, rows))
    characters = round(15.5 * side)
    captions = [
        [
            "\n".join(
                textwrap.fill(line, characters) for line in caption.split("\n")
            )
            for caption, _ in row
        ]
        for row in rows
    ]
    # A row is as high as its longest caption needs.
    heights = [
        side + 0.15 + 0.125 * max(text.count("\n") + 1 for text in row)
        for row in captions
    ]
    with style.chart(
        (side + 0.12) * num_columns,
        sum(heights),
        synthetic=synthetic,
        file_format="jpeg",
        dots_per_inch=90,
    ) as sheet:
        panels = sheet.figure.subplots(
            len(rows), num_columns, squeeze=False, height_ratios=heights
        )
        for axes in panels.ravel():
            axes.set_axis_off()
        for line, row, texts in zip(panels, rows, captions, strict=True):
            for axes, (_, pixels), text in zip(line, row, texts, strict=False):
                axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
                axes.set_anchor("N")
                axes.text(
                    0,
                    -0.03,
                    text,
                    transform=axes.transAxes,
                    va="top",
                    fontsize=7,
                )
    return sheet.picture


@contextlib.contextmanager
def _small_panels(
    num: int, *, height: float, synthetic: bool, file_format: str
) -> Iterator[tuple[style.Sheet, list[axes_lib.Axes]]]:
    """Opens a chart of `num` panels, `height` inches each, seven in a row."""
    with style.chart(
        9.8,
        height * math.ceil(num / _NUM_COLUMNS) + 0.3,
        synthetic=synthetic,
        file_format=file_format,
        dots_per_inch=90,
    ) as sheet:
        yield sheet, sheet.panels(num, _NUM_COLUMNS)
