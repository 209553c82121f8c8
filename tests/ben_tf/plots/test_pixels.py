"""Charts of pixels: every band, every caption."""

import io
import xml.etree.ElementTree

import numpy as np
from matplotlib import image

from ben_tf import bigearthnet
from ben_tf.plots import pixels


def test_bands_are_drawn_also_when_flat_or_damaged():
    grids = {
        name: np.full(grid.shape, 7, grid.dtype)
        for name, grid in bigearthnet.GRIDS.items()
    }
    grids["s1"][0] = np.nan
    picture = pixels.bands(grids, synthetic=True)
    assert picture.kind == "JPEG"
    assert picture._repr_jpeg_() == bytes(picture)
    drawn = image.imread(io.BytesIO(picture), format="jpeg")
    assert drawn.shape[1] > drawn.shape[0] > 200


def test_histograms_name_bands_and_units():
    values = {
        band: np.full((3, 3), bigearthnet.PAPER_STATISTICS.mean[band])
        for band in (*bigearthnet.S1_BANDS, *bigearthnet.S2_BANDS)
    }
    root = xml.etree.ElementTree.fromstring(
        pixels.histograms(values, synthetic=False)
    )
    text = " ".join(root.itertext())
    assert all(band in text for band in values)
    assert "backscatter in dB" in text


def test_rows_of_pictures_may_differ_in_length():
    grey = np.full((120, 120), 128, np.uint8)
    colour = np.full((120, 120, 3), 128, np.uint8)
    one, two = (
        image.imread(
            io.BytesIO(pixels.pictures(rows, synthetic=False)), format="jpeg"
        )
        for rows in (
            [[("a", grey), ("b", colour)]],
            [[("a", grey)], [("b", colour), ("long " * 20, grey)]],
        )
    )
    assert two.shape[0] > 2 * one.shape[0]
    assert two.shape[1] == one.shape[1]
