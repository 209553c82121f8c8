"""Own patches of a table: the same records as of the archive, for the rest."""

import csv
import functools
import json
import pathlib
import re
import shutil

import numpy as np
import pytest
import rasterio
import tensorflow_datasets as tfds

from ben_tf import band_statistics
from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import layout
from ben_tf.data import built_dataset
from ben_tf.data import histograms
from ben_tf.data import input_pipeline
from tests import in_process
from tfrecords_builder import conversion
from tfrecords_builder import dataset
from tfrecords_builder import kept_shards
from tfrecords_builder import record_verification

ROOT = pathlib.Path(__file__).parents[2]


def _build(*arguments):
    return in_process.run(
        "tfrecords_builder.build", "--num_workers=1", *arguments
    )


@pytest.fixture(scope="module")
def own_dir(sample_archive_dir, make_once):
    """The sample as docs/building.md makes a table and a dataset of it."""
    (example,) = re.findall(
        r"```python\n(import csv\n.*?)```",
        (ROOT / "docs" / "building.md").read_text(),
        re.DOTALL,
    )

    def make(folder) -> None:
        (folder / "sample").mkdir(parents=True)
        (folder / "sample" / "archive").symlink_to(sample_archive_dir)
        (folder / "example.py").write_text(example)
        in_process.call(
            lambda: exec(compile(example, "docs/building.md", "exec"), {}),
            "example",
            cwd=folder,
        )
        finished = in_process.run(
            "tfrecords_builder.build",
            "--table=sample/patches.csv",
            "--data_dir=sample/own",
            "--num_workers=1",
            cwd=folder,
        )
        assert finished.returncode == 0, finished.stderr
        assert "train: 27 patches" in finished.stdout

    return make_once("own", make) / "sample"


def _examples(data_dir, config="own"):
    splits = tfds.load(f"bigearthnet_mm/{config}", data_dir=str(data_dir))
    return {
        split: [*tfds.as_numpy(records)] for split, records in splits.items()
    }


def test_records_are_those_of_the_archive(own_dir, data_dir):
    """Pixels, labels and order; the table says less of a patch, though."""
    ours, theirs = _examples(own_dir / "own"), _examples(data_dir, "v1")
    assert ours.keys() == theirs.keys()
    for split, expected in theirs.items():
        for found, example in zip(ours[split], expected, strict=True):
            example |= {
                "s1_name": example["patch_name"],
                "country": -1,
                "season": -1,
                "s1_time": b"",
                "s2_time": b"",
                "seasonal_snow": False,
                "cloud_or_shadow": False,
            }
            assert found.keys() == example.keys()
            for name, value in example.items():
                np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_the_dataset_says_that_it_is_own_data(own_dir):
    builder = built_dataset.open_dataset(own_dir / "own")
    assert builder.info.full_name == "bigearthnet_mm/own/1.0.0"
    assert "not BigEarthNet" in builder.info.description
    assert not builder.info.citation
    # The mark of the sample follows its pixels.
    assert built_dataset.is_synthetic(builder)
    assert built_dataset.nomenclatures(builder) == (19, 43)
    assert built_dataset.sensors(builder) == ("S1", "S2")


def test_its_records_are_verified(own_dir, tmp_path):
    report = record_verification.verify(own_dir / "own", num_workers=1)
    assert report.is_well
    assert report.num_pairs == 48
    copy = shutil.copytree(own_dir / "own", tmp_path / "copy")
    (path,) = copy.rglob("own_patches.csv")
    lines = path.read_text().splitlines()
    changed = lines[1].replace(",", ",Airports;", 1)
    path.write_text("\n".join([lines[0], changed, *lines[3:]]) + "\n")
    finished = in_process.run(
        "tfrecords_builder.verify", f"--data_dir={copy}", "--num_workers=1"
    )
    assert finished.returncode == 1
    assert "contradicts the official list" in finished.stdout
    assert "is not a patch of own data" in finished.stdout


# --- One sensor, labels of 19 classes, several ways to give files ------------


def _pair_folders(archive):
    return sorted((archive / "BigEarthNet-v1.0").iterdir())


