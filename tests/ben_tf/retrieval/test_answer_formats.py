"""Answers read back with other people's readers, against values by hand."""

import csv
import dataclasses
import datetime
import io
import json

import numpy as np
import pandas as pd
import pytest
from rasterio import features

import ben_tf
from ben_tf import errors
from ben_tf.retrieval import answer_formats
from ben_tf.retrieval import index
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import query
from tests.ben_tf.retrieval import conftest
from tests.ben_tf.retrieval import index_folders

QUERY = "S2A_MSIL2A_20170613T101031_0_45"
# What a spreadsheet would run.
FORMULA = '=HYPERLINK("x","y")'
FAR = "S2B_MSIL2A_20180228T095029_77_3"
# The middle of the first is where the central meridian of zone 33, 15 degrees
# east, meets the equator.
UPPER_LEFT = {
    QUERY: (499_400, 600),
    FORMULA: (499_400, 6_000_000),
    FAR: (20_000_000, 20_000_000),
}
DATASET = "bigearthnet_mm/v1/1.0.0"
RECORDS = "cd" * 32


@pytest.fixture
def made(write):
    """Writes an index of a query, two hits and one far away."""

    def write_small(**options):
        labels = np.zeros((3, 19), np.uint8)
        labels[0, :2] = labels[2, 3] = 1
        return write(
            names=np.array([QUERY, FORMULA, FAR]),
            labels=labels,
            embeddings=np.array([[0], [1.5], [4]], np.float32),
            epsg=np.full(3, 32633),
            upper_left=np.array([*UPPER_LEFT.values()], np.float64),
            countries=np.array([0, 2, 255]),
            seasons=np.array([2, 0, 255]),
            days=patch_facts.days_in_names([QUERY, FORMULA, FAR]),
            split_numbers=np.array([0, 0, 255]),
            distance="euclidean",
            **{
                "synthetic": False,
                "model": "resnet50",
                "dataset": DATASET,
                "records": RECORDS,
                **options,
            },
        )

    return write_small


@pytest.fixture
def ask(made):
    def ask_index(name=QUERY, k=2, **options):
        return query.query(index.Index.open(made(**options)), names=[name], k=k)

    return ask_index


def _check_origin(origin, *, synthetic=False):
    created = datetime.datetime.fromisoformat(origin.pop("date"))
    age = datetime.datetime.now(datetime.UTC) - created
    assert datetime.timedelta(0) <= age < datetime.timedelta(minutes=5)
    assert origin == {
        "synthetic": synthetic,
        "model": "resnet50",
        "model_fingerprint": conftest.FINGERPRINT,
        "dataset": DATASET,
        "dataset_fingerprint": RECORDS,
        "splits": ["test"],
        "modality": "MM",
        "query_modality": "MM",
        "distance_name": "euclidean",
        "search": "flat",
        "software": f"ben_tf {ben_tf.__version__}",
    }


@pytest.mark.parametrize("synthetic", [False, True])
def test_json(ask, synthetic):
    found = json.loads(answer_formats.write(ask(synthetic=synthetic), "json"))
    _check_origin(found["origin"], synthetic=synthetic)
    (answer,) = found["answers"]
    assert answer["query"] == {
        "name": QUERY,
        "labels": ["Urban fabric", "Industrial or commercial units"],
        "country": "Austria",
        "season": "Summer",
        "split": "test",
        "date_utc": "2017-06-13",
        "longitude_deg": pytest.approx(15, abs=1e-7),
        "latitude_deg": pytest.approx(0, abs=1e-7),
    }
    near, far = answer["hits"]
    assert near.pop("latitude_deg") == pytest.approx(54.1, abs=0.1)
    assert near == {
        "rank": 1,
        "distance": 1.5,
        "name": FORMULA,
        "labels": [],
        "country": "Finland",
        "season": "Winter",
        "split": "test",
        "date_utc": None,
        "longitude_deg": pytest.approx(15, abs=1e-7),
    }
    assert far == {
        "rank": 2,
        "distance": 4,
        "name": FAR,
        "labels": ["Permanent crops"],
        "country": None,
        "season": None,
        "split": None,
        "date_utc": "2018-02-28",
        "longitude_deg": None,
        "latitude_deg": None,
    }


