"""Predictions of patches, against the SavedModel asked by hand."""

import csv
import json
import shutil
import struct

import geopandas
import numpy as np
import pandas
import pytest
import rasterio
import tensorflow as tf
import tensorflow_datasets as tfds
from pyarrow import parquet

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import saved_model
from ben_tf.archive import patch_files
from ben_tf.archive import plausibility
from ben_tf.predict import output_files
from ben_tf.predict import patches
from tests import in_process

_S2_FOLDER = "BigEarthNet-v1.0"
_S1_FOLDER = "BigEarthNet-S1-v1.0"
_GRIDS = tuple(bigearthnet.GRIDS)
_TAGS = {"model": "x"}
_PLACE = ("epsg", "upper_left")


@pytest.fixture(scope="module")
def expected(data_dir, workdir):
    """Patch name -> probabilities of all patches, by TFDS and the model."""
    model = tf.saved_model.load(str(workdir / "saved_model"))
    probabilities = {}
    for split in ("train", "validation", "test", "excluded"):
        dataset = tfds.load("bigearthnet_mm", data_dir=data_dir, split=split)
        dataset = dataset.map(
            lambda e: {name: e[name] for name in ("patch_name", *_GRIDS)}
        )
        for example in tfds.as_numpy(dataset.batch(64)):
            inputs = {name: tf.constant(example[name]) for name in _GRIDS}
            probabilities |= zip(
                np.char.decode(example["patch_name"].astype(bytes)),
                model.serve(inputs).numpy(),
                strict=True,
            )
    return probabilities


@pytest.fixture(scope="module")
def true_labels(data_dir):
    """Patch name -> names of its 19-class labels, by TFDS."""
    found = {}
    for split in ("train", "validation", "test", "excluded"):
        dataset, info = tfds.load(
            "bigearthnet_mm", data_dir=data_dir, split=split, with_info=True
        )
        name_of = info.features["labels_19"].feature.int2str
        dataset = dataset.map(
            lambda e: {name: e[name] for name in ("patch_name", "labels_19")}
        )
        for example in tfds.as_numpy(dataset):
            found[example["patch_name"].decode()] = [
                name_of(int(label)) for label in example["labels_19"]
            ]
    return found


def _read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _assert_equal(rows, expected, *, names):
    assert sorted(row["patch_name"] for row in rows) == sorted(names)
    for row in rows:
        np.testing.assert_allclose(
            [float(row[name]) for name in bigearthnet.CLASSES_19],
            expected[row["patch_name"]],
            atol=2e-5,
        )


def test_archive_becomes_csv(
    sample_archive_dir, workdir, expected, true_labels, tmp_path
):
    num, faults, tags = patches.predict(
        saved_model=workdir / "saved_model",
        input_paths=[str(sample_archive_dir)],
        output=tmp_path / "labels.csv",
        batch_size=20,
    )
    assert (num, faults) == (48, [])
    assert tags["synthetic"] == "true"
    rows = _read_csv(tmp_path / "labels.csv")
    for row in rows:
        assert {name: row[name] for name in tags} == tags
    _assert_equal(rows, expected, names=expected)
    for row in rows:
        probable = np.flatnonzero(expected[row["patch_name"]] >= 0.5)
        assert row["labels"] == "; ".join(
            bigearthnet.CLASSES_19[index] for index in probable
        )
        true = true_labels[row["patch_name"]]
        assert row["true_labels"] == "; ".join(true)


def _polygons(table):
    """(N, 5, 2) points of polygons in well-known binary."""
    rings = []
    for shape in table.column("geometry").to_pylist():
        assert struct.unpack_from("<BIII", shape) == (1, 3, 1, 5)
        rings.append(np.frombuffer(shape, "<f8", offset=13).reshape(5, 2))
    return np.array(rings)


