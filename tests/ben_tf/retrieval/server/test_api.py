"""The interface for programs, against the library's own answers."""

import io
import json
import re
import struct
import tempfile
import zipfile

import fastapi.testclient
import geopandas
import numpy as np
import pytest
from PIL import Image

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.retrieval import answer_formats
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import query as query_lib
from ben_tf.retrieval import where
from ben_tf.retrieval.server import collection as collection_lib
from ben_tf.retrieval.server import examples
from ben_tf.retrieval.server import server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(sample_index, data_dir):
    made = server.make_app(
        collection_lib.Collection([sample_index], data_dir=data_dir)
    )
    with fastapi.testclient.TestClient(
        made, raise_server_exceptions=False
    ) as client:
        yield client


@pytest.fixture(scope="module")
def index(sample_index):
    return index_lib.Index.open(sample_index)


def _ask(client, **query):
    response = client.post("/api/v1/query", json=query)
    assert response.status_code == 200, response.text
    (answer,) = response.json()["answers"]
    return answer


def _names(answer):
    return [hit["name"] for hit in answer["hits"]]


def test_a_query_by_name_is_that_of_the_library(client, index):
    name = str(index.names[0])
    expected = query_lib.query(index, names=[name], k=4)
    answer = _ask(client, positives=[name], k=4)
    assert _names(answer) == list(expected.hits.names[0])
    np.testing.assert_allclose(
        [hit["distance"] for hit in answer["hits"]],
        expected.hits.distances[0],
        rtol=1e-5,
    )
    assert answer["query"]["labels"] == list(expected.queries[0].labels)


def test_examples_filters_and_pages(client, index):
    patches = index.describe(np.arange(len(index.names)))
    liked, disliked = patches[0].name, patches[1].name
    expected = query_lib.query(
        index,
        positives=[liked],
        negatives=[disliked],
        k=9,
        where=where.Where(seasons=["Summer", "Spring"]),
    )
    query = {
        "positives": [liked],
        "negatives": [disliked],
        "where": {"seasons": ["Summer", "Spring"]},
    }
    hits = [hit.name for hit in expected.hits]
    assert _names(_ask(client, k=9, **query)) == hits
    second = _ask(client, k=2, offset=2, **query)
    assert _names(second) == hits[2:4]
    assert [hit["rank"] for hit in second["hits"]] == [3, 4][: len(hits) - 2]
    day = patches[5].date.isoformat()
    answer = _ask(
        client,
        positives=[liked],
        k=99,
        where={"first_day": day, "last_day": day},
    )
    assert sorted(_names(answer)) == sorted(
        patch.name for patch in patches[1:] if patch.date == patches[5].date
    )


def test_an_embedding_is_a_query(client, index):
    vector = index.embeddings[3].tolist()
    answer = _ask(
        client,
        embedding=vector,
        fingerprint=index.manifest.fingerprint,
        k=1,
    )
    assert _names(answer) == [str(index.names[3])]
    assert answer["hits"][0]["distance"] == 0


def test_formats(client, index, tmp_path):
    query = {"positives": [str(index.names[0])], "k": 3}
    expected = _names(_ask(client, **query))
    for name in ("geojson", "parquet"):
        response = client.post("/api/v1/query", json=query | {"format": name})
        file = tmp_path / f"hits.{name}"
        file.write_bytes(response.content)
        table = (
            geopandas.read_parquet(file)
            if name == "parquet"
            else geopandas.read_file(file)
        )
        hits = table[table["rank"].notna()]
        assert hits["name"].tolist() == expected
        assert table.crs.name.startswith("WGS 84")
        centres = hits.geometry.centroid
        np.testing.assert_allclose(centres.x, hits.longitude_deg, atol=1e-3)
    response = client.post("/api/v1/query", json=query | {"format": "csv"})
    assert response.headers["content-type"].startswith("text/csv")
    assert response.text.count("\n") == 1 + 3


