"""A small map of where patches lie, as SVG with a link target for each."""

import dataclasses
import hashlib
import html
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np

_WIDTH = 760
_MAX_HEIGHT = 560
_MARGIN = 40
_MIN_SPAN_DEGREES = 1.0


@dataclasses.dataclass(frozen=True)
class Places:
    """Patches and their positions.

    Attributes:
      names: Names of the patches; a name may come several times.
      epsg: (N,) UTM zone of each, an EPSG code.
      upper_left: (N, 2) upper left corner in that zone, metres.
      num_queries: The first so many are queries.
    """

    names: Sequence[str]
    epsg: np.ndarray
    upper_left: np.ndarray
    num_queries: int


def anchor(name: str) -> str:
    """The id of a patch on the map, safe in HTML and URLs."""
    return "map-" + hashlib.sha256(name.encode()).hexdigest()[:16]


def draw(places: Places) -> str:
    """Returns an SVG element; `#` + `anchor(name)` leads to a patch."""
    # Here, because this needs rasterio, as only the map does.
    from ben_tf.data import geography

    degrees = np.stack(
        geography.patch_centres(places.epsg, places.upper_left), axis=1
    )
    low, high = degrees.min(axis=0), degrees.max(axis=0)
    grow = np.maximum(_MIN_SPAN_DEGREES - (high - low), 0) / 2
    low, high = low - grow, high + grow
    # A degree of longitude is shorter than one of latitude.
    narrow = np.cos(np.radians((low[1] + high[1]) / 2))
    scale = (_WIDTH - 2 * _MARGIN) / ((high[0] - low[0]) * narrow)
    scale = min(scale, (_MAX_HEIGHT - 2 * _MARGIN) / (high[1] - low[1]))
    height = (high[1] - low[1]) * scale + 2 * _MARGIN

    def to_page(longitude: float, latitude: float) -> tuple[float, float]:
        return (
            _MARGIN + (longitude - low[0]) * narrow * scale,
            _MARGIN + (high[1] - latitude) * scale,
        )

    parts = _graticule(low, high, to_page, height)
    seen = set()
    for number, name in enumerate(places.names):
        if name in seen:
            continue
        seen.add(name)
        x, y = to_page(*degrees[number])
        kind = "query" if number < places.num_queries else "hit"
        longitude, latitude = degrees[number]
        title = f"{name}: {latitude:.3f} N, {longitude:.3f} E"
        parts.append(
            f'<a id="{anchor(name)}" class="{kind}"><circle cx="{x:.1f}" '
            f'cy="{y:.1f}" r="4"><title>{html.escape(title)}</title></circle>'
            "</a>"
        )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" '
        f'role="img" aria-label="Overview map">{"".join(parts)}</svg>'
    )


def _graticule(
    low: np.ndarray,
    high: np.ndarray,
    to_page: Callable[[float, float], tuple[float, float]],
    height: float,
) -> list[str]:
    """Lines of longitude and latitude with their degrees."""
    span = max(high - low)
    step = next(
        s for s in (0.5, 1, 2, 5, 10, 20, 60) if span / s <= 8 or s == 60
    )
    style = 'stroke="#ccd6dd" stroke-width="1"'
    text = 'font-size="11" fill="#667"'
    parts = []
    for value in np.arange(np.ceil(low[0] / step), high[0] / step) * step:
        x, _ = to_page(value, low[1])
        parts.append(
            f'<line x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{height:.0f}" '
            f'{style}/><text x="{x + 3:.1f}" y="12" {text}>{value:g} E</text>'
        )
    for value in np.arange(np.ceil(low[1] / step), high[1] / step) * step:
        _, y = to_page(low[0], value)
        parts.append(
            f'<line x1="0" y1="{y:.1f}" x2="{_WIDTH}" y2="{y:.1f}" {style}/>'
            f'<text x="3" y="{y - 3:.1f}" {text}>{value:g} N</text>'
        )
    return parts
