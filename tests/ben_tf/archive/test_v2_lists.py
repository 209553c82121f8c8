"""Tables of BigEarthNet v2.0, whole and wrong, written with pyarrow."""

import pathlib

import pyarrow as pa
import pytest
from pyarrow import parquet

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import official_lists
from ben_tf.archive import v2_lists
from tests import permissions

# Rows of the real tables.
ROW = {
    "patch_id": "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57",
    "labels": ["Arable land", "Broad-leaved forest", "Mixed forest"],
    "split": "test",
    "country": "Austria",
    "s1_name": "S1B_IW_GRDH_1SDV_20170612T165809_33UUP_26_57",
    "s2v1_name": "S2A_MSIL2A_20170613T101031_26_57",
    "contains_seasonal_snow": False,
    "contains_cloud_or_shadow": False,
}
SECOND_ROW = ROW | {
    "patch_id": "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_27_55",
    # As the tables order them: by the alphabet.
    "labels": ["Arable land", "Inland waters", "Pastures"],
    "split": "train",
    "s1_name": "S1B_IW_GRDH_1SDV_20170612T165809_33UUP_27_55",
    "s2v1_name": "S2A_MSIL2A_20170613T101031_27_55",
}
FLAGGED_ROW = ROW | {
    "patch_id": "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_27_56",
    "s1_name": "S1B_IW_GRDH_1SDV_20170612T165809_33UUP_27_56",
    "s2v1_name": "S2A_MSIL2A_20170613T101031_27_56",
    "contains_cloud_or_shadow": True,
}


def write(folder: pathlib.Path, rows, flagged_rows=(FLAGGED_ROW,)) -> None:
    for name, content in (
        (v2_lists.TABLE, rows),
        (v2_lists.FLAGGED_TABLE, flagged_rows),
    ):
        schema = pa.schema(v2_lists.COLUMNS.items()) if not content else None
        table = pa.Table.from_pylist(list(content), schema=schema)
        parquet.write_table(table, folder / name)


def test_rows_become_pairs(tmp_path):
    write(tmp_path, [SECOND_ROW, ROW])
    pairs = v2_lists.read(tmp_path)
    assert list(pairs) == sorted(
        row["patch_id"] for row in (ROW, SECOND_ROW, FLAGGED_ROW)
    )
    pair = pairs[SECOND_ROW["patch_id"]]
    assert pair == official_lists.OfficialPatch(
        s2_name=SECOND_ROW["patch_id"],
        s1_name=SECOND_ROW["s1_name"],
        country="Austria",
        season="Summer",
        split="train",
        seasonal_snow=False,
        cloud_or_shadow=False,
        labels_19=("Arable land", "Pastures", "Inland waters"),
        v1_name=SECOND_ROW["s2v1_name"],
    )


def test_what_is_flagged_is_excluded(tmp_path):
    write(tmp_path, [ROW])
    pairs = v2_lists.read(tmp_path)
    assert pairs[ROW["patch_id"]].split == "test"
    flagged = pairs[FLAGGED_ROW["patch_id"]]
    assert flagged.split == "excluded"
    assert flagged.cloud_or_shadow
    assert not flagged.seasonal_snow


def test_every_class_keeps_its_place(tmp_path):
    write(tmp_path, [ROW | {"labels": sorted(bigearthnet.CLASSES_19)}], [])
    (pair,) = v2_lists.read(tmp_path).values()
    assert pair.labels_19 == bigearthnet.CLASSES_19


def test_further_columns_and_other_integers_of_arrow_do_not_matter(tmp_path):
    write(tmp_path, [ROW | {"note": "x"}])
    table = parquet.read_table(tmp_path / v2_lists.TABLE)
    large = table.set_column(
        0, "patch_id", table["patch_id"].cast(pa.large_string())
    )
    parquet.write_table(large, tmp_path / v2_lists.TABLE)
    assert ROW["patch_id"] in v2_lists.read(tmp_path)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"patch_id": ROW["s2v1_name"]}, "not the name of a patch"),
        ({"patch_id": f"../{ROW['patch_id']}"}, "not the name of a patch"),
        ({"patch_id": ROW["patch_id"].replace("_26_", "_27_")}, "other place"),
        ({"patch_id": ROW["patch_id"].replace("T33U", "T34U")}, "other place"),
        ({"patch_id": ROW["patch_id"].replace("0613T", "0614T")}, "or day"),
        ({"s2v1_name": "x"}, "no patch of v1.0"),
        ({"s1_name": SECOND_ROW["s1_name"]}, "another S1 patch than in v1.0"),
        ({"split": "val"}, "unknown split, 'val'"),
        ({"country": "Atlantis"}, "unknown country, 'Atlantis'"),
        ({"labels": ["Airports"]}, "unknown label 'Airports'"),
        ({"labels": []}, "without a label"),
        ({"labels": ["Pastures", "Pastures"]}, "same label twice"),
        ({"labels": ["Pastures", None]}, "a value is missing"),
        ({"labels": None}, "a value is missing"),
        ({"country": None}, "a value is missing"),
        ({"contains_seasonal_snow": True}, "the wrong one of the two tables"),
        ({"labels": "Pastures"}, "damaged or not a table"),
    ],
)
def test_rows_that_no_table_has_are_refused(tmp_path, changes, match):
    write(tmp_path, [ROW | changes])
    with pytest.raises(errors.UserError, match=match) as caught:
        v2_lists.read(tmp_path)
    assert str(tmp_path / v2_lists.TABLE) in str(caught.value)
    assert "zenodo.org/records/10891137" in str(caught.value)


def test_a_patch_that_stands_twice(tmp_path):
    write(tmp_path, [ROW, ROW])
    with pytest.raises(errors.UserError, match="stands twice"):
        v2_lists.read(tmp_path)


def test_a_column_that_is_missing(tmp_path):
    write(tmp_path, [{k: v for k, v in ROW.items() if k != "country"}])
    with pytest.raises(errors.UserError, match=r"Expected the columns"):
        v2_lists.read(tmp_path)


@pytest.mark.parametrize("name", [v2_lists.TABLE, v2_lists.FLAGGED_TABLE])
@pytest.mark.parametrize("content", [None, b"", b"PAR1nonsensePAR1"])
def test_tables_that_are_missing_or_damaged(tmp_path, name, content):
    write(tmp_path, [ROW])
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(errors.UserError, match="Download it again") as caught:
        v2_lists.read(tmp_path)
    assert str(tmp_path / name) in str(caught.value)


def test_a_table_that_may_not_be_read(tmp_path):
    write(tmp_path, [ROW])
    path = tmp_path / v2_lists.TABLE
    with (
        permissions.denied(path),
        pytest.raises(PermissionError, match=str(path)),
    ):
        v2_lists.read(tmp_path)
