"""Styles, parsed as XML and held against the names that QGIS reads."""

from xml.etree import ElementTree

import pytest

from ben_tf import bigearthnet
from ben_tf.predict import map_style


@pytest.mark.parametrize("num_classes", [19, 43])
def test_a_class_has_its_colour_and_its_name(num_classes):
    names = bigearthnet.CLASSES[num_classes]
    text = map_style.class_qml(names)
    assert text.startswith("<!DOCTYPE qgis ")
    root = ElementTree.fromstring(text)
    assert root.tag == "qgis"
    renderer = root.find("pipe/rasterrenderer")
    assert renderer.get("type") == "paletted"
    assert renderer.get("band") == "1"
    entries = renderer.findall("colorPalette/paletteEntry")
    assert [
        (entry.get("value"), entry.get("label"), entry.get("color"))
        for entry in entries
    ] == [
        (str(number), name, color)
        for number, (name, color) in enumerate(
            bigearthnet.CLASS_COLORS[num_classes].items(), start=1
        )
    ]


def test_probability_goes_from_0_to_1():
    root = ElementTree.fromstring(map_style.probability_qml())
    renderer = root.find("pipe/rasterrenderer")
    assert renderer.get("type") == "singlebandpseudocolor"
    shader = renderer.find("rastershader/colorrampshader")
    assert shader.get("colorRampType") == "INTERPOLATED"
    values = [float(item.get("value")) for item in shader.findall("item")]
    assert values == [0, 0.25, 0.5, 0.75, 1]
    assert len({item.get("color") for item in shader}) == 5


def test_colours_of_43_classes_are_those_of_corine():
    colors = bigearthnet.CLASS_COLORS[43]
    assert colors["Continuous urban fabric"] == "#e6004d"
    assert colors["Sea and ocean"] == "#e6f2ff"
    assert tuple(colors) == bigearthnet.CLASSES_43