def test_points_are_the_patches_of_the_index(client, index):
    data = client.get("/api/v1/points").content
    num = len(index.names)
    assert len(data) == 23 * num
    patches = index.describe(np.arange(num))
    for row in (0, num - 1):
        longitude, latitude = (
            struct.unpack_from("<f", data, 4 * (column * num + row))[0]
            for column in (0, 1)
        )
        assert longitude == pytest.approx(patches[row].longitude, abs=1e-5)
        assert latitude == pytest.approx(patches[row].latitude, abs=1e-5)
        (bits,) = struct.unpack_from("<I", data, 4 * (2 * num + row))
        labels = {
            name
            for place, name in enumerate(index.manifest.class_names)
            if bits >> place & 1
        }
        assert labels == set(patches[row].labels)
        (day,) = struct.unpack_from("<i", data, 4 * (4 * num + row))
        expected = (patches[row].date - patches[row].date.min).days - 719162
        assert day == expected
        response = client.get(f"/api/v1/patches?row={row}")
        (found,) = response.json()["patches"]
        assert found["name"] == patches[row].name


def test_patches_by_the_beginning_of_their_name(client, index):
    prefix = str(index.names[2])[:12]
    expected = [n for n in index.names.tolist() if n.startswith(prefix)]
    found = client.get(f"/api/v1/patches?prefix={prefix}&limit=100").json()
    assert [patch["name"] for patch in found["patches"]] == expected
    found = client.get("/api/v1/patches?prefix=zzz").json()
    assert found == {"patches": []}


@pytest.mark.parametrize("picture", ["true_colour", "false_colour", "radar"])
def test_pictures(client, index, picture):
    response = client.get(f"/api/v1/patches/{index.names[0]}/{picture}.png")
    assert response.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(response.content)).size == (120, 120)
    again = client.get(f"/api/v1/patches/{index.names[0]}/{picture}.png")
    assert again.content == response.content


def _files(folder):
    return [
        ("files", (path.name, path.read_bytes()))
        for path in sorted(folder.glob("*.tif"))
    ]


@pytest.fixture
def own_files(index, sample_archive_dir):
    """The bands of the first patch of the index, from the archive."""
    from ben_tf.archive import official_lists

    name = str(index.names[0])
    s1_name = official_lists.official_patches()[name].s1_name
    return [
        *_files(sample_archive_dir / "BigEarthNet-v1.0" / name),
        *_files(sample_archive_dir / "BigEarthNet-S1-v1.0" / s1_name),
    ]


