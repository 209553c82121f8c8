"""The JSON of a patch: the real ones, and everything that is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies

from ben_tf import errors
from ben_tf.archive import patch_json


@pytest.fixture
def contents(real_archive) -> dict[str, dict]:
    """The content of a real file of each sensor."""
    name = "*_87_48_labels_metadata.json"
    return {
        sensor: json.loads(next(real_archive.glob(pattern)).read_text())
        for sensor, pattern in (
            ("S1", f"BigEarthNet-S1-v1.0/*/{name}"),
            ("S2", f"BigEarthNet-v1.0/*/{name}"),
        )
    }


def parse(content, sensor="S2"):
    return patch_json.parse(
        json.dumps(content).encode(), place="p/x.json", sensor=sensor
    )


def test_real_files(contents):
    s1 = parse(contents["S1"], "S1")
    s2 = parse(contents["S2"])
    assert s2.labels == (
        "Non-irrigated arable land",
        "Land principally occupied by agriculture, with significant areas of "
        "natural vegetation",
    )
    assert s2.footprint == (32633, (404_400, 5_342_400))
    assert s2.time == "2017-06-13T10:10:31"
    assert s2.s2_name == ""
    assert s1[:2] == s2[:2]
    assert s1.time == "2017-06-13T16:50:43"
    assert s1.s2_name == "S2A_MSIL2A_20170613T101031_87_48"


def test_labels_come_in_the_order_of_the_nomenclature(contents):
    contents["S2"]["labels"] = ["Sea and ocean", "Pastures"]
    assert parse(contents["S2"]).labels == ("Pastures", "Sea and ocean")


def test_s1_may_spell_the_lower_corner_as_documented(contents):
    corners = contents["S1"]["coordinates"]
    corners["lry"] = corners.pop("lly")
    assert parse(contents["S1"], "S1").footprint.upper_left == (
        404_400,
        5_342_400,
    )


BIG = 10**400


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("labels", [], "unusable labels"),
        ("labels", "Pastures", "unusable labels"),
        ("labels", [1], "unusable labels"),
        ("labels", [["Pastures"]], "unusable labels"),
        ("labels", ["Pastures", "Pastures"], "unusable labels"),
        ("labels", ["Moon"], "unknown label 'Moon'"),
        # The 19-class spelling of the woodland class.
        ("labels", ["Transitional woodland, shrub"], "unknown label"),
        ("coordinates", [], "unusable coordinates"),
        ("coordinates", {"ulx": 1}, "unusable coordinates"),
        ("ulx", "404400", "unusable coordinates"),
        ("ulx", True, "unusable coordinates"),
        ("ulx", None, "unusable coordinates"),
        ("ulx", BIG, "unusable coordinates"),
        ("ulx", -BIG, "unusable coordinates"),
        ("ulx", 404_410, "out of range"),
        ("ulx", 404_400.5, "out of range"),
        ("uly", -5_342_400, "out of range"),
        ("projection", 32633, "unknown projection"),
        ("projection", "", "unknown projection"),
        ("projection", 'X[AUTHORITY["EPSG","4326"]]', "unknown projection"),
        ("acquisition_date", 20170613, "unusable time"),
        ("acquisition_date", "2017-06-13", "unusable time"),
        ("acquisition_date", "2017-02-30 10:10:31", "unusable time"),
        ("acquisition_date", "2017-06-13 10:10:61", "unusable time"),
        ("surplus", 1, "Expected the keys"),
    ],
)
def test_values_that_are_refused(contents, key, value, reason):
    content = contents["S2"]
    target = content["coordinates"] if key in ("ulx", "uly") else content
    target[key] = value
    with pytest.raises(errors.ArchiveError, match=reason) as caught:
        parse(content)
    assert str(caught.value).startswith("p/x.json has ")
    assert len(str(caught.value)) < 1_000


def test_a_missing_key_is_refused(contents):
    for key in list(contents["S2"]):
        content = {k: v for k, v in contents["S2"].items() if k != key}
        with pytest.raises(errors.ArchiveError, match="Expected the keys"):
            parse(content)


def test_partner_must_be_a_name(contents):
    contents["S1"]["corresponding_s2_patch"] = 1
    with pytest.raises(errors.ArchiveError, match="corresponding_s2_patch"):
        parse(contents["S1"], "S1")


def test_a_key_that_stands_twice_is_refused(contents):
    text = json.dumps(contents["S2"])
    twice = '{"labels": ["Pastures"], ' + text[1:]
    with pytest.raises(errors.ArchiveError, match="a key stands in it twice"):
        patch_json.parse(twice.encode(), place="p/x.json", sensor="S2")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[1]",
        b"\xff\xfe",
        b'{"labels": NaN}',
        b"[" * 100_000,
        b'{"labels": ' + b"9" * 10_000 + b"}",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_broken_files_are_refused(data):
    with pytest.raises(errors.ArchiveError, match=r"JSON|Expected"):
        patch_json.parse(data, place="p/x.json", sensor="S2")


JSON_VALUES = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text(),
    lambda children: (
        strategies.lists(children)
        | strategies.dictionaries(strategies.text(), children)
    ),
    max_leaves=8,
)


@pytest.mark.slow
@given(
    content=strategies.fixed_dictionaries(
        {key: JSON_VALUES for key in ("labels", "projection", "tile_source")}
        | {
            "coordinates": JSON_VALUES
            | strategies.fixed_dictionaries(
                {key: JSON_VALUES for key in ("ulx", "uly", "lrx", "lry")}
            ),
            "acquisition_date": JSON_VALUES,
        }
    )
)
def test_any_json_raises_only_the_declared_error(content):
    with pytest.raises(errors.ArchiveError):
        parse(content)
