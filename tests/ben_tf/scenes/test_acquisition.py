"""When scenes were taken: of their metadata, else of their names."""

import datetime

import pytest

from ben_tf import errors
from ben_tf.scenes import acquisition

TIME = datetime.datetime(2017, 5, 17, 11, 21, 19, tzinfo=datetime.UTC)
NAME = "S2B_MSIL2A_20170517T112119_N0205_R037_T29SNB_20170518T000000"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"{NAME}.SAFE", TIME),
        ("20170517T112119_20170517T112457_T29SNB.tif", TIME),
        ("S1A_IW_GRDH_1SDV_20170517T112119_20170517T112144_0167.tif", TIME),
        ("20171317T112119_20170517T112119.tif", TIME),
        ("20170517T1121190.tif", None),
        ("120170517T112119.tif", None),
        ("export.tif", None),
    ],
)
def test_names(name, expected):
    found = acquisition.times_of(s1_scene=f"20200101T000000/{name}")
    assert found == (expected and (expected, expected))


def test_several_files_have_a_first_and_a_last_time():
    later = "S1A_20170518T060000.tif"
    first, last = acquisition.times_of(image_paths=[later, NAME, "x.tif"])
    assert first == TIME
    assert last.day == 18


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("PRODUCT_START_TIME", TIME.replace(microsecond=24_000)),
        ("DATATAKE_SENSING_START", TIME.replace(microsecond=24_000)),
        ("GENERATION_TIME", TIME),
    ],
)
def test_metadata_come_before_names(tmp_path, tag, expected):
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "MTD_MSIL2A.xml").write_text(
        f'<n1:x xmlns:n1="y"><{tag}>2017-05-17T11:21:19.024Z</{tag}></n1:x>'
    )
    found = acquisition.times_of(s2_scene=folder)
    assert found == (expected, expected)
    found = acquisition.times_of(s2_scene=folder / "MTD_MSIL2A.xml")
    assert found == (expected, expected)


def test_a_folder_of_bands_has_the_time_of_their_names(tmp_path):
    assert acquisition.times_of(s2_scene=tmp_path) is None
    (tmp_path / "T29SNB_20170517T112119_B02_10m.tif").touch()
    (tmp_path / "README_20200101T000000.txt").touch()
    assert acquisition.times_of(s2_scene=tmp_path) == (TIME, TIME)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("<x><PRODUCT_START_TIME>May</PRODUCT_START_TIME></x>", "is damaged"),
        ("<x", "is damaged"),
        ("<!DOCTYPE x><x/>", "defines entities"),
    ],
)
def test_damaged_metadata(tmp_path, text, match):
    (tmp_path / "MTD_MSIL2A.xml").write_text(text)
    with pytest.raises(errors.UserError, match=match):
        acquisition.times_of(s2_scene=tmp_path)
