"""From an archive to a dataset that TFDS loads, and every way to fail."""

import errno
import json
import os
import pathlib
import pickle
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import rasterio
import tensorflow_datasets as tfds

from ben_tf import bigearthnet
from ben_tf import errors
from tfrecords_builder import conversion
from tfrecords_builder import dataset

S1 = "BigEarthNet-S1-v1.0"
S2 = "BigEarthNet-v1.0"
PATCH = "S2A_MSIL2A_20170613T101031_87_48"
PARTNER = "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_87_48"
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data_dir(real_archive, tmp_path_factory) -> pathlib.Path:
    """The dataset of the six real pairs."""
    path = tmp_path_factory.mktemp("data")
    dataset.build(archive_dir=real_archive, data_dir=path, num_workers=2)
    return path


def dataset_files(data_dir) -> dict[str, bytes]:
    folder = data_dir / "bigearthnet_mm" / "v1" / "1.0.0"
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if ".tfrecord-" in path.name
    }


def test_every_pair_is_in_its_split(data_dir, real_pairs):
    builder = tfds.builder("bigearthnet_mm", data_dir=data_dir)
    names = {
        split: {
            example["patch_name"].decode()
            for example in tfds.as_numpy(builder.as_dataset(split=split))
        }
        for split in builder.info.splits
    }
    expected = {}
    for pair in real_pairs:
        expected.setdefault(pair.split, set()).add(pair.s2_name)
    assert names == expected


def test_pixels_and_place_equal_what_rasterio_reads(data_dir, real_archive):
    num_bands = 0
    for split in tfds.builder("bigearthnet_mm", data_dir=data_dir).info.splits:
        records = tfds.load("bigearthnet_mm", data_dir=data_dir, split=split)
        for example in tfds.as_numpy(records):
            for name, grid in bigearthnet.GRIDS.items():
                key, folder = {
                    "S1": ("s1_name", S1),
                    "S2": ("patch_name", S2),
                }[grid.sensor]
                patch = example[key].decode()
                for index, band in enumerate(grid.bands):
                    file = real_archive / folder / patch / f"{patch}_{band}.tif"
                    with rasterio.open(file) as source:
                        pixels = source.read(1)
                        epsg = source.crs.to_epsg()
                        corner = (source.bounds.left, source.bounds.top)
                    assert example[name].dtype == pixels.dtype
                    ours = np.ascontiguousarray(example[name][..., index])
                    assert ours.tobytes() == pixels.tobytes()
                    assert example["epsg"] == epsg
                    np.testing.assert_array_equal(example["upper_left"], corner)
                    num_bands += 1
    assert num_bands == 6 * 14


@pytest.mark.slow
def test_number_of_workers_changes_no_byte(data_dir, real_archive, tmp_path):
    dataset.build(archive_dir=real_archive, data_dir=tmp_path, num_workers=1)
    assert dataset_files(tmp_path) == dataset_files(data_dir)