def test_an_upload_finds_itself(client, index, own_files):
    response = client.post("/api/v1/uploads", files=own_files)
    assert response.status_code == 201, response.text
    sent = response.json()
    assert sent["name"] == str(index.names[0])
    assert sent["pictures"] == ["true_colour", "false_colour", "radar"]
    answer = _ask(client, upload=sent["upload"], k=1)
    assert _names(answer) == [str(index.names[0])]
    assert answer["hits"][0]["distance"] == pytest.approx(0, abs=1e-4)
    for picture in sent["pictures"]:
        mine = client.get(f"/api/v1/uploads/{sent['upload']}/{picture}.png")
        theirs = client.get(f"/api/v1/patches/{sent['name']}/{picture}.png")
        assert mine.content == theirs.content


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda files: files[1:], "_B01.tif is missing in the upload"),
        (lambda files: [("files", ("../../x", b"?"))], "cannot be read as an"),
        (lambda files: [("files", ("x", b""))] * 2, "end with the band"),
        (lambda files: [("files", ("/etc/S2A_x_B02.tif", b"II*\0"))], ""),
        (
            lambda files: [("files", ("x" * 300 + "_B02.tif", b"")), *files],
            "Expected one Sentinel-2 product",
        ),
        (
            lambda files: [("files", (files[0][1][0], b"?")), *files[1:]],
            "cannot be read as a GeoTIFF",
        ),
    ],
)
def test_what_is_no_patch_is_refused(client, own_files, change, match):
    response = client.post("/api/v1/uploads", files=change(own_files))
    assert response.status_code == 422
    assert match in response.json()["error"]
    assert "/tmp" not in response.text and "/etc" not in response.text


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """The folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _zipped(scene):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for path in scene.safe.rglob("*.*"):
            file.write(path, path.relative_to(scene.safe.parent))
    return packed.getvalue()


def _send(client, files, **place):
    return client.post("/api/v1/uploads", files=files, params=place)


def _s1_file(scene):
    return ("files", ("s1.tif", scene.s1.read_bytes()))


@pytest.mark.parametrize("form", ["zip", "bands"])
def test_a_window_of_a_product_finds_itself(
    client, index, scene, elsewhere, scratch, form
):
    if form == "zip":
        files = [("files", ("S2B_X.SAFE.zip", _zipped(scene)))]
    else:
        files = [
            ("files", (f"some/{path.name}", path.read_bytes()))
            for path in scene.safe.rglob("*.*")
            if path.is_file()
        ]
    files.append(_s1_file(scene))
    longitude, latitude = scene.point
    (expected,) = index.describe(np.array([0]))
    # Without a place the middle counts, where the patch lies.
    for place in ({}, {"longitude": longitude, "latitude": latitude}):
        response = _send(client, files, **place)
        assert response.status_code == 201, response.text
        sent = response.json()
        assert sent["date_utc"] == expected.date.isoformat()
        assert sent["longitude_deg"] == pytest.approx(longitude, abs=1e-5)
        assert sent["latitude_deg"] == pytest.approx(latitude, abs=1e-5)
        (hit,) = _ask(client, upload=sent["upload"], k=1)["hits"]
        assert (hit["name"], hit["distance"]) == (
            scene.name,
            pytest.approx(0, abs=1e-4),
        )
    response = _send(
        client, files, longitude=elsewhere[0], latitude=elsewhere[1]
    )
    assert response.json()["longitude_deg"] == pytest.approx(
        elsewhere[0], abs=1e-4
    )
    assert not list(scratch.iterdir())


def _swollen():
    """400 MB of zeros in a zip file of 400 kB."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(4):
            file.writestr(f"X/T_B0{number}_10m.jp2", bytes(100 << 20))
    return packed.getvalue()


def _crowded():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for number in range(5001):
            file.writestr(f"{number}.jp2", b"")
    return packed.getvalue()


def _leading_out():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for band in bigearthnet.S2_BANDS:
            file.writestr(f"../../T_{band}.jp2", b"x")
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("x.zip", _swollen, "bytes when unpacked"),
        ("x.zip", _crowded, "at most 5,000 files. Received: 5,001"),
        ("x.zip", _leading_out, "lacks the bands"),
        ("x.ZIP", lambda: b"PK", "The zip file cannot be read"),
        ("x\0.jp2", lambda: b"?", "more|cannot be read"),
        ("MTD_MSIL2A.xml", lambda: b"<x/>", "lacks the bands"),
    ],
)
def test_what_is_no_product_is_refused(
    client, scene, scratch, name, content, match
):
    files = [("files", (name, content())), _s1_file(scene)]
    response = _send(client, files)
    assert response.status_code == 422, response.text
    assert re.search(match, response.json()["error"])
    assert str(scratch) not in response.text
    assert not list(scratch.iterdir())


@pytest.mark.parametrize(
    ("place", "match"),
    [
        ({"longitude": 0, "latitude": 0}, "0, 0 lies outside of the scene"),
        ({"longitude": 9}, "both longitude and latitude"),
        ({"longitude": 9, "latitude": 91}, "latitude: "),
        ({"longitude": "nan", "latitude": 9}, "longitude: "),
    ],
)
def test_places_that_are_not_there(client, scene, place, match):
    files = [("files", ("x.zip", _zipped(scene))), _s1_file(scene)]
    response = _send(client, files, **place)
    assert response.status_code == 422
    assert match in response.json()["error"]


