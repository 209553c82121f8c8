"""Finds text of charts that covers other text."""

import contextlib
import itertools
from collections.abc import Iterator
from unittest import mock

from matplotlib import figure as figure_lib
from matplotlib import transforms
from matplotlib.backends import backend_agg

from ben_tf.plots import style


@contextlib.contextmanager
def recorded() -> Iterator[list[figure_lib.Figure]]:
    """Collects the figures of the charts that are drawn within."""
    figures = []
    draw = style.chart

    @contextlib.contextmanager
    def chart(*arguments, **options):
        with draw(*arguments, **options) as sheet:
            figures.append(sheet.figure)
            yield sheet

    with mock.patch.object(style, "chart", chart):
        yield figures


class _Recorder(backend_agg.RendererAgg):
    """Draws, and keeps what text is drawn: (text, its angle, its box)."""

    def __init__(self, figure: figure_lib.Figure):
        width, height = figure.bbox.size
        super().__init__(width, height, figure.dpi)
        self.texts = []

    def draw_text(self, gc, x, y, s, prop, angle, ismath=False, mtext=None):
        if mtext is not None:
            box = mtext.get_window_extent(self)
        else:  # A line of several, all level.
            width, height, descent = self.get_text_width_height_descent(
                s, prop, ismath
            )
            # From above, in pixels.
            bottom = self.height - y - descent
            box = transforms.Bbox.from_bounds(x, bottom, width, height)
        self.texts.append((s, angle, box))


def _drawn(figure: figure_lib.Figure) -> list[tuple[str, float, object]]:
    recorder = _Recorder(figure)
    figure.draw(recorder)
    return recorder.texts


def overlaps(figure: figure_lib.Figure) -> list[tuple[str, str]]:
    """Pairs of texts, not slanted, whose boxes cover each other.

    The boxes are those of matplotlib's own font, DejaVu Sans, which is wider
    than those that a browser takes without it.
    """
    # Boxes have a margin; glyphs do not.
    straight = [
        (text, box.padded(-1.5))
        for text, angle, box in _drawn(figure)
        if angle % 90 == 0
    ]
    return [
        (one, other)
        for (one, box), (other, other_box) in itertools.combinations(
            straight, 2
        )
        if box.overlaps(other_box)
    ]


def outside(figure: figure_lib.Figure) -> list[str]:
    """Texts that reach over an edge of the figure."""
    width, height = figure.bbox.size
    return [
        text
        for text, _, box in _drawn(figure)
        if min(box.x0, box.y0) < -2 or box.x1 > width + 2 or box.y1 > height + 2
    ]