def test_split_becomes_geoparquet(
    data_dir, workdir, expected, true_labels, tmp_path
):
    path = tmp_path / "labels.parquet"
    patches.predict(
        saved_model=workdir / "saved_model", data_dir=data_dir, output=path
    )
    table = parquet.read_table(path)
    assert table.schema.field("labels").type.value_type == "string"
    dataset = tfds.load("bigearthnet_mm", data_dir=data_dir, split="test")
    examples = {
        e["patch_name"].decode(): e
        for e in tfds.as_numpy(
            dataset.map(
                lambda e: {name: e[name] for name in ("patch_name", *_PLACE)}
            )
        )
    }
    rows = table.to_pylist()
    _assert_equal(rows, expected, names=examples)
    for row, ring in zip(rows, _polygons(table), strict=True):
        assert row["true_labels"] == true_labels[row["patch_name"]]
        example = examples[row["patch_name"]]
        xs, ys = rasterio.warp.transform(
            "EPSG:4326", f"EPSG:{example['epsg']}", *ring.T
        )
        left, top = example["upper_left"]
        np.testing.assert_allclose(
            xs, left + np.array([0, 1200, 1200, 0, 0]), atol=1e-3
        )
        np.testing.assert_allclose(
            ys, top - np.array([1200, 1200, 0, 0, 1200]), atol=1e-3
        )
    metadata = table.schema.metadata
    geo = json.loads(metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"][geo["primary_column"]]["encoding"] == "WKB"
    assert metadata[b"fingerprint"].decode() == (
        saved_model.load(workdir / "saved_model").fingerprint
    )
    assert metadata[b"synthetic"] == b"true"


@pytest.mark.parametrize("suffix", ["parquet", "geojson", "csv"])
def test_geopandas_and_pandas_read_columns_of_each_class(
    sample_archive_dir, workdir, expected, true_labels, tmp_path, suffix
):
    """A column for each class, and one for whether it is true."""
    path = tmp_path / f"labels.{suffix}"
    patches.predict(
        saved_model=workdir / "saved_model",
        input_paths=[str(sample_archive_dir)],
        output=path,
    )
    if suffix == "csv":
        frame = pandas.read_csv(path)
    elif suffix == "parquet":
        frame = geopandas.read_parquet(path)
        assert frame.crs.equals("OGC:CRS84")
    else:
        frame = geopandas.read_file(path)
        assert frame.crs.equals("EPSG:4326")
    names = list(bigearthnet.CLASSES_19)
    truth = [f"true_{name}" for name in names]
    assert list(frame.columns[3:41]) == names + truth
    assert (frame[truth].dtypes.astype(str) == "bool").all()
    for row in frame.to_dict("records"):
        name = row["patch_name"]
        np.testing.assert_allclose(
            [row[c] for c in names], expected[name], atol=2e-5
        )
        assert [c for c in names if row[f"true_{c}"]] == [
            c for c in names if c in true_labels[name]
        ]
    if suffix != "csv":
        assert frame.geometry.is_valid.all()
        # The archive reaches from Portugal to Finland.
        left, bottom, right, top = frame.total_bounds
        assert -10 < left < right < 33
        assert 36 < bottom < top < 71


def test_columns_are_those_of_the_file(tmp_path):
    """What a STAC item says of a table."""
    batch = output_files.Patches(
        ["x"], np.array([32629]), np.array([[6e5, 4.5e6]]), [None]
    )
    for suffix in (".csv", ".parquet", ".geojson"):
        path = tmp_path / f"labels{suffix}"
        with output_files.open_writer(path, ["A", "B"], {}) as write:
            write(batch, np.zeros((1, 2), np.float32))
        columns = output_files.columns(path, ["A", "B"])
        if suffix == ".csv":
            (header, row) = csv.reader(path.open())
            assert header == list(columns)
            assert row[-2:] == ["", ""]
        elif suffix == ".parquet":
            schema = parquet.read_schema(path)
            assert schema.names == list(columns)
            types = [str(x).partition("<")[0] for x in schema.types]
            assert types == list(columns.values())
        else:
            (feature,) = json.loads(path.read_text())["features"]
            assert list(feature["properties"]) == list(columns)
            assert feature["properties"]["true_A"] is None


def test_a_nomenclature_that_a_dataset_lacks_has_no_truth(
    v2_data_dir, workdir, tmp_path, monkeypatch
):
    """A model of 43 classes, and patches of v2.0."""
    served = saved_model.load(workdir / "saved_model")

    class Fake:
        class_names = bigearthnet.CLASSES_43
        input_names = served.input_names
        model, fingerprint = "fake", ""
        trained_on, trained_on_synthetic = (), True

        def serve(self, inputs):
            values = served.serve(inputs)
            return tf.pad(values, [[0, 0], [0, 43 - 19]])

    monkeypatch.setattr(saved_model, "load", lambda path: Fake())
    path = tmp_path / "labels.parquet"
    patches.predict(saved_model="x", data_dir=v2_data_dir, output=path)
    table = parquet.read_table(path)
    assert table.num_rows
    assert table.column("true_labels").null_count == table.num_rows


def test_parquet_has_rows_without_a_place(tmp_path):
    path = tmp_path / "labels.parquet"
    with output_files.open_writer(path, ["A"], _TAGS) as write:
        write(
            output_files.Patches(
                ["nowhere"],
                np.array([32629]),
                np.array([[np.inf, 4_500_000.0]]),
                [None],
            ),
            np.zeros((1, 1), np.float32),
        )
    (row,) = parquet.read_table(path).to_pylist()
    assert row["geometry"] is None
    assert row["true_labels"] is None


def test_pair_of_folders_becomes_geojson(
    sample_archive_dir, workdir, expected, true_labels, tmp_path
):
    name = min(
        path.name for path in (sample_archive_dir / _S2_FOLDER).iterdir()
    )
    s1_folder = next(
        folder
        for folder in (sample_archive_dir / _S1_FOLDER).iterdir()
        if json.loads(next(folder.glob("*.json")).read_text())[
            "corresponding_s2_patch"
        ]
        == name
    )
    s2_folder = sample_archive_dir / _S2_FOLDER / name
    path = tmp_path / "labels.geojson"
    patches.predict(
        saved_model=workdir / "saved_model",
        input_paths=[str(s2_folder), f"{s1_folder}/"],
        output=path,
    )
    content = json.loads(path.read_text())
    assert content["synthetic"] == "true"
    (feature,) = content["features"]
    properties = feature["properties"]
    assert properties["patch_name"] == name
    np.testing.assert_allclose(
        [properties[c] for c in bigearthnet.CLASSES_19],
        expected[name],
        atol=2e-5,
    )
    assert properties["true_labels"] == "; ".join(true_labels[name])
    assert not any(isinstance(x, list | dict) for x in properties.values())
    (ring,) = feature["geometry"]["coordinates"]
    assert ring[0] == ring[-1]
    with rasterio.open(s2_folder / f"{name}_B02.tif") as dataset:
        corners = rasterio.warp.transform(
            dataset.crs, "EPSG:4326", *zip(dataset.xy(0, 0), strict=True)
        )
    # The centre of the first pixel lies inside, near the upper left corner.
    np.testing.assert_allclose(ring[3], np.ravel(corners), atol=2e-4)


def test_broken_patches_are_reported_and_the_others_kept(
    sample_archive_dir, workdir, expected, tmp_path
):
    archive = tmp_path / "archive"
    shutil.copytree(sample_archive_dir, archive)
    names = sorted(path.name for path in (archive / _S2_FOLDER).iterdir())
    s2 = [archive / _S2_FOLDER / name for name in names]
    (s2[0] / f"{names[0]}_B02.tif").write_bytes(b"II*\0 broken")
    (s2[1] / f"{names[1]}_B8A.tif").unlink()
    shutil.rmtree(s2[2])
    with rasterio.open(s2[3] / f"{names[3]}_B03.tif", "r+") as dataset:
        dataset.transform = rasterio.transform.from_origin(0, 0, 10, 10)
    num, faults, _ = patches.predict(
        saved_model=workdir / "saved_model",
        input_paths=[str(archive)],
        output=tmp_path / "labels.csv",
    )
    assert num == 44
    assert len(faults) == 4
    for name in names[:2]:
        assert any(name in fault for fault in faults)
    assert any("same ground" in fault for fault in faults)
    rows = _read_csv(tmp_path / "labels.csv")
    _assert_equal(rows, expected, names=set(expected) - set(names[:4]))


def test_a_model_of_one_sensor_takes_just_that(sample_archive_dir, tmp_path):
    for grids, folder in (
        (("s1",), _S1_FOLDER),
        (("s2_10m", "s2_20m"), _S2_FOLDER),
    ):
        archive = tmp_path / folder
        shutil.copytree(sample_archive_dir / folder, archive / folder)
        for file in archive.rglob("*.json"):
            file.unlink()
        total, items = patch_files.from_archive(
            archive, grids, scratch_dir=tmp_path
        )
        found = list(items)
        assert len(found) == 48 == total
        for patch in found:
            assert set(patch.grids) == set(grids)
            assert patch.name.startswith("S1" if "s1" in grids else "S2")
        with rasterio.open(next((archive / folder).rglob("*.tif"))) as dataset:
            assert dataset.crs.to_epsg() in {
                patch.footprint.epsg for patch in found
            }


@pytest.mark.parametrize(
    ("values", "sensor", "fits"),
    [
        (np.full(9, -15.0), "S1", True),
        (np.full(9, np.nan), "S1", True),
        (np.linspace(0, 0.4, 9), "S1", False),
        (np.full(9, -9999.0), "S1", False),
        (np.linspace(0, 4000, 9), "S2", True),
        (np.linspace(0, 0.4, 9), "S2", False),
        (np.full(9, -9999.0), "S2", False),
        (np.full(9, 40_000), "S2", False),
    ],
)
def test_units_are_checked(values, sensor, fits):
    if fits:
        plausibility.check_units(values, sensor, "here")
        return
    with pytest.raises(errors.UserError, match="of here are not"):
        plausibility.check_units(values, sensor, "here")


def test_unusable_input_is_explained(
    sample_archive_dir, workdir, tmp_path, monkeypatch
):
    # Loaded once for all.
    served = saved_model.load(workdir / "saved_model")
    monkeypatch.setattr(saved_model, "load", lambda path: served)

    def fails(message, *paths, output="labels.csv"):
        with pytest.raises(errors.UserError, match=message):
            patches.predict(
                saved_model=workdir / "saved_model",
                input_paths=[str(path) for path in paths],
                output=tmp_path / output,
            )
        assert not list(tmp_path.glob("labels*"))

    s2_folder = next((sample_archive_dir / _S2_FOLDER).iterdir())
    fails("nothing to predict")
    fails("Unknown kind of output", sample_archive_dir, output="labels.xls")
    fails("There is no archive folder", tmp_path / "no")
    fails("There is no folder", tmp_path / "S2A_no")
    fails("looks at S1", s2_folder)
    fails("Expected the folder of a Sentinel-2", s2_folder, s2_folder)
    empty = tmp_path / "S1A_empty"
    empty.mkdir()
    fails("None of the 1 patches could be read", s2_folder, empty)


def test_writers_survive_any_name(tmp_path):
    hostile = 'x",\n;{}é'
    for suffix in (".csv", ".parquet", ".geojson"):
        path = tmp_path / f"labels{suffix}"
        with output_files.open_writer(path, ["A, b", hostile], _TAGS) as write:
            for _ in range(2):
                write(
                    output_files.Patches(
                        [hostile],
                        np.array([32629]),
                        np.array([[600_000.0, 4_500_000.0]]),
                        [[hostile, "c"]],
                    ),
                    np.array([[0.75, 0.25]], np.float32),
                )
    rows = _read_csv(tmp_path / "labels.csv")
    assert rows == 2 * [
        {
            "patch_name": hostile,
            "labels": "A, b",
            "true_labels": f"{hostile}; c",
            "A, b": "0.75",
            hostile: "0.25",
            "true_A, b": "false",
            f"true_{hostile}": "true",
            "model": "x",
        }
    ]
    features = json.loads((tmp_path / "labels.geojson").read_text())["features"]
    assert [f["properties"]["patch_name"] for f in features] == [hostile] * 2
    table = parquet.read_table(tmp_path / "labels.parquet")
    assert table.column(hostile).to_pylist() == [0.25, 0.25]
    assert table.column(f"true_{hostile}").to_pylist() == [True, True]


def test_geojson_holds_no_place_that_is_not_finite(tmp_path):
    path = tmp_path / "labels.geojson"
    with (
        pytest.raises(errors.UserError, match="second lies nowhere on earth"),
        output_files.open_writer(path, ["A"], {}) as write,
    ):
        write(
            output_files.Patches(
                ["first", "second"],
                np.array([32629, 32629]),
                np.array([[600_000.0, 4_500_000.0], [np.nan, 4_500_000.0]]),
                [None, None],
            ),
            np.zeros((2, 1), np.float32),
        )
    assert not list(tmp_path.iterdir())


def test_a_failed_run_leaves_no_file(tmp_path):
    with (
        pytest.raises(RuntimeError),
        output_files.open_writer(tmp_path / "labels.csv", ["A"], {}),
    ):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "hint",
    [
        "--s2_offset=0",
        "--s1_bands=VV,VH",
        "--bands=B02",
        "--reflectance_scale=1",
    ],
)
def test_hints_of_scenes_are_not_ignored(tmp_path, hint):
    finished = in_process.run(
        "ben_tf.predict",
        *("--saved_model=x", "--input=x", hint),
        f"--output={tmp_path / 'labels.csv'}",
    )
    assert finished.returncode == 1
    assert "is of whole scenes. Expected --" in finished.stderr


def test_the_dataset_is_by_default_that_of_the_model(workdir, tmp_path):
    output = tmp_path / "labels.csv"
    model = f"--saved_model={workdir / 'saved_model'}"
    split = "--split=test[:3]"
    finished = in_process.run(
        "ben_tf.predict", model, split, f"--output={output}"
    )
    assert finished.returncode == 0, finished.stderr
    assert len(output.read_text().splitlines()) == 1 + 3
    for arguments, expected in (
        (["--saved_model=x", split], "does not lie in the workdir of a run"),
        ([model, split, "--input=x"], "Expected one thing to predict"),
    ):
        finished = in_process.run(
            "ben_tf.predict", *arguments, f"--output={output}"
        )
        assert finished.returncode == 1
        assert expected in finished.stderr


def test_command_wants_exactly_one_input(workdir):
    process = in_process.run(
        "ben_tf.predict",
        f"--saved_model={workdir / 'saved_model'}",
        "--output=labels.csv",
    )
    assert process.returncode == 1
    assert process.stderr.startswith("error: Expected one thing to predict")
