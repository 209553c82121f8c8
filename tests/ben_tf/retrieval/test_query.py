import dataclasses
import json
import shutil
import types

import msgspec
import numpy as np
import pytest
import rasterio
import tensorflow_datasets as tfds
from pyarrow import parquet

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import saved_model
from ben_tf.archive import official_lists
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.retrieval import answer_formats
from ben_tf.retrieval import embedding
from ben_tf.retrieval import index
from ben_tf.retrieval import index_builder
from ben_tf.retrieval import patch_source
from ben_tf.retrieval import query
from ben_tf.scenes import layers
from tests import in_process
from tests import rasters


@pytest.fixture(scope="module")
def opened(sample_index):
    return index.Index.open(sample_index)


@pytest.fixture(scope="module")
def test_batch(data_dir):
    """All patches of the test split in one batch."""
    builder = built_dataset.open_dataset(data_dir)
    return next(
        iter(
            input_pipeline.native_batches(
                builder,
                "test",
                grids=("s1", "s2_10m", "s2_20m", "s2_60m"),
                metadata=("patch_name", "s1_name", "epsg", "upper_left"),
            )
        )
    )


@pytest.fixture(scope="module")
def grids(test_batch):
    """The arrays of the first patch."""
    return {
        name: values[0].numpy() for name, values in test_batch["inputs"].items()
    }


def test_index_holds_the_split(opened, test_batch, workdir):
    names = np.char.decode(test_batch["patch_name"].numpy().astype(bytes))
    order = np.argsort(names)
    np.testing.assert_array_equal(opened.names, names[order])
    np.testing.assert_array_equal(
        opened.labels, test_batch["labels"].numpy()[order]
    )
    np.testing.assert_array_equal(
        opened.upper_left, test_batch["upper_left"].numpy()[order]
    )
    model = saved_model.load(workdir / "saved_model")
    expected = model.embed(test_batch["inputs"]).numpy()[order]
    np.testing.assert_allclose(
        opened.embeddings, expected, rtol=1e-4, atol=1e-5
    )
    assert opened.manifest.fingerprint == model.fingerprint
    assert opened.manifest.synthetic


def test_arrays_names_and_folders_give_the_same_answer(
    opened, test_batch, grids, data_dir, sample_archive_dir
):
    name = test_batch["patch_name"][0].numpy().decode()
    s1_name = test_batch["s1_name"][0].numpy().decode()
    by_name = query.query(opened, names=[name], k=3)
    assert name not in by_name.hits.names
    by_folder = query.query(
        opened,
        s1_folder=sample_archive_dir / "BigEarthNet-S1-v1.0" / s1_name,
        s2_folder=sample_archive_dir / "BigEarthNet-v1.0" / name,
        k=3,
    )
    assert by_folder.query_names == (name,)
    np.testing.assert_array_equal(by_folder.hits.names, by_name.hits.names)
    # The index has them from the records, the folder from JSON and list.
    assert by_folder.queries == by_name.queries
    (patch,) = by_name.queries
    assert patch.country == official_lists.official_patches()[name].country
    s2 = {key: value for key, value in grids.items() if key != "s1"}
    by_arrays = opened.query(s1=grids["s1"], s2=s2, k=4)
    assert by_arrays.names[0, 0] == name
    np.testing.assert_array_equal(by_arrays.names[0, 1:], by_name.hits.names[0])
    batch = opened.query(
        s1=np.stack([grids["s1"]] * 2),
        s2={key: np.stack([value] * 2) for key, value in s2.items()},
        k=1,
    )
    np.testing.assert_array_equal(batch.names, [[name]] * 2)


