"""How a GIS shows a map: QGIS's styles (.qml) and GDAL's names of classes."""

from collections.abc import Sequence
from xml.etree import ElementTree

from ben_tf import bigearthnet

_QGIS_VERSION = "3.22"  # The long-term release whose schema this is.
# Matplotlib's viridis: read by colour-blind eyes and in print.
_PROBABILITY_COLORS = {
    0.0: "#440154",
    0.25: "#3b528b",
    0.5: "#21918c",
    0.75: "#5ec962",
    1.0: "#fde725",
}


def colors_of(class_names: Sequence[str]) -> list[str]:
    """The colour of each class, as #rrggbb."""
    colors = bigearthnet.CLASS_COLORS[len(class_names)]
    return [colors[name] for name in class_names]


def class_qml(class_names: Sequence[str]) -> str:
    """The style of a band that holds 1 for the first class, 2 for the next."""
    renderer = ElementTree.Element(
        "rasterrenderer",
        type="paletted",
        band="1",
        opacity="1",
        alphaBand="-1",
        nodataColor="",
    )
    palette = ElementTree.SubElement(renderer, "colorPalette")
    for number, (name, color) in enumerate(
        zip(class_names, colors_of(class_names), strict=True), start=1
    ):
        ElementTree.SubElement(
            palette,
            "paletteEntry",
            value=str(number),
            color=color,
            alpha="255",
            label=name,
        )
    return _qml(renderer)


def probability_qml() -> str:
    """The style of the first band: from violet, 0, to yellow, 1.

    Without one, QGIS shows the first three bands as red, green and blue.
    """
    renderer = ElementTree.Element(
        "rasterrenderer",
        type="singlebandpseudocolor",
        band="1",
        opacity="1",
        alphaBand="-1",
        nodataColor="",
        classificationMin="0",
        classificationMax="1",
    )
    shader = ElementTree.SubElement(
        ElementTree.SubElement(renderer, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        minimumValue="0",
        maximumValue="1",
    )
    for value, color in _PROBABILITY_COLORS.items():
        ElementTree.SubElement(
            shader,
            "item",
            value=f"{value:g}",
            color=color,
            alpha="255",
            label=f"{value:g}",
        )
    return _qml(renderer)


def _qml(renderer: ElementTree.Element) -> str:
    root = ElementTree.Element(
        "qgis", version=_QGIS_VERSION, styleCategories="Symbology"
    )
    ElementTree.SubElement(root, "pipe").append(renderer)
    ElementTree.SubElement(root, "blendMode").text = "0"
    ElementTree.indent(root)
    doctype = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"
    return f"{doctype}\n{ElementTree.tostring(root, encoding='unicode')}\n"


def categories_xml(class_names: Sequence[str]) -> str:
    """What GDAL reads beside X.tif, as X.tif.aux.xml: names of values.

    A GeoTIFF has no place of its own for them.
    """
    root = ElementTree.Element("PAMDataset")
    band = ElementTree.SubElement(root, "PAMRasterBand", band="1")
    names = ElementTree.SubElement(band, "CategoryNames")
    for name in ("no data", *class_names):
        ElementTree.SubElement(names, "Category").text = name
    ElementTree.indent(root)
    return f"{ElementTree.tostring(root, encoding='unicode')}\n"
