"""Maps of where patches lie."""

import dataclasses
import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import collections
from matplotlib import patheffects

from ben_tf.plots import outlines
from ben_tf.plots import style

if TYPE_CHECKING:
    from matplotlib import axes as axes_lib


_MIN_SPAN = 1.0  # Degrees that a map shows, however close its patches are.
_POINTS_PER_INCH = 72
_OUTLINE_COLOR = "#9ca3af"


@dataclasses.dataclass(frozen=True)
class BaseMap:
    """A map without patches, and where patches belong on it.

    Attributes:
      picture: The map, an SVG.
      width: Of the picture, in points.
      height: Of the picture, in points.
      x: (N,) points from the left edge of the picture.
      y: (N,) points from its upper edge.
    """

    picture: style.Picture
    width: float
    height: float
    x: np.ndarray
    y: np.ndarray


def base_map(
    longitudes: np.ndarray, latitudes: np.ndarray, *, synthetic: bool
) -> BaseMap:
    """A map for patches that a page draws on top, with a link to each.

    Args:
      longitudes: (N,) degrees east.
      latitudes: (N,) degrees north.
      synthetic: As for `style.chart`.
    """
    # Small, so that its text can be read where a telephone shrinks the page's
    # width to it.
    with style.chart(4.6, 5.2, synthetic=synthetic) as sheet:
        axes = sheet.figure.subplots()
        _geographic(axes, longitudes, latitudes)
    width, height = _POINTS_PER_INCH * sheet.figure.get_size_inches()
    x, y = _on_picture(axes, longitudes, latitudes)
    return BaseMap(sheet.picture, width, height, width * x, height * y)


def score_map(
    longitudes: np.ndarray,
    latitudes: np.ndarray,
    scores: np.ndarray,
    *,
    label: str,
    synthetic: bool,
    narrow: bool = False,
) -> style.Picture:
    """Patches at their location, coloured by score: PNG.

    Args:
      longitudes: (N,) degrees east.
      latitudes: (N,) degrees north.
      scores: (N,) in [0, 1].
      label: What the colour means.
      synthetic: As for `style.chart`.
      narrow: For a telephone: the scale below the map.
    """
    # Patches cover each other at this scale: low scores are drawn last.
    order = np.argsort(-scores, kind="stable")
    width, height = (style.NARROW_WIDTH, 5.2) if narrow else (8, 5.6)
    with style.chart(
        width, height, synthetic=synthetic, file_format="png"
    ) as sheet:
        axes = sheet.figure.subplots()
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
        _geographic(axes, longitudes, latitudes)
        sheet.figure.colorbar(
            drawn,
            ax=axes,
            shrink=0.8,
            label=label,
            location="bottom" if narrow else "right",
        )
    return sheet.picture


def group_maps(
    longitudes: np.ndarray,
    latitudes: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    *,
    titles: Mapping[str, str],
    captions: Mapping[str, tuple[float, float]],
    synthetic: bool,
) -> style.Picture:
    """One map for each group, two in a row, other patches in grey: PNG.

    Groups that lie on top of each other, such as the splits, cannot be told
    apart on one map.

    Args:
      longitudes: (N,) degrees east.
      latitudes: (N,) degrees north.
      groups: (N,) str, the group of each patch.
      titles: Group -> what is said above its map; a map for each.
      captions: Text -> (longitude, latitude): names of places, written to the
        right of the point on the first map.
      synthetic: As for `style.chart`.
    """
    num_rows = math.ceil(len(titles) / 2)
    with style.chart(
        7.6,
        4.1 * num_rows,
        synthetic=synthetic,
        file_format="png",
        dots_per_inch=110,
    ) as sheet:
        panels = sheet.panels(len(titles), 2, sharex=True, sharey=True)
        for axes, (group, title) in zip(panels, titles.items(), strict=True):
            own = np.asarray(groups) == group
            for members, color in ((~own, "#d1d5db"), (own, style.BLUE)):
                axes.scatter(
                    longitudes[members],
                    latitudes[members],
                    c=color,
                    s=float(np.clip(8_000 / len(own), 0.25, 12)),
                    linewidth=0,
                )
            _geographic(axes, longitudes, latitudes)
            axes.set_title(title, fontsize=9)
            axes.label_outer()
        for text, (longitude, latitude) in _apart(captions).items():
            panels[0].text(
                longitude,
                latitude,
                text,
                va="center",
                fontsize=8,
                # Readable on top of patches, too.
                path_effects=[
                    patheffects.withStroke(linewidth=2, foreground="white")
                ],
            )
    return sheet.picture


def _on_picture(
    axes: "axes_lib.Axes", longitudes: np.ndarray, latitudes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shares of width and height, from the upper left, once axes are drawn."""
    to_figure = axes.transData + axes.figure.transFigure.inverted()
    x, y = to_figure.transform(np.stack([longitudes, latitudes], axis=1)).T
    return x, 1 - y


def _apart(
    captions: Mapping[str, tuple[float, float]], gap: float = 1.6
) -> dict[str, tuple[float, float]]:
    """Moves captions south until none covers the one to the north of it."""
    placed: dict[str, tuple[float, float]] = {}
    for text, (longitude, latitude) in sorted(
        captions.items(), key=lambda item: -item[1][1]
    ):
        for other_longitude, other_latitude in placed.values():
            if abs(other_longitude - longitude) < 12:
                latitude = min(latitude, other_latitude - gap)
        placed[text] = (longitude, latitude)
    return placed


def _geographic(
    axes: "axes_lib.Axes", longitudes: np.ndarray, latitudes: np.ndarray
) -> None:
    """Makes a map of axes: north up, to scale, degrees, coasts and borders."""
    for values, set_limits in (
        (longitudes, axes.set_xlim),
        (latitudes, axes.set_ylim),
    ):
        low, high = float(np.min(values)), float(np.max(values))
        margin = max(0.05 * (high - low), (_MIN_SPAN - (high - low)) / 2)
        set_limits(low - margin, high + margin)
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    axes.add_collection(
        collections.LineCollection(
            outlines.lines_within(west, south, east, north),
            colors=_OUTLINE_COLOR,
            linewidths=0.6,
            zorder=0.9,  # Above the grid, below the patches.
        ),
        autolim=False,
    )
    # A degree of longitude is shorter than one of latitude.
    middle = math.radians(float(np.mean(latitudes)))
    axes.set_aspect(1 / math.cos(middle))
    axes.set_xlabel("longitude, degrees east")
    axes.set_ylabel("latitude, degrees north")
