"""Charts of where patches lie."""

import math
from collections.abc import Mapping

import numpy as np

from ben_tf.plots import style


def score_map(
    longitudes, latitudes, scores, *, label: str, synthetic: bool
) -> style.Picture:
    """Patches at their place, coloured by score: PNG.

    Args:
      longitudes: (N,) degrees east.
      latitudes: (N,) degrees north.
      scores: (N,) in [0, 1].
      label: What the colour means.
      synthetic: Whether to mark the chart as one of synthetic data.
    """
    # On top of each other at this scale: the bad ones must be seen.
    order = np.argsort(-scores, kind="stable")
    with style.chart(8, 5.6, synthetic=synthetic, file_format="png") as sheet:
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
        _geographic(axes, latitudes)
        sheet.figure.colorbar(drawn, ax=axes, shrink=0.8, label=label)
    return sheet.picture


def group_maps(
    longitudes,
    latitudes,
    groups,
    *,
    titles: Mapping[str, str],
    captions: Mapping[str, tuple[float, float]],
    synthetic: bool,
) -> style.Picture:
    """One small map a group, all patches in grey under its own: PNG.

    Groups that lie on top of each other, such as the splits, cannot be told
    apart on one map.

    Args:
      longitudes: (N,) degrees east.
      latitudes: (N,) degrees north.
      groups: (N,) str, the group of each patch.
      titles: Group -> what is said above its map; a map for each.
      captions: Text -> (longitude, latitude) of what is named on the maps.
      synthetic: Whether to mark the chart as one of synthetic data.
    """
    num_columns = 2
    num_rows = math.ceil(len(titles) / num_columns)
    with style.chart(
        8.4,
        3.4 * num_rows,
        synthetic=synthetic,
        file_format="png",
        dots_per_inch=100,
    ) as sheet:
        panels = sheet.figure.subplots(
            num_rows, num_columns, sharex=True, sharey=True, squeeze=False
        )
        for axes, (group, title) in zip(
            panels.ravel(), titles.items(), strict=False
        ):
            own = np.asarray(groups) == group
            for members, color in ((~own, "#d1d5db"), (own, style.BLUE)):
                axes.scatter(
                    longitudes[members],
                    latitudes[members],
                    c=color,
                    s=float(np.clip(8_000 / len(own), 0.25, 12)),
                    linewidth=0,
                )
            for text, (longitude, latitude) in captions.items():
                axes.annotate(
                    text,
                    (longitude, latitude),
                    ha="center",
                    va="center",
                    fontsize=6.5,
                    color="#111827",
                    bbox={
                        "boxstyle": "round,pad=0.15",
                        "facecolor": "white",
                        "alpha": 0.75,
                        "linewidth": 0,
                    },
                )
            _geographic(axes, latitudes)
            axes.set_title(title, fontsize=10)
            axes.label_outer()
        for axes in panels.ravel()[len(titles) :]:
            axes.set_visible(False)
    return sheet.picture


def _geographic(axes, latitudes) -> None:
    """Labels with units; a degree of longitude is shorter than of latitude."""
    middle = math.radians(float(np.mean(latitudes)))
    axes.set_aspect(1 / math.cos(middle))
    axes.set_xlabel("longitude, degrees east")
    axes.set_ylabel("latitude, degrees north")
