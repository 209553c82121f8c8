"""A scene beside its map: what the sensor saw, and the class of each window."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colors
from matplotlib import patches

from ben_tf.plots import style

_SIDE = 3.0  # Inches that a picture takes.
_TITLE = 0.45
_LEGEND = 2.6


def land_cover(
    picture: np.ndarray,
    classes: np.ndarray,
    class_names: Sequence[str],
    *,
    synthetic: bool,
) -> style.Picture:
    """The scene, its map in the colours of the classes, and a legend: JPEG.

    Args:
      picture: (height, width, 3) uint8, as `pictures.render` returns it.
      classes: (rows, columns) uint8, as `X_class.tif` holds them: 1 stands for
        the first name, 0 for no data, which stays white.
      class_names: The classes of the model.
      synthetic: As for `style.chart`.
    """
    drawn = np.ones((*classes.shape, 3))
    shown = {}
    # The most frequent class comes first in the legend.
    numbers, counts = np.unique(classes[classes > 0], return_counts=True)
    for place in np.argsort(-counts, kind="stable"):
        name = class_names[numbers[place] - 1]
        color = style.class_color(name)
        drawn[classes == numbers[place]] = colors.to_rgb(color)
        shown[style.shorten(name, 34)] = color
    with style.chart(
        2 * (_SIDE + 0.1) + _LEGEND,
        _SIDE + _TITLE,
        synthetic=synthetic,
        file_format="jpeg",
        dots_per_inch=110,
    ) as sheet:
        scene, land, legend = sheet.figure.subplots(
            1, 3, width_ratios=[_SIDE, _SIDE, _LEGEND]
        )
        for axes, title, pixels in (
            (scene, "True colour", picture),
            (land, "Most probable class", drawn),
        ):
            axes.imshow(pixels, interpolation="nearest")
            axes.set_title(title, fontsize=9, fontweight="normal")
            axes.set(xticks=[], yticks=[])
            axes.grid(visible=False)
        legend.set_axis_off()
        legend.legend(
            handles=[
                patches.Patch(facecolor=color, edgecolor=style.GREY)
                for color in shown.values()
            ],
            labels=list(shown),
            loc="upper left",
            borderaxespad=0,
            fontsize=8,
        )
    return sheet.picture