def _write_files(folder, target, name):
    """Files of each kind: 10 m in one, 20 m in a folder's way, 60 m in one."""
    row = {}
    for grid in ("s2_10m", "s2_60m"):
        bands = bigearthnet.GRIDS[grid].bands
        pixels = []
        for band in bands:
            with rasterio.open(folder / f"{folder.name}_{band}.tif") as source:
                pixels.append(source.read(1))
                profile = source.profile
        path = target / f"{name}_{grid}.tif"
        profile.update(count=len(bands), compress="deflate")
        with rasterio.open(path, "w", **profile) as file:
            file.write(np.stack(pixels))
            file.descriptions = bands
        row[grid] = path.name
    for band in bigearthnet.GRIDS["s2_20m"].bands:
        path = target / f"{name}.{band}.TIFF"
        shutil.copy(folder / f"{folder.name}_{band}.tif", path)
        row[band] = path.name
    return row


def _write_table(path, rows):
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


@pytest.fixture(scope="module")
def rows(real_archive, tmp_path_factory):
    """Six patches of Sentinel-2; the folder that their paths start at."""
    root = tmp_path_factory.mktemp("rows")
    splits = ["train", "train", "train", "validation", "test", "test"]
    found = []
    for number, folder in enumerate(_pair_folders(real_archive)):
        labels = json.loads(next(folder.glob("*.json")).read_text())["labels"]
        found.append(
            {
                "patch_name": f"{number}-my.patch",
                "labels": " ; ".join(bigearthnet.labels_43_to_19(labels)),
                "split": splits[number],
                "country": "Finland" if number % 2 else "",
                "s2_date": "2024-06-01" if number else "",
                **_write_files(folder, root, f"{number}"),
            }
        )
    return found, root


@pytest.fixture(scope="module")
def s2_dir(rows, make_once):
    """Those as a dataset, of a table that lies elsewhere."""

    def make(folder) -> None:
        folder.mkdir()
        found, root = rows
        finished = _build(
            f"--table={_write_table(folder / 't.csv', found)}",
            f"--files_dir={root}",
            f"--data_dir={folder / 'data'}",
        )
        assert finished.returncode == 0, finished.stderr

    return make_once("own_s2", make) / "data"


def test_each_way_to_give_files_gives_the_values(s2_dir, rows, real_archive):
    found = {
        example["patch_name"].decode(): example
        for examples in _examples(s2_dir).values()
        for example in examples
    }
    for row, folder in zip(rows[0], _pair_folders(real_archive), strict=True):
        example = found.pop(row["patch_name"])
        for name, grid in bigearthnet.GRIDS.items():
            if grid.sensor == "S1":
                assert not example[name].any()
                continue
            for place, band in enumerate(grid.bands):
                path = folder / f"{folder.name}_{band}.tif"
                with rasterio.open(path) as file:
                    expected = file.read(1)
                    bounds, epsg = file.bounds, file.crs.to_epsg()
                np.testing.assert_array_equal(
                    example[name][..., place], expected
                )
        assert tuple(example["upper_left"]) == (bounds.left, bounds.top)
        assert example["epsg"] == epsg
        labels = {bigearthnet.CLASSES_19[x] for x in example["labels_19"]}
        assert labels == set(row["labels"].split(" ; "))
        assert not len(example["labels_43"])
        assert example["country"] == (2 if row["country"] else -1)
        assert example["s2_time"].decode() == row["s2_date"]
    assert not found


def test_a_dataset_of_one_sensor_is_well(s2_dir):
    assert record_verification.verify(s2_dir, num_workers=1).is_well
    builder = built_dataset.open_dataset(s2_dir)
    assert built_dataset.sensors(builder) == ("S2",)
    assert not built_dataset.is_synthetic(builder)
    # Countries are known of three, seasons of none.
    assert built_dataset.num_examples(builder, "all[country=Finland]") == 3
    assert built_dataset.num_examples(builder, "all[season!=Summer]") == 6


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--modality=MM"], "have no pixels of S1. Expected"),
        (["--modality=S1", "--dry_run"], "have no pixels of S1. Expected"),
        (
            ["--modality=S2", "--num_classes=43"],
            "no labels of the 43-class nomenclature. Expected --num_classes=19",
        ),
    ],
)
def test_what_the_dataset_lacks_is_not_trained_on(
    s2_dir, tmp_path, flags, message
):
    finished = in_process.run(
        "ben_tf.train",
        f"--data_dir={s2_dir}",
        f"--workdir={tmp_path / 'run'}",
        "--model=small_cnn",
        "--batch_size=2",
        *flags,
    )
    assert finished.returncode == 1
    assert message in finished.stderr
    assert not (tmp_path / "run").exists()


def test_a_sensor_that_is_not_there_is_not_read(s2_dir):
    builder = built_dataset.open_dataset(s2_dir)
    for grids in (["s1"], ["s2_10m", "s1"]):
        with pytest.raises(errors.UserError, match="no pixels of S1"):
            input_pipeline.native_batches(builder, "train", grids=grids)


