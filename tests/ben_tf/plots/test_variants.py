"""Charts of several runs name each of them."""

import re
import xml.etree.ElementTree

import numpy as np
import pytest

from ben_tf import bigearthnet
from ben_tf.plots import style
from ben_tf.plots import variants


def _texts(svg: bytes) -> list[str]:
    root = xml.etree.ElementTree.fromstring(svg)
    return [text.strip() for text in root.itertext() if text.strip()]


def test_scores_leave_out_what_is_undefined():
    values = {
        sensor: dict.fromkeys(bigearthnet.CLASSES_19, score)
        for sensor, score in (("S1", 0.25), ("S2", 0.5), ("MM", 0.75))
    }
    values["S1"]["Pastures"] = None
    for row in values.values():
        row["Inland wetlands"] = None
    texts = _texts(variants.scores(values, label="AP", synthetic=True))
    for text in ("S1", "S2", "MM", "AP", "Pastures", "Inland wetlands"):
        assert text in texts


def test_curves_and_bars_carry_labels_and_numbers():
    texts = _texts(
        variants.curves(
            {"one": ([1, 2], [0.5, 0.6]), "two": ([1], [np.nan])},
            x_label="k",
            y_label="precision",
            synthetic=False,
        )
    )
    assert {"one", "two", "k", "precision"} <= set(texts)
    texts = _texts(
        variants.bars(
            {"read": 1234.4, "parse": 9.6}, label="/s", synthetic=True
        )
    )
    assert {"1,234", "10", "read", "parse", "/s"} <= set(texts)


def _bar_widths(svg: bytes) -> list[float]:
    """Widths of the bars, from the first to the last drawn, in points."""
    color = re.escape(style.PALE_BLUE)
    paths = re.findall(rf'<path d="([^"]*)"[^>]*fill: {color}', svg.decode())
    numbers = [np.array(re.findall(r"-?[\d.]+", x), float) for x in paths]
    return [float(np.ptp(x[::2])) for x in numbers]


def test_bars_of_all_pictures_have_one_scale():
    lengths = {}
    for title, values in (
        (
            "F2",
            {"one": (0.74, (0.7, 0.78)), "a long name of a run": (0.2, None)},
        ),
        (
            "AP",
            {"one": (0.94, None), "a long name of a run": (0.5, (0.4, 0.6))},
        ),
    ):
        picture = variants.interval_bars(
            values, title=title, label="share", limit=1.0, synthetic=True
        )
        for (value, _), width in zip(
            values.values(), _bar_widths(picture), strict=True
        ):
            lengths[value] = width
    assert len(lengths) == 4
    units = [width / value for value, width in lengths.items()]
    np.testing.assert_allclose(units, units[0], rtol=1e-3)


def test_intervals_are_drawn_and_undefined_is_said():
    values = {"a": (0.5, (0.4, 0.6)), "b": (None, None)}
    with_interval = variants.interval_bars(
        values, title="F2", label="", limit=1.0, synthetic=False
    )
    texts = _texts(with_interval)
    assert {"a", "b", "F2", "0.5000", "undefined"} <= set(texts)
    without = variants.interval_bars(
        values | {"a": (0.5, None)},
        title="F2",
        label="",
        limit=1.0,
        synthetic=False,
    )
    # The line of the interval and its two ends.
    ink = "stroke: #000000; stroke-width: 1.4"
    assert ink in with_interval.decode()
    assert ink not in without.decode()


def test_variants_of_a_class_have_a_place_each():
    values = {
        name: {
            "Pastures": (score, (score - 0.1, score + 0.1)),
            "x": (None, None),
        }
        for name, score in (("s1", 0.3), ("s2", 0.5), ("mm", 0.7))
    }
    picture = variants.interval_rows(values, label="F2", synthetic=True)
    assert {"s1", "s2", "mm", "Pastures", "x"} <= set(_texts(picture))
    # Intervals: horizontal lines, each at its own height.
    heights = {}
    for color, _ in style.VARIANTS[:3]:
        (path,) = re.findall(
            rf'<path d="M ([^"]*)"[^>]*stroke: {color}; stroke-width: 1.4',
            picture.decode(),
        )
        x0, y0, x1, y1 = map(float, re.findall(r"[\d.]+", path))
        assert y0 == y1
        heights[color] = (y0, x1 - x0)
    assert len({height for height, _ in heights.values()}) == 3
    lengths = [length for _, length in heights.values()]
    np.testing.assert_allclose(lengths, lengths[0], rtol=1e-3)


def test_many_variants_can_be_told_apart():
    looks = [variants._look(n) for n in range(variants.MOST_VARIANTS)]
    assert [(c, m) for c, m, _ in looks[:4]] == list(style.VARIANTS)
    # Without lines as well.
    assert len({(color, marker) for color, marker, _ in looks}) == len(looks)
    lines = {f"run {n}": ([1, 2], [0, n / 16]) for n in range(16)}
    texts = _texts(
        variants.curves(lines, x_label="", y_label="", synthetic=False)
    )
    assert lines.keys() <= set(texts)


@pytest.mark.parametrize("name", ["_old", "$\\frac$", "a$b$c", "<b>&"])
def test_any_name_is_shown_as_it_is(name):
    for picture in (
        variants.interval_bars(
            {name: (0.5, None)}, title="", label="", limit=1.0, synthetic=False
        ),
        variants.interval_rows(
            {name: {name: (0.5, None)}}, label="", synthetic=False
        ),
        variants.curves(
            {name: ([1], [0.5])}, x_label="", y_label="", synthetic=False
        ),
        variants.scores({name: {name: 0.5}}, label="", synthetic=False),
    ):
        assert name in _texts(picture)