def test_finds_names_of_other_splits_in_the_dataset(opened, data_dir):
    other = patch_names(data_dir, "train")[:2]
    answer = query.query(opened, names=other, data_dir=data_dir, k=2)
    assert answer.query_names == tuple(other)
    assert answer.hits.names.shape == (2, 2)
    # The table of patches beside the records is written from the archive.
    (file,) = data_dir.rglob("patches.parquet")
    table = parquet.read_table(file).to_pylist()
    expected = {row["patch_name"]: row for row in table}
    for patch in answer.queries:
        row = expected[patch.name]
        assert patch.labels == tuple(row["labels_19"])
        assert patch.country == row["country"]
        assert patch.date.isoformat() == row["s2_time"][:10]
        assert patch.longitude == pytest.approx(row["longitude"], abs=1e-9)
        assert patch.latitude == pytest.approx(row["latitude"], abs=1e-9)
    text = answer_formats.write(answer, "table")
    assert f"{other[1]}: most similar patches (chi_square)" in text
    assert str(answer.hits.names[1, 1]) in text


@pytest.fixture
def image(tmp_path, test_batch, grids):
    """The first patch as other tools export it, with 0.6 km around it."""
    left, top = test_batch["upper_left"].numpy()[0]
    names, bands = [], []
    for name, values in grids.items():
        repeats = 120 // values.shape[0]
        for index_, band in enumerate(bigearthnet.GRIDS[name].bands):
            pixels = values[..., index_].repeat(repeats, 0).repeat(repeats, 1)
            names.append(band)
            bands.append(np.pad(pixels, 60, mode="reflect"))
    return rasters.write(
        tmp_path / "around_here.tif",
        np.stack(bands).astype(np.float32),
        pixel_m=10,
        crs=f"EPSG:{test_batch['epsg'].numpy()[0]}",
        left=left - 600,
        top=top + 600,
        descriptions=names,
    )


def test_the_middle_of_an_image_is_a_query(opened, test_batch, image):
    name = test_batch["patch_name"][0].numpy().decode()
    answer = query.query(opened, image_paths=[image], k=4)
    assert answer.hits.names[0, 0] == name
    by_name = query.query(opened, names=[name], k=3)
    np.testing.assert_array_equal(
        answer.hits.names[0, 1:], by_name.hits.names[0]
    )
    (patch,), (expected,) = answer.queries, by_name.queries
    assert patch == dataclasses.replace(
        expected,
        name="around_here",
        **dict.fromkeys(("labels", "country", "season", "date", "split")),
    )