def test_statistics_of_one_sensor(s2_dir, tmp_path):
    builder = built_dataset.open_dataset(s2_dir)
    found = histograms.of_split(builder, "train")
    assert found.bands.keys() == set(bigearthnet.BANDS["S2"])
    examples = _examples(s2_dir)["train"]
    pixels = np.stack([example["s2_60m"][..., 1] for example in examples])
    np.testing.assert_allclose(found.bands["B09"].mean, pixels.mean())
    path = band_statistics.write(tmp_path / "s.json", found)
    statistics = band_statistics.find(str(path))
    assert statistics.name.endswith("S1 as in the paper")
    assert statistics.mean["VV"] == bigearthnet.PAPER_STATISTICS.mean["VV"]
    np.testing.assert_allclose(statistics.mean["B09"], pixels.mean())


# --- What the shared road does -----------------------------------------------


def test_damaged_patches_are_skipped_and_listed(rows, tmp_path):
    found, root = rows
    changed = [dict(row) for row in found]
    changed[0]["s2_10m"] = "nowhere.tif"
    changed[1]["B05"] = changed[1]["s2_60m"]
    changed[2]["B06"] = ""
    flags = (
        f"--table={_write_table(tmp_path / 't.csv', changed)}",
        f"--files_dir={root}",
        f"--data_dir={tmp_path / 'data'}",
    )
    finished = _build(*flags)
    assert finished.returncode == 1
    assert "To build without such patches, pass --on_error=skip" in (
        finished.stderr
    )
    assert not list(tmp_path.rglob("dataset_info.json"))
    finished = _build(*flags, "--on_error=skip")
    assert finished.returncode == 0, finished.stderr
    (path,) = tmp_path.rglob(conversion.SKIPPED_FILE)
    _, *skipped = csv.reader(path.open(newline=""))
    reasons = {name: f"{place} {reason}" for name, place, reason in skipped}
    assert sorted(reasons) == [f"{number}-my.patch" for number in range(3)]
    assert "no file" in reasons["0-my.patch"]
    assert "2 band(s) of 20 x 20" in reasons["1-my.patch"]
    assert "60 x 60" in reasons["1-my.patch"]
    assert "an empty cell in column B06" in reasons["2-my.patch"]
    # None is lost: those that were skipped are known.
    report = record_verification.verify(tmp_path / "data", num_workers=1)
    assert report.is_well
    assert report.num_pairs == 3


def test_a_part_of_the_table(rows, tmp_path):
    found, root = rows
    finished = _build(
        f"--table={_write_table(tmp_path / 't.csv', found)}",
        f"--files_dir={root}",
        f"--data_dir={tmp_path / 'data'}",
        "--countries=Finland",
        "--splits=train,test",
    )
    assert finished.returncode == 0, finished.stderr
    assert "A part of the own data: countries Finland" in finished.stdout
    names = {
        example["patch_name"].decode()
        for examples in _examples(tmp_path / "data").values()
        for example in examples
    }
    assert names == {
        row["patch_name"]
        for row in found
        if row["country"] == "Finland" and row["split"] in ("train", "test")
    }
    assert record_verification.verify(tmp_path / "data", num_workers=1).is_well


@pytest.mark.parametrize("num_workers", [1, 2])
def test_finished_shards_are_taken_over(
    rows, tmp_path, monkeypatch, capsys, num_workers
):
    """Also by other processes, to which the table travels."""
    found, root = rows
    table = _write_table(tmp_path / "t.csv", found)
    build = functools.partial(dataset.build, table=table, files_dir=root)
    write_shard, calls = kept_shards.write_shard, []

    def interrupted(task, archive):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(task)
        return write_shard(task, archive)

    with monkeypatch.context() as patch:
        patch.setattr(kept_shards, "write_shard", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build(data_dir=tmp_path / "data", num_workers=1)
    build(data_dir=tmp_path / "data", num_workers=num_workers)
    assert "2 of 3 shards were finished" in capsys.readouterr().err
    build(data_dir=tmp_path / "whole", num_workers=num_workers)
    folders = [
        tmp_path / name / "bigearthnet_mm" / "own" / "1.0.0"
        for name in ("data", "whole")
    ]
    contents = [{x.name: x.read_bytes() for x in y.iterdir()} for y in folders]
    assert contents[0] == contents[1]


@pytest.mark.slow
def test_beam_writes_the_same_files(s2_dir, rows, tmp_path):
    dataset.build(
        table=_write_table(tmp_path / "t.csv", rows[0]),
        files_dir=rows[1],
        data_dir=tmp_path / "beam",
        beam_runner="DirectRunner",
        beam_pipeline_options="direct_num_workers=1",
    )
    beam, local = (
        {x.name: x.read_bytes() for x in folder.rglob("*.tfrecord-*")}
        for folder in (tmp_path / "beam", s2_dir)
    )
    assert len(local) == 3
    assert beam == local


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "Expected either --archive_dir, with BigEarthNet, or --table"),
        (["--table=t", "--archive_dir=a"], "Received: both"),
        (["--table=t", "--version=v1"], "Expected neither with --table"),
        (["--table=t", "--download"], "Expected neither with --table"),
        (["--archive_dir=a", "--files_dir=f"], "Expected --table with it"),
        (["--table=t"], "There is no table t. Expected a CSV or Parquet"),
    ],
)
def test_what_to_build_of_is_one_thing(tmp_path, flags, message):
    finished = _build(f"--data_dir={tmp_path / 'data'}", *flags)
    assert finished.returncode == 1
    assert message in finished.stderr
    assert not (tmp_path / "data").exists()


