"""A file of statistics is read back, and what cannot be used is refused."""

import msgspec
import pytest

from ben_tf import band_statistics
from ben_tf import bigearthnet
from ben_tf import errors
from tests import json_files

BANDS = bigearthnet.S1_BANDS + bigearthnet.S2_BANDS
CONTENT = band_statistics.DatasetStatistics(
    dataset="bigearthnet_mm/v2/2.0.0",
    split="train[:10]",
    part="winter",
    synthetic=True,
    patches=10,
    bands={
        band: band_statistics.Band(
            count=144_000,
            mean=float(number),
            std=number + 0.5,
            minimum=0.0,
            maximum=9.0,
            percentiles={"50": 4.0},
        )
        for number, band in enumerate(BANDS)
    },
)


@pytest.fixture
def file(tmp_path):
    return band_statistics.write(tmp_path / "statistics.json", CONTENT)


def test_what_was_written_is_found(file):
    found = band_statistics.find(str(file))
    assert found.mean == {band: number for number, band in enumerate(BANDS)}
    assert found.std["VH"] == 1.5
    for word in ("train[:10]", "v2", "10 patches", "winter", "SYNTHETIC"):
        assert word in found.name


@pytest.mark.parametrize("name", ["paper", "v2"])
def test_published_ones_are_found_by_name(name):
    assert band_statistics.find(name) is bigearthnet.STATISTICS[name]


def test_a_name_that_is_neither(tmp_path):
    with pytest.raises(errors.UserError, match="Or pass one of: paper, v2"):
        band_statistics.find(str(tmp_path / "v3"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"std": 0.0}, "band B8A has mean .* and std 0.0"),
        ({"std": -1.0}, "a std above 0"),
    ],
)
def test_a_band_that_cannot_be_standardised(tmp_path, change, message):
    band = msgspec.structs.replace(CONTENT.bands["B8A"], **change)
    path = band_statistics.write(
        tmp_path / "x.json",
        msgspec.structs.replace(CONTENT, bands=CONTENT.bands | {"B8A": band}),
    )
    with pytest.raises(errors.UserError, match=message):
        band_statistics.find(str(path))


def test_a_band_that_is_missing(tmp_path):
    bands = {x: y for x, y in CONTENT.bands.items() if x != "B12"}
    path = band_statistics.write(
        tmp_path / "x.json", msgspec.structs.replace(CONTENT, bands=bands)
    )
    with pytest.raises(errors.UserError, match="expected a mean and a std"):
        band_statistics.find(str(path))


def test_a_file_that_was_changed(file):
    file.write_text(file.read_text().replace("144000", "144001"))
    with pytest.raises(errors.UserError, match="CRC-32"):
        band_statistics.find(str(file))


def test_a_file_of_something_else(file):
    file.write_text(
        msgspec.json.encode(json_files.read(file) | {"x": 1}).decode()
    )
    with pytest.raises(errors.UserError, match="cannot be read"):
        band_statistics.find(str(file))
