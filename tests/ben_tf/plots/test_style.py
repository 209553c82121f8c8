"""Class colours that colour-blind people can tell apart; marks on pictures."""

import base64
import itertools
import xml.etree.ElementTree

import colorspacious
import numpy as np
import pytest
from matplotlib import colors
from matplotlib import image

from ben_tf import bigearthnet
from ben_tf.plots import style


def _seen(names, sight: str | None) -> np.ndarray:
    """Colours as someone sees them, in CAM02-UCS: (len(names), 3)."""
    rgb = [colors.to_rgb(name) for name in names]
    if sight:
        space = {"name": "sRGB1+CVD", "cvd_type": sight, "severity": 100}
        rgb = np.clip(colorspacious.cspace_convert(rgb, space, "sRGB1"), 0, 1)
    return colorspacious.cspace_convert(rgb, "sRGB1", "CAM02-UCS")


# Machado et al. 2009; a distance of 1 can just be noticed side by side.
@pytest.mark.parametrize("sight", [None, "deuteranomaly", "protanomaly"])
def test_any_two_classes_can_be_told_apart(sight):
    seen = _seen(bigearthnet.CLASS_COLORS[19].values(), sight)
    for (a, first), (b, second) in itertools.combinations(
        zip(bigearthnet.CLASSES_19, seen, strict=True), 2
    ):
        assert np.linalg.norm(first - second) > 11, (a, b)


@pytest.mark.parametrize("sight", [None, "deuteranomaly", "protanomaly"])
def test_variants_differ_among_each_other_and_from_the_page(sight):
    seen = _seen([*(color for color, _ in style.VARIANTS), "white"], sight)
    for first, second in itertools.combinations(seen, 2):
        assert np.linalg.norm(first - second) > 11
    assert len({marker for _, marker in style.VARIANTS}) == len(style.VARIANTS)


def test_every_class_has_a_colour():
    given = bigearthnet.CLASS_COLORS[19]
    assert tuple(given) == bigearthnet.CLASSES_19
    for name, parent in bigearthnet.CLASS_43_TO_19.items():
        expected = given[parent] if parent else style.DROPPED_COLOR
        assert style.class_color(name) == expected
    assert style.class_color("<b>") == style.GREY


@pytest.mark.parametrize("synthetic", [False, True])
def test_a_picture_shows_itself_and_its_mark(synthetic):
    with style.chart(3, 2, synthetic=synthetic) as sheet:
        sheet.figure.subplots().set_xlabel("x")
    svg = sheet.picture
    assert (style.SYNTHETIC_MARK in svg.decode()) == synthetic
    shown = svg._repr_svg_()
    fitting = ' style="max-width: 100%; height: auto"'
    assert fitting in shown
    assert shown.replace(fitting, "") == svg.decode()
    assert svg._repr_png_() is None
    assert repr(svg).startswith("<SVG picture, ")


@pytest.mark.slow
def test_a_png_makes_room_for_the_mark(tmp_path):
    heights = []
    for synthetic in (False, True):
        with style.chart(
            3, 2, synthetic=synthetic, file_format="png", dots_per_inch=50
        ) as sheet:
            sheet.figure.subplots()
        assert sheet.picture._repr_svg_() is None
        path = tmp_path / "picture.png"
        path.write_bytes(sheet.picture._repr_png_())
        heights.append(image.imread(path).shape[0])
    assert heights == [100, 112]


def test_long_names_are_cut():
    assert style.shorten("Pastures") == "Pastures"
    assert style.shorten("Beaches, dunes, sands", 9) == "Beaches…"
    assert style.shorten_middle("resnet50_s1", 11) == "resnet50_s1"
    assert style.shorten_middle("resnet50_seed_42", 9) == "res…ed_42"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1.0k"),
        (9_949, "9.9k"),
        (9_960, "10k"),
        (125_866, "126k"),
        (999_499, "999k"),
        (999_960, "1.0M"),
        (3_000_000, "3.0M"),
    ],
)
def test_numbers_fit_a_cell(number, text):
    assert style.short_number(number) == text


@pytest.mark.parametrize(
    ("file_format", "kind"),
    [("svg", "svg+xml"), ("png", "png"), ("jpeg", "jpeg")],
)
def test_data_uris_name_the_kind_of_picture(file_format, kind):
    with style.chart(
        1, 1, synthetic=False, file_format=file_format, dots_per_inch=20
    ) as sheet:
        sheet.figure.subplots()
    head, _, content = sheet.picture.data_uri.partition(",")
    assert head == f"data:image/{kind};base64"
    assert base64.b64decode(content) == sheet.picture


def test_a_label_of_all_panels_stands_clear_of_the_mark():
    with style.chart(4, 3, synthetic=True) as sheet:
        sheet.figure.subplots(1, 2)
        sheet.label_all_panels("recall", size=10)
    root = xml.etree.ElementTree.fromstring(sheet.picture)
    heights = {
        text.text: float(text.attrib["y"])
        for text in root.iter("{http://www.w3.org/2000/svg}text")
    }
    assert heights["recall"] < heights[style.SYNTHETIC_MARK] - 8