def test_the_folder_of_files_is_one(rows, tmp_path):
    finished = _build(
        f"--table={_write_table(tmp_path / 't.csv', rows[0])}",
        f"--files_dir={tmp_path / 'nowhere'}",
        f"--data_dir={tmp_path / 'data'}",
    )
    assert finished.returncode == 1
    assert f"There is no folder {tmp_path / 'nowhere'}" in finished.stderr
    assert not (tmp_path / "data").exists()


def test_names_that_the_lists_do_not_know_lead_to_the_table(
    archive_dir, tmp_path
):
    folder = next((archive_dir / "BigEarthNet-v1.0").iterdir())
    folder.rename(folder.with_name("mine"))
    finished = _build(
        f"--archive_dir={archive_dir}", f"--data_dir={tmp_path / 'data'}"
    )
    assert finished.returncode == 1
    assert "mine is not a patch of BigEarthNet v1.0" in finished.stderr
    assert "python -m tfrecords_builder.build --table=" in finished.stderr


def test_the_own_config_asks_for_a_table(tmp_path):
    from tfrecords_builder import bigearthnet_mm_dataset_builder

    builder = bigearthnet_mm_dataset_builder.Builder(
        config=layout.OWN.version, data_dir=str(tmp_path / "data")
    )
    with pytest.raises(errors.UserError, match="listed in a table"):
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=str(tmp_path)
            )
        )


@pytest.mark.slow
def test_the_other_commands_take_own_data(s2_dir, tmp_path):
    """One epoch, scores without published ones, a page, an index."""
    run, index = tmp_path / "run", tmp_path / "index"

    def call(module, *arguments):
        finished = in_process.run(module, *arguments)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    call(
        "ben_tf.train",
        f"--data_dir={s2_dir}",
        f"--workdir={run}",
        *("--model=small_cnn", "--modality=S2", "--batch_size=2"),
        "--epochs=1",
    )
    assert json.loads((run / "data.json").read_text())["name"] == (
        "bigearthnet_mm/own/1.0.0"
    )
    said = call("ben_tf.evaluate", f"--workdir={run}")
    assert "small_cnn S2 on test, 2 patches" in said
    for theirs in ("paper", "published", "SYNTHETIC"):
        assert theirs not in said
    content = json.loads((run / "metrics" / "test.json").read_text())
    # One of the two patches has a country.
    assert {
        x["num_samples"] for x in content["groups"]["country"].values()
    } == {1}
    assert not content["groups"]["season"]
    call(
        "ben_tf.retrieval",
        "build",
        f"--saved_model={run / 'saved_model'}",
        f"--data_dir={s2_dir}",
        f"--output_dir={index}",
        "--split=all",
    )
    hits = call(
        "ben_tf.retrieval",
        "query",
        f"--index={index}",
        "--patch=4-my.patch",
        "--k=5",
        "--format=json",
    )
    (answer,) = json.loads(hits)["answers"]
    assert len(answer["hits"]) == 5
    countries = {hit["name"]: hit["country"] for hit in answer["hits"]}
    assert countries["1-my.patch"] == "Finland"
    assert countries["0-my.patch"] is None
    call("ben_tf.report", f"--workdir={run}", f"--index={index}")
    page = (run / "report.html").read_text()
    assert "True colour of 4-my.patch" in page
    assert "Radar" not in page
    for theirs in ("Not comparable", "Next to", "Published figures"):
        assert theirs not in page
