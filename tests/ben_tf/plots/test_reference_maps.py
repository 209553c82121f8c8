"""Reference maps have CORINE's colours; what is no class looks like none."""

import io

import numpy as np
import pytest
from matplotlib import image

from ben_tf import bigearthnet
from ben_tf.plots import reference_maps


def _rgb(color: str) -> list[int]:
    return list(bytes.fromhex(color.removeprefix("#")))


def test_every_class_has_its_own_colour_and_name():
    codes = sorted(bigearthnet.CLC_COLORS)
    assert len(codes) == 44
    assert set(codes) == set(bigearthnet.CLC_NAMES)
    assert len(set(bigearthnet.CLC_COLORS.values())) == 44
    drawn = reference_maps.render(np.array([codes], np.uint16))
    for place, code in enumerate(codes):
        color = _rgb(bigearthnet.CLC_COLORS[code])
        assert drawn[0, place].tolist() == [*color, 255]
    # Three that a shifted table would get wrong, as the legend writes them.
    legend = {111: (230, 0, 77), 312: (0, 166, 0), 523: (230, 242, 255)}
    for code, color in legend.items():
        assert _rgb(bigearthnet.CLC_COLORS[code]) == list(color)


def test_what_is_no_class_looks_like_none():
    codes = np.array([[bigearthnet.CLC_NO_DATA, bigearthnet.CLC_UNLABELLED]])
    no_data, unlabelled = reference_maps.render(codes)[0].tolist()
    assert no_data[3] == 0
    assert unlabelled == [*_rgb(reference_maps.UNLABELLED_COLOR), 255]
    assert (
        reference_maps.UNLABELLED_COLOR not in bigearthnet.CLC_COLORS.values()
    )
    assert reference_maps.code_name(999) == "no class"
    assert reference_maps.code_name(0) == "no data"


def test_shares_come_largest_first_and_add_up():
    found = reference_maps.shares(np.array([[312, 312, 999], [312, 0, 999]]))
    assert list(found) == [312, 999, 0]
    assert found[312] == 0.5
    assert sum(found.values()) == pytest.approx(1)


@pytest.mark.parametrize("draw", [reference_maps.render, reference_maps.shares])
def test_unknown_codes_are_refused_and_named(draw):
    with pytest.raises(ValueError, match=r"Received: \[100, 600\]"):
        draw(np.array([[111, 600], [100, 100]]))


def test_a_row_for_each_patch():
    grids = {
        name: np.full(grid.shape, 7, grid.dtype)
        for name, grid in bigearthnet.GRIDS.items()
    }
    codes = np.zeros((120, 120), np.uint16)
    codes[:, 60:] = 112
    row = reference_maps.Patch("Portugal", grids, codes)
    one, two = (
        image.imread(
            io.BytesIO(reference_maps.beside_pictures(rows, synthetic=True)),
            format="jpeg",
        )
        for rows in ([row], [row, row])
    )
    assert two.shape[1] == one.shape[1]
    assert two.shape[0] > 1.7 * one.shape[0]
    # Discontinuous urban fabric is red; JPEG is nearly exact in a plain field.
    is_red = (one[..., 0] > 240) & (one[..., 1] < 20) & (one[..., 2] < 20)
    assert is_red.sum() > 10_000
