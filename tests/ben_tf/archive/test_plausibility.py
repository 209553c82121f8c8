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


def _real_band(pairs, sensor) -> np.ndarray:
    pixels = pairs[0].grids["s1" if sensor == "S1" else "s2_10m"][..., 0]
    return np.array(pixels)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.nan, "NaN or infinite dB in 1 of 14,400 pixels"),
        (np.inf, "NaN or infinite dB in 1 of 14,400 pixels"),
        (-np.inf, "NaN or infinite dB in 1 of 14,400 pixels"),
        (-9999, "values from -9999 to"),
        (1e30, "to 1e\\+30"),
        (-100.1, "values from -100.1 to"),
        (100.1, r"to 100.1\. Expected"),
    ],
)
def test_one_impossible_radar_pixel_is_enough(pairs, value, reason):
    pixels = _real_band(pairs, "S1")
    pixels[-1, -1] = value
    with pytest.raises(errors.ArchiveError, match=f"^file.tif holds.*{reason}"):
        plausibility.check_band(pixels, "S1", "file.tif")


def test_infinities_of_both_signs_do_not_cancel(pairs):
    pixels = _real_band(pairs, "S1")
    pixels[0, 0], pixels[5, 5] = np.inf, -np.inf
    with pytest.raises(errors.ArchiveError, match="2 of 14,400"):
        plausibility.check_band(pixels, "S1", "file.tif")


def test_the_extremes_of_bigearthnet_pass(pairs):
    """Published for the whole archive: -75.11 to 34.61 dB."""
    pixels = _real_band(pairs, "S1")
    pixels[0, :2] = -75.11137, 34.60697
    plausibility.check_band(pixels, "S1", "file.tif")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda db: 10 ** (db / 10), "as of linear backscatter"),
        # Noise removal leaves some pixels below zero.
        (lambda db: 10 ** (db / 10) - 0.05, "as of linear backscatter"),
        (lambda db: 1000 * 10 ** (db / 20), "as of linear backscatter"),
        (lambda db: 0 * db, "nothing but 0"),
        (lambda db: 0 * db - 9999, "values from -9999 to -9999"),
    ],
    ids=["linear", "noise removed", "amplitude", "zero", "no data"],
)
def test_a_radar_band_in_another_unit_is_refused(pairs, change, reason):
    pixels = change(_real_band(pairs, "S1"))
    with pytest.raises(errors.ArchiveError, match=reason):
        plausibility.check_band(pixels.astype(np.float32), "S1", "file.tif")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0, "nothing but 0, which is no data"),
        (65_535, "nothing but 65535"),
        (30_001, "nothing but 30001"),
    ],
)
def test_a_filled_optical_band_is_refused(value, reason):
    pixels = np.full((120, 120), value, np.uint16)
    with pytest.raises(errors.ArchiveError, match=f"^file.tif holds {reason}"):
        plausibility.check_band(pixels, "S2", "file.tif")


def test_a_median_that_is_too_bright_is_refused():
    pixels = np.linspace(40_000, 30_000, 400).astype(np.uint16).reshape(20, 20)
    with pytest.raises(errors.ArchiveError, match=r"a median of 34999\.5"):
        plausibility.check_band(pixels, "S2", "file.tif")


def test_single_optical_pixels_may_be_dark_or_saturated(pairs):
    pixels = _real_band(pairs, "S2")
    pixels[0, :50] = 0
    plausibility.check_band(pixels, "S2", "file.tif")
    pixels[0, :50] = 65_535
    plausibility.check_band(pixels, "S2", "file.tif")
    dark = np.zeros((20, 20), np.uint16)
    dark[-1, -1] = 1
    plausibility.check_band(dark, "S2", "file.tif")


def test_all_bands_of_a_grid_from_0_to_1_are_refused(pairs):
    for pair in pairs:
        bands = [
            np.ascontiguousarray(pair.grids["s2_20m"][..., i]) for i in range(6)
        ]
        plausibility.check_grid(bands, "S2", "S2A")
        # The infrared of deep water alone may be this dark.
        plausibility.check_grid(
            [bands[0], *[x // 9999 for x in bands]], "S2", ""
        )
        with pytest.raises(errors.ArchiveError, match="S2A has 60 x 60 bands"):
            plausibility.check_grid([x // 9999 for x in bands], "S2", "S2A")


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