@pytest.mark.slow
def test_loads_with_tfds_alone(data_dir, tmp_path):
    script = (
        "import sys, tensorflow_datasets as tfds;"
        "data, info = tfds.load('bigearthnet_mm', data_dir=sys.argv[1],"
        " split='train', with_info=True);"
        "assert not {'tfrecords_builder', 'ben_tf'} & sys.modules.keys();"
        "print(len(list(data)), bool(info.metadata['synthetic']))"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", script, str(data_dir)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["4", "False"]


def test_tfds_load_builds_after_import(real_archive, tmp_path):
    # What a build that was killed has left.
    folder = tmp_path / "bigearthnet_mm" / "v1" / f"incomplete.{'0f' * 3}_1.0.0"
    folder.mkdir(parents=True)
    records, info = tfds.load(
        "bigearthnet_mm",
        data_dir=tmp_path,
        split="train",
        with_info=True,
        download_and_prepare_kwargs={
            "download_config": tfds.download.DownloadConfig(
                manual_dir=str(real_archive)
            )
        },
    )
    assert len(list(records)) == 4
    assert info.splits["train"].num_examples == 4
    assert not folder.exists()


@pytest.fixture(scope="module")
def array_record_dir(real_archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("array_record")
    dataset.build(
        archive_dir=real_archive, data_dir=folder, file_format="array_record"
    )
    return folder


def test_another_file_format_holds_the_same(data_dir, array_record_dir):
    builder = tfds.builder("bigearthnet_mm", data_dir=array_record_dir)
    ours = tfds.load("bigearthnet_mm", data_dir=data_dir, split="train")
    theirs = builder.as_data_source("train")
    # The records also come in the same order.
    for expected, example in zip(tfds.as_numpy(ours), theirs, strict=True):
        assert example["patch_name"] == expected["patch_name"]
        for name in bigearthnet.GRIDS:
            np.testing.assert_array_equal(example[name], expected[name])


def test_the_documented_dataset_for_pytorch(data_dir, array_record_dir):
    """The code of docs/data.md, run; workers of a loader get it by pickle."""
    text = (ROOT / "docs" / "data.md").read_text()
    (code,) = re.findall(r"```python\n(import numpy.*?)```", text, re.DOTALL)
    names = {"__name__": __name__}
    exec(code, names)
    patches = names["Patches"]("train", data_dir=array_record_dir)
    expected = [
        *tfds.as_numpy(
            tfds.load("bigearthnet_mm", data_dir=data_dir, split="train")
        )
    ]
    assert len(patches) == len(expected)
    source = pickle.loads(pickle.dumps(patches.source))
    for index in reversed(range(len(expected))):
        s1, s2, labels = patches[index]
        example = expected[index]
        assert source[index]["patch_name"] == example["patch_name"]
        np.testing.assert_array_equal(s1[1], example["s1"][..., 1])
        np.testing.assert_array_equal(s2[3], example["s2_10m"][..., 3])
        np.testing.assert_array_equal(
            np.flatnonzero(labels), np.sort(example["labels_19"])
        )


def test_tfds_fills_short_label_lists_with_a_class(data_dir):
    """The trap that docs/data.md names; if this fails, it is gone."""
    padded = tfds.as_numpy(
        tfds.load(
            "bigearthnet_mm", data_dir=data_dir, split="train", batch_size=-1
        )
    )
    whole = tfds.as_numpy(
        tfds.load("bigearthnet_mm", data_dir=data_dir, split="train")
    )
    lists = [set(x["labels_19"]) for x in whole]
    assert any(0 not in labels for labels in lists)
    assert any(
        0 in filled and 0 not in labels
        for filled, labels in zip(padded["labels_19"], lists, strict=True)
    )


@pytest.mark.parametrize(
    ("file_format", "num_workers"),
    [("array_record", 1), ("array_record", 2), ("parquet", 1)],
)
def test_each_file_format_skips_and_has_its_tables(
    archive_dir, tmp_path, file_format, num_workers
):
    """The only pair of the test split is damaged, and one of another."""
    s2_file(archive_dir, "B04.tif").unlink()
    truncate(next((archive_dir / S2).glob("*_4_55/*_B8A.tif")))
    expected = dataset.build(
        archive_dir=archive_dir, data_dir=tmp_path / "1", on_error="skip"
    )
    builder = dataset.build(
        archive_dir=archive_dir,
        data_dir=tmp_path / "2",
        on_error="skip",
        num_workers=num_workers,
        file_format=file_format,
    )
    for name in ("patches.parquet", "skipped.csv"):
        content = (expected.data_path / name).read_bytes()
        assert (builder.data_path / name).read_bytes() == content
    assert conversion.count_skipped(builder.data_path) == 2
    assert builder.info.splits.keys() == expected.info.splits.keys()
    assert "test" not in builder.info.splits
    for split, info in expected.info.splits.items():
        assert builder.info.splits[split].shard_lengths == info.shard_lengths
        assert builder.info.splits[split].num_bytes == info.num_bytes
        patches = list(builder.as_data_source(split))
        assert len(patches) == info.num_examples
        for patch, other in zip(
            patches, tfds.as_numpy(expected.as_dataset(split)), strict=True
        ):
            assert patch["patch_name"] == other["patch_name"]
            np.testing.assert_array_equal(patch["s1"], other["s1"])
    assert not list(builder.data_path.glob("*.finished.json"))


def test_damage_stops_a_build_of_array_records(archive_dir, tmp_path):
    s2_file(archive_dir, "B04.tif").unlink()
    options = {"data_dir": tmp_path / "data", "file_format": "array_record"}
    with pytest.raises(errors.UserError, match=r"_B04\.tif is missing.*skip"):
        dataset.build(archive_dir=archive_dir, **options)
    for path in (archive_dir / S2).glob("*/*_B04.tif"):
        path.unlink()
    with pytest.raises(errors.UserError, match="None of the 6 pairs is whole"):
        dataset.build(archive_dir=archive_dir, on_error="skip", **options)
    assert not list((tmp_path / "data").glob("*/v1/*"))


def test_array_records_without_their_package(
    real_archive, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "array_record", None)
    with pytest.raises(errors.UserError, match="pip install array_record"):
        dataset.build(
            archive_dir=real_archive,
            data_dir=tmp_path,
            file_format="array_record",
        )
    assert not list(tmp_path.iterdir())


def test_another_format_does_not_replace_what_is_there(
    real_archive, array_record_dir
):
    with pytest.raises(errors.UserError, match="There is already a dataset"):
        dataset.build(archive_dir=real_archive, data_dir=array_record_dir)


def test_synthetic_archives_stay_marked(archive_dir, tmp_path):
    (archive_dir / "SYNTHETIC.txt").write_text("Made up.\n")
    builder = dataset.build(archive_dir=archive_dir, data_dir=tmp_path)
    assert builder.info.metadata["synthetic"]
    reread = tfds.builder_from_directory(builder.data_path)
    assert reread.info.metadata["synthetic"]


def test_the_folders_may_carry_the_names_of_the_examples(archive_dir, tmp_path):
    (archive_dir / S2).rename(archive_dir / "BigEarthNet-S2-Example")
    (archive_dir / S1).rename(archive_dir / "BigEarthNet-S1-Example")
    builder = dataset.build(archive_dir=archive_dir, data_dir=tmp_path)
    assert builder.info.splits.total_num_examples == 6


def test_an_existing_dataset_is_replaced_only_on_demand(
    archive_dir, data_dir, tmp_path
):
    target = shutil.copytree(data_dir, tmp_path / "data")
    with pytest.raises(errors.UserError, match="already a dataset"):
        dataset.build(archive_dir=archive_dir, data_dir=target)
    (archive_dir / "SYNTHETIC.txt").touch()
    builder = dataset.build(
        archive_dir=archive_dir, data_dir=target, overwrite=True
    )
    assert builder.info.metadata["synthetic"]


def s2_file(root: pathlib.Path, suffix: str) -> pathlib.Path:
    return root / S2 / PATCH / f"{PATCH}_{suffix}"


def s1_file(root: pathlib.Path, suffix: str) -> pathlib.Path:
    return root / S1 / PARTNER / f"{PARTNER}_{suffix}"


def edit_json(path: pathlib.Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def truncate(path: pathlib.Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


DAMAGES = {
    "truncated TIFF": (
        lambda root: truncate(s2_file(root, "B04.tif")),
        "_B04.tif cannot be read as a GeoTIFF",
    ),
    "TIFF of another size": (
        lambda root: shutil.copy(
            s2_file(root, "B01.tif"), s2_file(root, "B02.tif")
        ),
        r"_B02.tif holds 1 band\(s\) of 20 x 20 pixels",
    ),
    "missing band": (
        lambda root: s2_file(root, "B8A.tif").unlink(),
        "_B8A.tif is missing",
    ),
    "missing S1 band": (
        lambda root: s1_file(root, "VH.tif").unlink(),
        "_VH.tif is missing",
    ),
    "missing JSON": (
        lambda root: s1_file(root, "labels_metadata.json").unlink(),
        "labels_metadata.json is missing",
    ),
    "broken JSON": (
        lambda root: truncate(s2_file(root, "labels_metadata.json")),
        "labels_metadata.json is not valid JSON",
    ),
    "unknown label": (
        lambda root: edit_json(
            s2_file(root, "labels_metadata.json"), labels=["Moon"]
        ),
        "has the unknown label 'Moon'",
    ),
    "other labels in S1": (
        lambda root: edit_json(
            s1_file(root, "labels_metadata.json"), labels=["Pastures"]
        ),
        "gives other labels",
    ),
    "other partner in S1": (
        lambda root: edit_json(
            s1_file(root, "labels_metadata.json"),
            corresponding_s2_patch="S2A_MSIL2A_20170617T113321_4_55",
        ),
        "names the S2 patch 'S2A_MSIL2A_20170617T113321_4_55'",
    ),
    "a band from elsewhere": (
        lambda root: shutil.copy(
            next((root / S2).glob("*_4_55/*_B02.tif")),
            s2_file(root, "B02.tif"),
        ),
        "lies elsewhere than its JSON",
    ),
    "S1 without its S2": (
        lambda root: shutil.rmtree(root / S2 / PATCH),
        f"{PARTNER} has no S2 patch. Expected {PATCH}",
    ),
    "S2 without its S1": (
        lambda root: shutil.rmtree(root / S1 / PARTNER),
        f"{PATCH} has no S1 patch. Expected {PARTNER}",
    ),
    "a patch of no list": (
        lambda root: (root / S2 / "S2A_MSIL2A_20170613T101031_99_99").mkdir(),
        "S2A_MSIL2A_20170613T101031_99_99 is not a patch of BigEarthNet v1.0",
    ),
    "a huge file": (
        lambda root: os.truncate(s2_file(root, "B02.tif"), 2 << 20),
        "_B02.tif is too large",
    ),
    "a folder in place of a file": (
        lambda root: (
            s2_file(root, "B02.tif").unlink(),
            s2_file(root, "B02.tif").mkdir(),
        ),
        "_B02.tif cannot be read",
    ),
}


@pytest.mark.parametrize(
    ("damage", "reason"), DAMAGES.values(), ids=DAMAGES.keys()
)
def test_damage_stops_the_build_with_file_and_reason(
    archive_dir, tmp_path, damage, reason
):
    damage(archive_dir)
    data_dir = tmp_path / "data"
    with pytest.raises(errors.UserError, match=reason):
        dataset.build(archive_dir=archive_dir, data_dir=data_dir)
    assert not list(data_dir.rglob("1.0.0*"))


def test_a_folder_without_an_archive(tmp_path):
    with pytest.raises(errors.UserError, match="holds no S1 patches"):
        dataset.build(archive_dir=tmp_path, data_dir=tmp_path / "data")


def test_a_damaged_archive_says_how_to_build_without(archive_dir, tmp_path):
    truncate(s2_file(archive_dir, "B04.tif"))
    with pytest.raises(errors.UserError, match="pass `on_error=skip`"):
        dataset.build(archive_dir=archive_dir, data_dir=tmp_path / "data")


def test_a_full_disk_is_said(real_archive, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(conversion, "convert", fail)
    with pytest.raises(errors.UserError, match="is full"):
        dataset.build(archive_dir=real_archive, data_dir=tmp_path)


def test_the_summary_counts_pairs_and_what_was_skipped(
    data_dir, archive_dir, tmp_path
):
    builder = tfds.builder("bigearthnet_mm", data_dir=data_dir)
    lines = dataset.summary(builder).splitlines()
    assert "train: 4 pairs" in lines
    assert lines[-1].endswith("bigearthnet_mm/v1/1.0.0")
    assert not any("skipped" in line for line in lines)
    s2_file(archive_dir, "B04.tif").unlink()
    builder = dataset.build(
        archive_dir=archive_dir, data_dir=tmp_path / "data", on_error="skip"
    )
    assert "skipped: 1, listed in " in dataset.summary(builder)