def test_the_command_takes_images(sample_index, test_batch, image, tmp_path):
    with rasterio.open(image) as source:
        pixels, names = source.read(), source.descriptions
        options = {"crs": source.crs, "left": source.bounds.left}
        options["top"] = source.bounds.top
    is_s1 = [name in bigearthnet.S1_BANDS for name in names]
    pixels[~np.array(is_s1)] /= 10_000
    paths = [
        rasters.write(
            tmp_path / f"{member}.tif",
            pixels[np.array(is_s1) == member],
            pixel_m=10,
            **options,
        )
        for member in (False, True)
    ]
    order = [name for name in names if name not in bigearthnet.S1_BANDS]
    finished = in_process.run(
        *("ben_tf.retrieval", "query", f"--index={sample_index}", "--k=1"),
        f"--image={paths[0]},{paths[1]}",
        f"--bands={','.join((*order, *bigearthnet.S1_BANDS))}",
        *("--reflectance_scale=1", "--format=geojson"),
    )
    assert finished.returncode == 0, finished.stderr
    names = [
        feature["properties"]["name"]
        for feature in json.loads(finished.stdout)["features"]
    ]
    assert names == ["False", test_batch["patch_name"][0].numpy().decode()]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"num": 100}, "covers 960 m x 960 m. Expected at least"),
        ({"fill": np.nan}, "lacks data in the middle 1200 m"),
        ({"crs": rasters.NO_EPSG}, "has no EPSG code"),
    ],
)
def test_images_that_are_no_query(opened, tmp_path, change, match):
    num = change.get("num", 240)
    pixels = np.random.default_rng(0).normal(-12, 3, (14, num, num))
    names = []
    for name in ("s2_10m", "s2_20m", "s2_60m", "s1"):
        names += bigearthnet.GRIDS[name].bands
    pixels[:-2] = 1000
    pixels[:, num // 2] = change.get("fill", pixels[:, num // 2])
    path = rasters.write(
        tmp_path / "x.tif",
        pixels.astype(np.float32),
        pixel_m=10,
        crs=change.get("crs", "EPSG:32629"),
        descriptions=names,
    )
    with pytest.raises(errors.UserError, match=match):
        query.query(opened, image_paths=[path])


def test_hints_of_no_image_are_not_ignored(opened):
    with pytest.raises(errors.UserError, match="are of images"):
        query.query(
            opened,
            names=[str(opened.names[0])],
            hints=layers.Hints(reflectance_scale=1),
        )


def test_the_dataset_is_by_default_that_of_the_model(opened, data_dir):
    other = patch_names(data_dir, "train")[:2]
    answer = query.query(opened, names=other, k=2)
    named = query.query(opened, names=other, data_dir=data_dir, k=2)
    np.testing.assert_array_equal(answer.hits.names, named.hits.names)
    alone = dataclasses.replace(
        opened,
        provenance=msgspec.structs.replace(
            opened.provenance, saved_model="elsewhere/saved_model"
        ),
    )
    with pytest.raises(
        errors.UserError, match=r"is not in the index: .* Expected `data_dir`"
    ):
        query.query(alone, names=other)


def patch_names(data_dir, split):
    builder = built_dataset.open_dataset(data_dir)
    batches = input_pipeline.native_batches(
        builder, split, grids=(), metadata=("patch_name",)
    )
    return [
        name.decode()
        for batch in batches
        for name in batch["patch_name"].numpy()
    ]


@pytest.mark.slow
def test_several_splits(workdir, data_dir, tmp_path):
    path = index_builder.build_index(
        saved_model=workdir / "saved_model",
        data_dir=data_dir,
        output_dir=tmp_path / "index",
        splits=("test", "validation"),
        batch_size=3,
    )
    expected = patch_names(data_dir, "test") + patch_names(
        data_dir, "validation"
    )
    assert list(index.Index.open(path).names) == sorted(expected)


@pytest.mark.slow
def test_unknown_name(opened, data_dir):
    with pytest.raises(errors.UserError, match="1 of 1 patches are not"):
        query.query(opened, names=["nobody"], data_dir=data_dir)


@pytest.mark.slow
def test_a_dataset_without_a_table_is_read_through(opened, data_dir, tmp_path):
    folder = shutil.copytree(data_dir, tmp_path / "data")
    (table,) = folder.rglob("patches.parquet")
    table.unlink()
    names = patch_names(data_dir, "validation")[:3]
    expected = patch_source.find(data_dir, names, grids=("s1",))
    found = patch_source.find(folder, names, grids=("s1",))
    assert found.keys() == expected.keys()
    for name, patch in expected.items():
        assert found[name].patch == patch.patch
        np.testing.assert_array_equal(
            found[name].grids["s1"], patch.grids["s1"]
        )
    with pytest.raises(errors.UserError, match="1 of 4 patches are not"):
        patch_source.find(folder, [*names, "nobody"], grids=("s1",))


def test_no_query(opened):
    with pytest.raises(errors.UserError, match="No query"):
        query.query(opened)
    with pytest.raises(errors.UserError, match="positive example"):
        query.query(opened, negatives=opened.names[:1])


@pytest.mark.slow
def test_examples_are_one_query(opened, data_dir):
    liked, disliked = opened.names[:2], opened.names[2:3]
    # One of another split: its embedding comes from the dataset.
    other = patch_names(data_dir, "train")[0]
    answer = query.query(
        opened,
        names=[opened.names[4]],
        positives=[*liked, other],
        negatives=disliked,
        data_dir=data_dir,
        k=3,
    )
    alone = query.query(opened, names=[other], data_dir=data_dir, k=1)
    assert alone.query_names == (other,)
    assert answer.queries[0].name == opened.names[4]
    combined = answer.queries[1]
    assert combined.name == f"{liked[0]} + {liked[1]} + {other} - {disliked[0]}"
    assert (combined.labels, combined.longitude) == (None, None)
    found = set(answer.hits.names[1])
    assert len(found) == 3
    assert found.isdisjoint({*liked, *disliked})
    # A place and labels that nobody knows are empty in every format.
    for name in answer_formats.FORMATS:
        assert other in answer_formats.write(answer, name)
    shape = json.loads(answer_formats.write(answer, "geojson"))["features"]
    assert [x["geometry"] for x in shape if x["properties"]["rank"] is None][
        1
    ] is None


def test_a_single_positive_example_is_a_query_by_name(opened):
    name = opened.names[0]
    by_name = query.query(opened, names=[name], k=4)
    by_example = query.query(opened, positives=[name], k=4)
    np.testing.assert_array_equal(by_example.hits.rows, by_name.hits.rows)
    # 2 * positive - positive is the positive example again.
    again = query.query(opened, positives=[name], negatives=[name], k=4)
    np.testing.assert_array_equal(again.hits.rows, by_name.hits.rows)


def test_missing_folder(opened, tmp_path):
    with pytest.raises(errors.UserError, match="`s1_folder`"):
        query.query(opened, s2_folder=tmp_path)
    with pytest.raises(errors.UserError, match="no folder"):
        query.query(
            opened,
            s1_folder=tmp_path / "S1A_gone",
            s2_folder=tmp_path / "S2A_gone",
        )


def test_damaged_file(tmp_path):
    folder = tmp_path / "S1A_damaged"
    folder.mkdir()
    for band in ("VV", "VH"):
        (folder / f"{folder.name}_{band}.tif").write_bytes(b"II*\0")
    with pytest.raises(errors.UserError, match=r"_VV\.tif"):
        patch_source.from_folders(
            s1_folder=folder, s2_folder=None, grids=("s1",)
        )


def _as_real(opened):
    """The index as if nothing in it were synthetic."""
    return dataclasses.replace(
        opened,
        provenance=msgspec.structs.replace(opened.provenance, synthetic=False),
    )


def test_one_synthetic_query_is_enough(opened, data_dir, sample_archive_dir):
    real = _as_real(opened)
    own = str(opened.names[0])
    assert query.query(opened, names=[own]).synthetic
    assert not query.query(real, names=[own]).synthetic
    other = patch_names(data_dir, "train")[:1]
    assert query.query(real, names=other, data_dir=data_dir).synthetic
    s1_name = official_lists.official_patches()[own].s1_name
    assert query.query(
        real,
        s1_folder=sample_archive_dir / "BigEarthNet-S1-v1.0" / s1_name,
        s2_folder=sample_archive_dir / "BigEarthNet-v1.0" / own,
    ).synthetic


def test_folders_of_real_patches(opened, real_archive, real_pairs):
    pair = real_pairs[0]
    answer = query.query(
        _as_real(opened),
        s1_folder=real_archive / "BigEarthNet-S1-v1.0" / pair.s1_name,
        s2_folder=real_archive / "BigEarthNet-v1.0" / pair.s2_name,
    )
    assert not answer.synthetic
    (patch,) = answer.queries
    assert (patch.name, patch.country) == (pair.s2_name, pair.country)


@pytest.mark.parametrize("num_classes", [19, 43])
def test_the_json_of_a_folder_has_the_labels(
    archive_dir, real_pairs, num_classes
):
    pair = real_pairs[0]
    folder = archive_dir / "BigEarthNet-S1-v1.0" / pair.s1_name
    file = folder / f"{pair.s1_name}_labels_metadata.json"

    def read():
        return patch_source.from_folders(
            s1_folder=folder,
            s2_folder=None,
            grids=("s1",),
            num_classes=num_classes,
        ).patch

    labels = json.loads(file.read_text())["labels"]
    patch = read()
    assert patch.name == pair.s1_name
    assert patch.country == pair.country
    expected = (
        labels
        if num_classes == 43
        else {bigearthnet.CLASS_43_TO_19[name] for name in labels}
    )
    assert set(patch.labels) == set(expected)
    assert patch.date.isoformat().replace("-", "") in pair.s1_name
    file.write_text("{")
    with pytest.raises(errors.UserError, match="not valid JSON"):
        read()
    file.unlink()
    bare = read()
    assert bare.labels is bare.country is None
    assert bare.longitude == patch.longitude


def test_labels_of_19_classes_where_the_dataset_has_no_others(v2_data_dir):
    (name,) = patch_names(v2_data_dir, "test")[:1]
    (found,) = patch_source.find(
        v2_data_dir, [name], grids=(), num_classes=43
    ).values()
    assert found.patch.labels
    assert set(found.patch.labels) <= set(bigearthnet.CLASSES_19)


@pytest.mark.parametrize(
    "content",
    [
        b"one\n\n  two \n",
        b"\xef\xbb\xbfone\r\n\r\ntwo\r\n",
        b"one\rtwo",
        b"\tone\t\n two",
    ],
)
def test_reads_names_file(tmp_path, content):
    """As Windows, old Macs and spreadsheets write it."""
    file = tmp_path / "names.txt"
    file.write_bytes(content)
    assert query.read_names(file) == ["one", "two"]
    assert query.read_names(None) == []


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_names_file_that_cannot_be_read(tmp_path, content):
    file = tmp_path / "names.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(errors.UserError, match="cannot be read"):
        query.read_names(file)


def test_another_model_is_refused(sample_index, monkeypatch):
    other = types.SimpleNamespace(fingerprint="ef" * 32)
    monkeypatch.setattr(saved_model, "load", lambda path: other)
    with pytest.raises(errors.UserError, match="another model"):
        index.Index.open(sample_index).model  # noqa: B018


def test_missing_modality_is_refused(workdir, data_dir, tmp_path):
    with pytest.raises(errors.UserError, match="no embedding of S1"):
        index_builder.build_index(
            saved_model=workdir / "saved_model",
            data_dir=data_dir,
            output_dir=tmp_path / "index",
            modality="S1",
        )


def test_wrong_shape_is_refused(opened, grids):
    s2 = {key: value for key, value in grids.items() if key != "s1"}
    with pytest.raises(ValueError, match=r"Expected s1 of shape"):
        opened.query(s1=grids["s1"][:60], s2=s2)
    with pytest.raises(ValueError, match=r"Expected s1 of shape"):
        opened.query(s2=s2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_pixel_that_is_not_finite_is_refused(opened, grids, value):
    s1 = grids["s1"].copy()
    s1[3, 5, 1] = value
    s2 = {key: value for key, value in grids.items() if key != "s1"}
    with pytest.raises(errors.UserError, match="s1 of a query holds NaN"):
        opened.query(s1=s1, s2=s2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (None, "number 1, number 3"),
        (["a", "b", "c", "d", "e"], "b, d"),
        (np.array([b"a", b"b", b"c", b"\xff", b"e"]), "b, \ufffd"),
    ],
)
def test_embeddings_that_are_not_finite_are_named(value, names, shown):
    rows = np.zeros((5, 4), np.float32)
    rows[[1, 3], 2] = value
    model = types.SimpleNamespace(
        modality="S1", embeddings=("S1",), embed=lambda inputs, **_: rows
    )
    with pytest.raises(
        errors.UserError, match=f"of 2 of 5 patches are NaN or .*: {shown}\\. "
    ):
        embedding.embed(model, {}, modality="S1", names=names)


def test_only_the_sensors_of_the_modality_are_read(workdir):
    model = saved_model.load(workdir / "saved_model")
    assert "s1" in embedding.input_names(model, "MM")
    # Its sensors meet only in the classifier.
    with pytest.raises(errors.UserError, match="no embedding of S1"):
        embedding.input_names(model, "S1")


def test_a_model_that_embeds_a_patch_as_nan_builds_no_index(
    workdir, data_dir, tmp_path, monkeypatch
):
    (broken,) = tfds.as_numpy(
        built_dataset.open_dataset(data_dir).as_dataset(split="test[2:3]")
    )
    embed = saved_model.ServedModel.embed

    def embed_one_wrong(model, inputs, *, modality):
        rows = np.array(embed(model, inputs, modality=modality))
        rows[2] = np.nan
        return rows

    monkeypatch.setattr(saved_model.ServedModel, "embed", embed_one_wrong)
    with pytest.raises(
        errors.UserError, match=f": {broken['patch_name'].decode()}"
    ):
        index_builder.build_index(
            saved_model=workdir / "saved_model",
            data_dir=data_dir,
            output_dir=tmp_path / "index",
        )
    assert not list(tmp_path.rglob("*.npy"))
