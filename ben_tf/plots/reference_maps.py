"""Charts of reference maps: the class of each pixel, beside what sensors saw.

In the colours of CORINE's own legend, `bigearthnet.CLC_COLORS`, as people know
them from other maps. Two codes are no class: pixels without one are dark grey,
which no class has, and those without data are transparent, on hatched ground.
"""

import dataclasses
import textwrap
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from matplotlib import colors
from matplotlib import patches

from ben_tf import bigearthnet
from ben_tf.plots import pictures
from ben_tf.plots import style

UNLABELLED_COLOR = "#595959"
_NO_DATA_HATCH = "////"
_PICTURES = ("True colour", "VV")
_SIDE = 1.75  # Inches that a picture takes.
_LEGEND_CHARACTERS = 38
# A row of the legend, and its heading's place, in inches.
_LINE_HEIGHT = 0.135
_TITLE_HEIGHT = 0.32


@dataclasses.dataclass(frozen=True)
class Patch:
    """What `beside_pictures` draws in a row.

    Attributes:
      title: Says which patch it is.
      grids: Raw native grids "s1" and "s2_10m", each (size, size, bands).
      reference_map: (120, 120) uint16, codes of CORINE Land Cover, level 3.
    """

    title: str
    grids: Mapping[str, np.ndarray]
    reference_map: np.ndarray


def shares(reference_map: np.ndarray) -> dict[int, float]:
    """Code -> share of the pixels that have it, the largest first.

    Args:
      reference_map: Codes of CORINE Land Cover, level 3, any shape; 999, no
        class, and 0, no data, count as well.

    Returns:
      Only codes that occur; their shares add up to 1.

    Raises:
      ValueError: There is a code that CORINE Land Cover does not have.
    """
    codes, numbers = np.unique(reference_map, return_counts=True)
    unknown = sorted(set(codes.tolist()) - bigearthnet.CLC_CODES)
    if unknown:
        raise ValueError(
            "`reference_map` holds what is no code of CORINE Land Cover, level "
            "3. Expected those of ben_tf.bigearthnet.CLC_CODES. Received: "
            f"{unknown}"
        )
    # Equal shares in the order of CORINE.
    order = np.argsort(-numbers, kind="stable")
    return {
        int(codes[place]): float(numbers[place] / reference_map.size)
        for place in order
    }


def code_name(code: int) -> str:
    """What a code stands for: "Pastures", "no class", "no data"."""
    no_class = {
        bigearthnet.CLC_UNLABELLED: "no class",
        bigearthnet.CLC_NO_DATA: "no data",
    }
    return no_class.get(code) or bigearthnet.CLC_NAMES[code]


def render(reference_map: np.ndarray) -> np.ndarray:
    """Draws a map in the colours of CORINE's legend.

    Args:
      reference_map: (height, width) codes of CORINE Land Cover, level 3.

    Returns:
      (height, width, 4) uint8, red, green, blue and opacity: 0 where there is
      no data, 255 elsewhere.

    Raises:
      ValueError: There is a code that CORINE Land Cover does not have.
    """
    drawn = np.zeros((*reference_map.shape, 4), np.uint8)
    for code in shares(reference_map):
        if code != bigearthnet.CLC_NO_DATA:
            rgba = colors.to_rgba_array(_color(code))[0]
            drawn[reference_map == code] = np.round(255 * rgba)
    return drawn


def beside_pictures(rows: Sequence[Patch], *, synthetic: bool) -> style.Picture:
    """True colour, VV and the map of each patch, with its classes: JPEG.

    The legend beside a map names the classes that are in it, with their shares
    of the pixels, the largest first.

    Args:
      rows: One patch each.
      synthetic: As for `style.chart`.

    Raises:
      ValueError: A map has a code that CORINE Land Cover does not have.
    """
    legends = [_legend(row.reference_map) for row in rows]
    # A row is as high as its legend needs.
    heights = [
        max(
            _SIDE + _TITLE_HEIGHT,
            _TITLE_HEIGHT
            + _LINE_HEIGHT
            * sum(1.4 + text.count("\n") for text in legend.values()),
        )
        for legend in legends
    ]
    with style.chart(
        3 * (_SIDE + 0.12) + 2.6,
        sum(heights),
        synthetic=synthetic,
        file_format="jpeg",
        dots_per_inch=110,
    ) as sheet:
        panels = sheet.figure.subplots(
            len(rows),
            4,
            squeeze=False,
            height_ratios=heights,
            width_ratios=[_SIDE, _SIDE, _SIDE, 2.6],
        )
        for line, row, legend in zip(panels, rows, legends, strict=True):
            for axes, picture in zip(line, _PICTURES, strict=False):
                axes.imshow(
                    pictures.render(dict(row.grids), picture),
                    cmap="gray",
                    vmin=0,
                    vmax=255,
                    interpolation="nearest",
                )
                axes.set_title(picture, fontsize=8, fontweight="normal")
            line[0].set_title(
                f"{row.title}\n{_PICTURES[0]}", fontsize=8, fontweight="normal"
            )
            # Below the image, which is transparent where there is no data.
            ground = _square(bigearthnet.CLC_NO_DATA)
            ground.set_zorder(-1)
            line[2].add_patch(ground)
            line[2].imshow(render(row.reference_map), interpolation="nearest")
            line[2].set_title("Reference map", fontsize=8, fontweight="normal")
            for axes in line:
                axes.set_anchor("N")
                axes.set(xticks=[], yticks=[])
                axes.grid(visible=False)
            line[3].set_axis_off()
            line[3].legend(
                handles=[_square(code) for code in legend],
                labels=list(legend.values()),
                loc="upper left",
                bbox_to_anchor=(-0.02, 1.0),
                borderaxespad=0,
                fontsize=7.5,
                handlelength=1.4,
                handleheight=1.1,
            )
    return sheet.picture


def _color(code: int) -> str:
    if code == bigearthnet.CLC_UNLABELLED:
        return UNLABELLED_COLOR
    return bigearthnet.CLC_COLORS[code]


def _legend(reference_map: np.ndarray) -> dict[int, str]:
    """Code -> its name and its share of the pixels."""
    return {
        code: textwrap.fill(
            f"{code_name(code)}, {100 * share:.1f} %", _LEGEND_CHARACTERS
        )
        for code, share in shares(reference_map).items()
    }


def _square(code: int) -> patches.Rectangle:
    """A field of the legend; that of no data lies below every map, too."""
    size = bigearthnet.REFERENCE_MAP.size_px
    is_empty = code == bigearthnet.CLC_NO_DATA
    return patches.Rectangle(
        (-0.5, -0.5),
        size,
        size,
        facecolor="white" if is_empty else _color(code),
        edgecolor=style.EDGE_COLOR,
        linewidth=0.5,
        hatch=_NO_DATA_HATCH if is_empty else None,
    )
