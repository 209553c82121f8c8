import datetime

import numpy as np
import pytest

from ben_tf.retrieval import patch_facts


def _patch(name):
    (patch,) = patch_facts.describe(
        names=[name],
        labels=np.array([[0, 1, 1]]),
        class_names=("a", "b", "c"),
        countries=np.array([7], np.uint8),
        epsg=np.array([32629]),
        upper_left=np.array([[499_400.0, 600.0]]),
    )
    return patch


def test_rows_become_values():
    patch = _patch("x")
    assert (patch.name, patch.labels, patch.country) == (
        *("x", ("b", "c")),
        "Portugal",
    )
    assert (patch.epsg, patch.upper_left) == (32629, (499_400.0, 600.0))
    # The central meridian of zone 29.
    assert patch.longitude == pytest.approx(-9, abs=1e-9)
    assert patch.latitude == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("S2A_MSIL2A_20170613T101031_0_45", (2017, 6, 13)),
        # Of v2.0, and of Sentinel-1.
        ("S2A_MSIL2A_20180225T114351_N9999_R123_T29UNB_12_34", (2018, 2, 25)),
        ("S1A_IW_GRDH_1SDV_20170904T161304_34VDN_33_85", (2017, 9, 4)),
        ("my_patch_7", None),
        ("", None),
        ("S2A_MSIL2A_20171313T101031_0_45", None),
        ("S2A_20170613T101031_x_20170614T101031_0", None),
    ],
)
def test_the_date_stands_in_the_name(name, expected):
    assert _patch(name).date == (expected and datetime.date(*expected))