def test_two_products_are_refused(client, scene):
    files = [("files", (f"{n}.zip", _zipped(scene))) for n in range(2)]
    response = _send(client, [*files, _s1_file(scene)])
    assert "Expected one Sentinel-2 product" in response.json()["error"]


def test_a_patch_has_no_place_in_it(client, own_files):
    response = _send(client, own_files, longitude=9, latitude=48)
    assert "no place in it" in response.json()["error"]


def test_a_window_of_the_scene_of_the_server(
    sample_index, data_dir, index, scene
):
    app = server.open_app(
        [sample_index],
        data_dir=data_dir,
        s2_scene=scene.safe,
        s1_scene=scene.s1,
    )
    longitude, latitude = scene.point
    with fastapi.testclient.TestClient(app) as client:
        told = client.get("/api/v1/about").json()["scene"]
        assert told["name"] == scene.safe.stem
        lies = np.array(told["outline"])
        assert (lies.min(axis=0) < scene.point).all()
        assert (lies.max(axis=0) > scene.point).all()
        place = {"longitude": longitude, "latitude": latitude}
        response = client.post("/api/v1/windows", params=place)
        assert response.status_code == 201, response.text
        answer = _ask(client, upload=response.json()["upload"], k=1)
        assert _names(answer) == [scene.name]
        place["longitude"] += 1
        response = client.post("/api/v1/windows", params=place)
        assert response.status_code == 422
        assert "lies outside of the scene" in response.json()["error"]


def test_without_a_scene_there_are_no_windows(client):
    assert client.get("/api/v1/about").json()["scene"] is None
    response = client.post("/api/v1/windows?longitude=9&latitude=48")
    assert response.status_code == 422
    assert "`s2_scene`" in response.json()["error"]


@pytest.mark.parametrize(
    ("query", "status", "match"),
    [
        ({}, 422, "Expected one of positives"),
        ({"positives": ["a"], "upload": "b"}, 422, "Expected one of positives"),
        ({"positives": ["nobody"]}, 404, "'nobody' is not in the index"),
        ({"positives": ["../../etc/passwd"]}, 404, "is not in the index"),
        ({"negatives": ["nobody"]}, 404, "is not in the index"),
        ({"upload": "nothing"}, 404, "Send it again"),
        ({"embedding": [0.0]}, 422, "fingerprint"),
        ({"positives": ["a"], "index": "other"}, 422, "Unknown index"),
        ({"positives": ["a"], "k": 0}, 422, "k: "),
        ({"positives": ["a"], "k": 999, "offset": 2}, 422, "at most 1000"),
        ({"positives": ["a"], "k": 10**9}, 422, "k: "),
        ({"positives": ["a"] * 101}, 422, "positives: "),
        ({"positives": ["a" * 256]}, 422, "positives.0: "),
        ({"positives": ["a"], "nonsense": 1}, 422, "nonsense: "),
        ({"positives": ["a"], "where": {"bbox": [1]}}, 422, "where.bbox"),
    ],
)
def test_what_cannot_be_asked_is_refused(client, query, status, match):
    response = client.post("/api/v1/query", json=query)
    assert response.status_code == status
    assert match in response.json()["error"]


