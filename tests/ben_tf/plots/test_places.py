"""Maps are PNG files, also of one patch."""

import io
import xml.etree.ElementTree

import numpy as np
import pytest
from matplotlib import image
from matplotlib import pyplot

from ben_tf.plots import places
from ben_tf.plots import style


@pytest.mark.slow
@pytest.mark.parametrize("num_patches", [1, 50])
def test_score_map_is_a_png(num_patches):
    values = np.linspace(0.1, 0.9, num_patches)
    png = places.score_map(
        10 * values, 45 + values, values, label="F2", synthetic=True
    )
    drawn = image.imread(io.BytesIO(png))
    assert drawn.shape[2] in (3, 4)
    # More than black and white: the scale at the side has all of viridis.
    assert len(np.unique(drawn.reshape(-1, drawn.shape[2]), axis=0)) > 100


def test_group_maps_draw_each_group_in_its_own_panel():
    options = {
        "titles": {"a": "A", "b": "B"},
        "captions": {"here": (5.0, 45.0), "near": (6.0, 45.0)},
        "synthetic": False,
    }
    where = np.linspace(0, 10, 40), np.linspace(40, 50, 40)

    def blue_pixels(groups):
        png = places.group_maps(*where, np.array(groups), **options)
        drawn = image.imread(io.BytesIO(png))
        blue = (drawn[..., 2] > 0.6) & (drawn[..., 0] < 0.3)
        middle = drawn.shape[1] // 2
        return blue[:, :middle].sum(), blue[:, middle:].sum()

    left, right = blue_pixels(["a"] * 40)
    assert left > 100
    assert right == 0
    left, right = blue_pixels(["a"] * 20 + ["b"] * 20)
    assert 0 < left < 2 * right < 4 * left


def test_captions_do_not_cover_each_other():
    placed = places._apart(
        {"low": (1.0, 44.9), "high": (0.0, 45.0), "far": (30.0, 45.0)}, gap=2.0
    )
    assert placed == {
        "high": (0.0, 45.0),
        "low": (1.0, 43.0),
        "far": (30.0, 45.0),
    }


def test_base_map_is_north_up_east_right_and_to_scale():
    longitudes = np.array([10.0, 10.0, 12.0])
    latitudes = np.array([60.0, 61.0, 60.0])  # There, cos is a half.
    drawn = places.base_map(longitudes, latitudes, synthetic=True)
    assert drawn.picture.kind == "SVG"
    south, north, east = np.stack([drawn.x, drawn.y], axis=1)
    assert north[0] == pytest.approx(south[0])
    assert east[1] == pytest.approx(south[1])
    assert south[1] - north[1] == pytest.approx(east[0] - south[0], rel=0.02)
    assert (0 < drawn.x).all() and (drawn.x < drawn.width).all()
    assert (0 < drawn.y).all() and (drawn.y < drawn.height).all()


@pytest.mark.parametrize(
    ("longitude", "has_lines"), [(-8.0, True), (-25.0, False)]
)
def test_maps_draw_coasts_where_there_are_any(longitude, has_lines):
    # The west of Ireland, and the Atlantic.
    where = np.array([longitude - 2, longitude + 1]), np.array([52.0, 54.0])
    svg = places.base_map(*where, synthetic=False).picture
    root = xml.etree.ElementTree.fromstring(svg)
    (group,) = [
        group
        for group in root.iter("{http://www.w3.org/2000/svg}g")
        if group.attrib.get("id", "").startswith("LineCollection")
    ]
    assert bool(len(group)) == has_lines


def test_points_lie_where_matplotlib_draws_them():
    # A mark at the place of each point, found again in the picture's pixels.
    with style.chart(4, 3, synthetic=True, file_format="png") as sheet:
        axes = sheet.figure.subplots()
        places._geographic(axes, np.array([10, 12]), np.array([45, 46]))
        axes.plot([10.5], [45.25], "s", color="#ff0000", markersize=9)
    x, y = places._on_picture(axes, np.array([10.5]), np.array([45.25]))
    drawn = image.imread(io.BytesIO(sheet.picture))
    red = (drawn[..., 0] > 0.9) & (drawn[..., 1] < 0.1)
    rows, columns = np.nonzero(red)
    assert columns.mean() / drawn.shape[1] == pytest.approx(x[0], abs=0.005)
    assert rows.mean() / drawn.shape[0] == pytest.approx(y[0], abs=0.005)


@pytest.mark.parametrize("spread", [0, 20])
def test_a_map_shows_a_degree_and_a_margin(spread):
    figure, axes = pyplot.subplots()
    places._geographic(axes, np.array([10, 10 + spread]), np.array([45, 45]))
    low, high = axes.get_xlim()
    assert high - low == pytest.approx(1.1 * spread or 1)
    assert axes.get_ylim() == pytest.approx((44.5, 45.5))
    pyplot.close(figure)
