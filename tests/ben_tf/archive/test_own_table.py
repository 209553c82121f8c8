"""A table of own patches is believed as far as it can be true."""

import csv
import datetime

import pandas as pd
import pytest

from ben_tf import errors
from ben_tf.archive import known_pairs
from ben_tf.archive import layout
from ben_tf.archive import own_table

ROW = {
    "patch_name": "a",
    "labels": "Pastures;Vineyards",
    "split": "train",
    "s2_folder": "files/a",
}


def _write(folder, *rows):
    path = folder / "t.csv"
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def test_what_is_known_of_a_patch(tmp_path):
    path = _write(
        tmp_path,
        ROW
        | {
            "country": "Serbia",
            "season": "Fall",
            "s1_date": "2024-06-01T12:00:00+02:00",
            "s2_date": "2024-06-02",
            "labels": "Vineyards; Pastures ;Pastures",
        },
    )
    table = own_table.read(path)
    (pair,) = table.pairs.values()
    assert pair.s2_name == pair.s1_name == "a"
    assert (pair.country, pair.season, pair.split) == (
        "Serbia",
        "Fall",
        "train",
    )
    # In the order of the nomenclatures; vineyards are permanent crops.
    assert pair.labels_43 == ("Vineyards", "Pastures")
    assert pair.labels_19 == ("Permanent crops", "Pastures")
    assert pair.s1_time == "2024-06-01T10:00:00"
    assert pair.s2_time == "2024-06-02"
    assert table.nomenclatures == (19, 43)
    assert table.paths == {"S2": {"s2_folder": [f"{tmp_path}/files/a"]}}


def test_labels_of_the_19_classes_alone(tmp_path):
    table = own_table.read(
        _write(
            tmp_path,
            # Pastures are in both nomenclatures.
            ROW | {"labels": "Pastures"},
            ROW | {"patch_name": "b", "labels": "Permanent crops"},
        )
    )
    assert table.nomenclatures == (19,)
    assert [pair.labels_19 for pair in table.pairs.values()] == [
        ("Pastures",),
        ("Permanent crops",),
    ]
    assert not any(pair.labels_43 for pair in table.pairs.values())


def test_parquet_says_the_same_as_csv(tmp_path):
    rows = [
        {
            **ROW,
            "labels": ["Pastures", "Vineyards"],
            "country": None,
            "s2_date": datetime.datetime(2024, 6, 2, 10, 30, 31),
        },
        {**ROW, "patch_name": "b", "country": "Serbia", "labels": ["Airports"]},
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    as_text = [
        rows[0]
        | {
            "labels": "Pastures;Vineyards",
            "country": "",
            "s2_date": "2024-06-02T10:30:31",
        },
        rows[1] | {"labels": "Airports", "s2_date": ""},
    ]
    of_csv = own_table.read(_write(tmp_path, *as_text))
    of_parquet = own_table.read(tmp_path / "t.parquet")
    assert of_parquet == of_csv
    assert of_csv.pairs["a"].s2_time == "2024-06-02T10:30:31"


def test_the_copy_next_to_the_records_says_the_same(tmp_path):
    path = _write(
        tmp_path,
        ROW | {"season": "Fall", "s1_date": "2024-06-01"},
        ROW | {"patch_name": "b", "season": "", "s1_date": ""},
    )
    table = own_table.read(path)
    (tmp_path / own_table.LIST_FILE).write_text(own_table.list_text(table))
    for place in (tmp_path, path):
        assert known_pairs.read(layout.OWN.version, place) == table.pairs
    assert str(tmp_path) not in own_table.list_text(table)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"patch_name": ""}, "row 1: '' cannot be the name"),
        ({"patch_name": "../a"}, "cannot be the name"),
        ({"patch_name": "-a"}, "cannot be the name"),
        ({"patch_name": "é"}, "cannot be the name"),
        ({"patch_name": "a" * 201}, "cannot be the name"),
        ({"split": "val"}, "unknown split 'val'. Expected one of train, val"),
        ({"split": ""}, "unknown split ''"),
        ({"country": "Germany"}, "unknown country 'Germany'.*empty cell"),
        ({"season": "Autumn"}, "unknown season 'Autumn'"),
        ({"labels": "Moss;Pastures"}, "'Moss' is no class of the 19 or"),
        ({"labels": " ; "}, "there is no label"),
        ({"labels": "Vineyards;Arable land"}, "'Vineyards' is of the 43 clas"),
        ({"s2_date": "June 2024"}, "'June 2024' is no date"),
        ({"s2_date": "0001-01-01T00:00:00+23:00"}, "is no date"),
        ({"s2_folder": "../b"}, "row 1: '../b' leads out of the folder"),
        ({"s2_folder": "/etc"}, "leads out of the folder"),
        ({"s2_folder": "a/../../b"}, "leads out of the folder"),
        ({"s2_folder": "a\0b"}, "leads out of the folder"),
        ({"sesaon": "Fall"}, "has the unknown columns 'sesaon'. Expected"),
        ({"s2_10m": "x.tif"}, "has s2_folder and s2_10m for band B02 of S2"),
        ({"VV": "x.tif"}, "has no column for band VH of S1. Expected one of"),
    ],
)
def test_a_row_that_cannot_be_is_refused(tmp_path, change, match):
    path = _write(tmp_path, ROW | change)
    with pytest.raises(errors.UserError, match=match):
        own_table.read(path)


def test_a_name_is_listed_once(tmp_path):
    path = _write(tmp_path, ROW, ROW | {"split": "test"})
    with pytest.raises(errors.UserError, match=r"row 2: .* a is listed twice"):
        own_table.read(path)


def test_files_may_lie_in_another_folder_that_is_named(tmp_path):
    path = _write(tmp_path, ROW | {"s2_folder": "/x/y/a"})
    table = own_table.read(path, files_dir="/x/y")
    assert table.paths == {"S2": {"s2_folder": ["/x/y/a"]}}
    with pytest.raises(errors.UserError, match="leads out of the folder /x/z"):
        own_table.read(path, files_dir="/x/z")
    # A name that begins alike is another folder.
    with pytest.raises(errors.UserError, match="leads out of the folder /x/y/"):
        own_table.read(path, files_dir="/x/y/a1")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "lacks the columns 'patch_name', 'labels', 'split'"),
        (b"patch_name,labels,split\n", "lists no patch"),
        (b"patch_name,labels,split\na,b\n", "line 2 has 2 cells, the first"),
        (b"patch_name,labels,split,split\na,b,c,d\n", "has twice the columns"),
        (b"patch_name,labels,split\na,Pastures,train\n", "does not say where"),
        (b'patch_name,labels,split\n"a', "cannot be read"),
        (b"patch_name;labels;split\n", "lacks the columns"),
        (b"\xff\xfe\0", "cannot be read"),
        (b"PAR1 is no table PAR1", "cannot be read"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, match):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(errors.UserError, match=match):
        own_table.read(path)


def test_a_table_of_a_spreadsheet_is_read(tmp_path):
    path = _write(tmp_path, ROW)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert list(own_table.read(path).pairs) == ["a"]
