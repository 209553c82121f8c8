"""Real values pass; values in other units are refused."""

import numpy as np
import pytest

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import open_archive
from ben_tf.archive import patch_pair
from ben_tf.archive import plausibility


@pytest.fixture(scope="module")
def pairs(real_archive, real_pairs):
    archive = open_archive.open_archive(real_archive)
    return [patch_pair.read(archive, official) for official in real_pairs]


def check(pixels, sensor) -> None:
    plausibility.check_units(pixels, sensor, "the patch")


def test_real_values_pass(pairs):
    for pair in pairs:
        for name, grid in bigearthnet.GRIDS.items():
            check(pair.grids[name], grid.sensor)


def test_linear_backscatter_is_refused(pairs):
    for pair in pairs:
        with pytest.raises(errors.UserError, match="the patch are not dB"):
            check(10 ** (pair.grids["s1"] / 10), "S1")


def test_reflectance_from_0_to_1_is_refused(pairs):
    for pair in pairs:
        with pytest.raises(errors.UserError, match="are not surface reflect"):
            check(pair.grids["s2_10m"] / 10_000, "S2")


def test_no_data_is_left_out():
    check(np.full((2, 2), np.nan), "S1")
    check(np.array([np.nan, -12.0, -8.0]), "S1")
    with pytest.raises(errors.UserError, match="are not dB"):
        check(np.array([np.nan, 0.1, 0.2]), "S1")
