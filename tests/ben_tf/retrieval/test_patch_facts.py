import datetime

import numpy as np
import pytest

from ben_tf.retrieval import patch_facts


def _patch(name):
    (patch,) = patch_facts.Patches(
        names=np.array([name]),
        labels=np.array([[0, 1, 1]]),
        epsg=np.array([32629]),
        upper_left=np.array([[499_400.0, 600.0]]),
        countries=np.array([7], np.uint8),
        seasons=np.array([2], np.uint8),
        days=patch_facts.days_in_names([name]),
        split_numbers=np.array([1], np.uint8),
    ).rows(
        np.array([0]),
        class_names=("a", "b", "c"),
        split_names=("train", "test"),
    )
    return patch


def test_rows_become_values():
    patch = _patch("x")
    assert (patch.name, patch.labels, patch.country) == (
        *("x", ("b", "c")),
        "Portugal",
    )
    assert (patch.season, patch.split) == ("Summer", "test")
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


def test_what_nobody_knows_is_none():
    columns = {
        **patch_facts.unknown(2),
        "names": np.array(["a", "b"]),
        "labels": np.zeros((2, 0), np.uint8),
        "epsg": np.array([32629, 32629]),
        "upper_left": np.zeros((2, 2)),
    }
    for patch in patch_facts.Patches(**columns).rows(
        np.arange(2), class_names=(), split_names=()
    ):
        facts = (patch.country, patch.season, patch.date, patch.split)
        assert facts == (None,) * 4


def test_days_are_those_of_numpy():
    times = [b"2017-06-13T10:10:31", b"1970-01-01", b"", b"nonsense", b"\xff"]
    days = patch_facts.days_of_times(times)
    expected = np.array(["2017-06-13", "1970-01-01"], "datetime64[D]")
    np.testing.assert_array_equal(days[:2], expected.astype(np.int32))
    assert set(days[2:]) == {patch_facts.UNKNOWN_DAY}
    assert patch_facts.are_days(days)
    assert not patch_facts.are_days(np.array([2**31 - 1], np.int32))