@pytest.mark.parametrize(
    ("where", "match"),
    [
        ({"countries": ["Atlantis"]}, "countries"),
        ({"labels_any": ["Sea"]}, "labels_any"),
        ({"splits": ["train"]}, "splits"),
        ({"bbox": [0, 50, 0, 40]}, "bbox"),
        ({"first_day": "2018-01-02", "last_day": "2018-01-01"}, "dates"),
    ],
)
def test_conditions_that_nothing_meets_are_refused(client, index, where, match):
    query = {"positives": [str(index.names[0])], "where": where}
    response = client.post("/api/v1/query", json=query)
    assert response.status_code == 422
    assert match in response.json()["error"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null"])
def test_other_bodies_are_refused(client, content):
    response = client.post(
        "/api/v1/query",
        content=content,
        headers={"content-type": "application/json"},
    )
    assert response.status_code == 422
    assert "error" in response.json()


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/patches/nobody/radar.png",
        "/api/v1/patches/..%2F..%2Fetc%2Fpasswd/radar.png",
        "/api/v1/patches/nobody",
        "/api/v1/uploads/nothing/radar.png",
        "/assets/page.py",
        "/assets/..%2Fpage.py",
        "/nowhere",
    ],
)
def test_what_is_not_there_is_not_found(client, path):
    response = client.get(path)
    assert response.status_code == 404
    assert "root:" not in response.text and "import" not in response.text


def test_the_pages(client):
    text = client.get("/").text
    assert "Synthetic data" in text
    assert "<script>" not in text and " style=" not in text
    docs = client.get("/docs").text
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in docs
    assert client.get("/healthz").json() == {"status": "ok"}
    assert (
        client.get("/assets/search.js")
        .headers["content-type"]
        .startswith("text/javascript")
    )


def test_what_fails_says_nothing_of_the_machine(client, monkeypatch):
    def fail(*arguments):
        raise OSError("/home/somebody/secret")

    monkeypatch.setattr(collection_lib.Collection, "points", fail)
    response = client.get("/api/v1/points")
    assert response.status_code == 500
    assert response.json() == {"error": "The server failed to answer this."}


def test_a_full_queue_says_when_to_come_again(client, index, monkeypatch):
    from ben_tf.retrieval.server import batcher

    def refuse(*arguments, **options):
        raise batcher.BusyError

    monkeypatch.setattr(collection_lib.Collection, "search", refuse)
    response = client.post(
        "/api/v1/query", json={"positives": [str(index.names[0])]}
    )
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1


def test_what_fails_for_one_fails_for_no_other(
    sample_index, data_dir, index, monkeypatch
):
    def encode(answer, format_name):
        if format_name == "csv":
            raise OSError("out of order")
        return answer.query_names[0].encode()

    monkeypatch.setattr(answer_formats, "encode", encode)
    made = collection_lib.Collection([sample_index], data_dir=data_dir)
    name = next(iter(made.indexes))
    first, second = map(str, index.names[:2])
    damaged = query_lib.Query(
        patch_facts.Patch(name="damaged"),
        np.full(index.manifest.dimension, np.nan, np.float32),
        False,
        made_of=(),
    )
    searches = [
        collection_lib._Search(
            name,
            asked,
            index.manifest.modality,
            collection_lib.Page(2, 0, format_name),
            where.EVERYWHERE,
        )
        for asked, format_name in (
            (examples.Examples((first,), ()), "csv"),
            (examples.Examples((second,), ()), "json"),
            (examples.Examples(("nobody",), ()), "json"),
            (damaged, "json"),
        )
    ]
    failed, answered, *refused = made._search_all(searches)
    made.close()
    assert isinstance(failed, OSError)
    assert answered == second.encode()
    assert "'nobody' is not in the index" in str(refused[0])
    assert "NaN" in str(refused[1])


def test_about_names_what_is_served(client, index):
    found = client.get("/api/v1/about").json()
    (one,) = found["indexes"]
    assert one["num_patches"] == len(index.names)
    assert one["model_fingerprint"] == index.manifest.fingerprint
    assert found["synthetic"] is True
    assert str(index.path) not in json.dumps(found)


def test_an_index_of_other_records_is_not_served(
    sample_index, reordered_data_dir
):
    with pytest.raises(errors.UserError, match="holds other records"):
        collection_lib.Collection([sample_index], data_dir=reordered_data_dir)


def test_two_indexes_of_one_name_are_refused(sample_index, data_dir):
    with pytest.raises(errors.UserError, match="Two indexes are called"):
        collection_lib.Collection(
            [sample_index, sample_index], data_dir=data_dir
        )