def test_geojson(ask):
    found = json.loads(
        answer_formats.write(ask(synthetic=True), "geojson"),
        parse_constant=lambda name: pytest.fail(f"{name} is no JSON"),
    )
    assert found["type"] == "FeatureCollection"
    _check_origin(found["origin"], synthetic=True)
    asked, near, far = found["features"]
    assert {x["type"] for x in found["features"]} == {"Feature"}
    assert far["geometry"] is None
    assert features.is_valid_geom(asked["geometry"])
    (ring,) = asked["geometry"]["coordinates"]
    assert ring[0] == ring[-1] and len(ring) == 5
    # 1.2 km around 15 degrees east on the equator, where a degree has 111.3 km
    # along it and 110.6 km across; Mercator's projection takes 0.04 %.
    west, south, east, north = features.bounds(asked["geometry"])
    assert (west + east) / 2 == pytest.approx(15, abs=1e-6)
    assert (south + north) / 2 == pytest.approx(0, abs=1e-6)
    assert east - west == pytest.approx(1.2 / 0.9996 / 111.32, rel=1e-3)
    assert north - south == pytest.approx(1.2 / 0.9996 / 110.574, rel=1e-3)
    # Counterclockwise: the area by the shoelace formula is positive.
    x, y = np.array(ring).T
    assert (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() > 0
    shared = {"query": QUERY, "synthetic": True}
    assert asked["properties"].items() >= {"role": "query", **shared}.items()
    for feature, rank in ((near, 1), (far, 2)):
        properties = feature["properties"]
        assert properties.keys() == asked["properties"].keys()
        expected = {"role": "hit", "rank": rank, **shared}
        assert properties.items() >= expected.items()


def test_csv(ask):
    text = answer_formats.write(ask(), "csv")
    table = pd.read_csv(io.StringIO(text), keep_default_na=False)
    assert table["query_name"].tolist() == [QUERY] * 2
    assert table["rank"].tolist() == [1, 2]
    assert table["distance"].tolist() == [1.5, 4]
    assert table["name"].tolist() == [f"'{FORMULA}", FAR]
    assert (
        table["query_labels"].tolist()
        == ["Urban fabric; Industrial or commercial units"] * 2
    )
    assert table["country"].tolist() == ["Finland", ""]
    near, far = table["longitude_deg"]
    assert float(near) == pytest.approx(15, abs=1e-7)
    assert far == ""
    (origin,) = {
        tuple(row)
        for row in table.loc[:, "synthetic":].drop(columns="date").values
    }
    assert origin == (
        *(False, "resnet50", conftest.FINGERPRINT, DATASET, RECORDS, "test"),
        *("MM", "MM", "euclidean", "flat", f"ben_tf {ben_tf.__version__}"),
    )


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@x", "=cmd|' /C calc'!A0", '=a","b']
)
def test_no_cell_is_a_formula(made, name):
    path = made()
    index_folders.edit_manifest(path, model=name, dataset=name)
    answer = query.query(index.Index.open(path), names=[FORMULA], k=2)
    (header, *rows) = csv.reader(
        io.StringIO(answer_formats.write(answer, "csv"))
    )
    assert {len(row) for row in rows} == {len(header)}
    assert not [
        cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))
    ]
    assert rows[0][header.index("model")] == f"'{name}"


def test_table(ask):
    lines = answer_formats.write(ask(synthetic=True), "table").splitlines()
    assert lines[0] == f"{QUERY}: most similar patches (euclidean)"
    assert lines[2].split()[:6] == [
        *("query", QUERY, "Austria", "2017-06-13", "15.0000", "0.0000")
    ]
    assert lines[4].split()[:7] == [
        "2",
        "4.0000",
        FAR,
        "?",
        "2018-02-28",
        "?",
        "?",
    ]
    assert lines[4].endswith("  Permanent crops")
    assert (
        f"Model resnet50 (abababababab), index of {DATASET}, test" in lines[5]
    )
    assert f"ben_tf {ben_tf.__version__}" in lines[5]
    assert lines[6].startswith("Synthetic patches: ")
    real = answer_formats.write(ask(), "table")
    assert "ynthetic" not in real


def test_nothing_steers_the_terminal(made):
    path = made()
    index_folders.edit_manifest(path, model="\x1b[2Jx", dataset="\x9b2J")
    answer = query.query(index.Index.open(path), names=[QUERY], k=1)
    for name in answer_formats.FORMATS:
        text = answer_formats.write(answer, name)
        assert all(x.isprintable() or x == "\n" for x in text), name


def test_an_index_of_before_answers(made):
    path = made(model="", dataset="")
    index_folders.make_older(path)
    for name in answer_formats.FORMATS:
        answer = query.query(index.Index.open(path), names=[QUERY], k=2)
        assert answer_formats.write(answer, name)
    found = json.loads(answer_formats.write(answer, "json"))
    assert found["origin"]["model"] is found["origin"]["dataset"] is None
    assert found["answers"][0]["query"]["country"] is None
    assert "unknown dataset" in answer_formats.write(answer, "table")


def test_a_query_without_hits_is_there(write, archive):
    one = {
        name: values[:1]
        for name, values in archive.items()
        if isinstance(values, np.ndarray)
    }
    opened = index.Index.open(write(**one))
    answer = query.query(opened, names=[str(one["names"][0])])
    (row,) = csv.DictReader(io.StringIO(answer_formats.write(answer, "csv")))
    assert row["query_name"] == one["names"][0]
    assert row["rank"] == row["name"] == ""
    found = json.loads(answer_formats.write(answer, "json"))
    assert found["answers"][0]["hits"] == []
    (feature,) = json.loads(answer_formats.write(answer, "geojson"))["features"]
    assert feature["properties"]["role"] == "query"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_distance_that_is_no_number_is_none_in_json(ask, value):
    answer = ask()
    distances = np.full_like(answer.hits.distances, value)
    hits = dataclasses.replace(answer.hits, distances=distances)
    answer = dataclasses.replace(answer, hits=hits)
    found = json.loads(answer_formats.write(answer, "json"))
    assert found["answers"][0]["hits"][0]["distance"] is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (None, "table"),
        ("hits.txt", "table"),
        ("a.csv/hits", "table"),
        ("hits.CSV", "csv"),
        ("hits.json", "json"),
        ("/a/hits.geojson", "geojson"),
    ],
)
def test_the_ending_of_a_file_is_its_format(path, expected):
    assert answer_formats.format_of(path) == expected


def test_an_unknown_format(ask):
    with pytest.raises(errors.UserError, match="`format=xml`"):
        answer_formats.write(ask(), "xml")
