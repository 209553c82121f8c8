"""BigEarthNet v2.0 by the road of v1.0, against rasterio and pandas."""

import io
import pathlib
import shutil
import tarfile

import numpy as np
import pandas
import pytest
import rasterio
import tensorflow_datasets as tfds
import zstandard

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import official_lists
from tfrecords_builder import dataset
from tfrecords_builder import verification

TABLES = (
    "metadata.parquet",
    "metadata_for_patches_with_snow_cloud_or_shadow.parquet",
)


@pytest.fixture(scope="module")
def rows(v2_archive_dir) -> dict[str, dict]:
    """The rows of both tables by patch."""
    table = pandas.concat(
        pandas.read_parquet(v2_archive_dir / name) for name in TABLES
    )
    return {row["patch_id"]: row for row in table.to_dict("records")}


@pytest.fixture(scope="module")
def examples(v2_data_dir) -> dict[str, dict]:
    """All records by patch, each with its split."""
    loaded = tfds.load("bigearthnet_mm/v2", data_dir=v2_data_dir)
    return {
        example["patch_name"].decode(): example | {"split": split}
        for split, records in loaded.items()
        for example in tfds.as_numpy(records)
    }


@pytest.fixture
def archive_dir(v2_archive_dir, tmp_path) -> pathlib.Path:
    """A copy to damage."""
    return shutil.copytree(v2_archive_dir, tmp_path / "archive")


def build_v2(archive: pathlib.Path, folder: pathlib.Path, **options) -> None:
    dataset.build(
        archive_dir=archive, data_dir=folder / "data", version="v2", **options
    )


def test_records_hold_what_the_tables_say(rows, examples):
    assert examples.keys() == rows.keys()
    assert len(rows) == 24
    for name, row in rows.items():
        example = examples[name]
        is_flagged = (
            row["contains_seasonal_snow"] or row["contains_cloud_or_shadow"]
        )
        assert example["split"] == "excluded" if is_flagged else row["split"]
        assert example["s1_name"].decode() == row["s1_name"]
        assert example["v1_name"].decode() == row["s2v1_name"]
        assert bigearthnet.COUNTRIES[example["country"]] == row["country"]
        assert example["seasonal_snow"] == row["contains_seasonal_snow"]
        labels = [bigearthnet.CLASSES_19[x] for x in example["labels_19"]]
        assert sorted(labels) == sorted(row["labels"])
        assert len(example["labels_43"]) == 0


def test_pixels_and_places_are_those_of_the_files(v2_archive_dir, examples):
    for name, example in examples.items():
        s1_name = example["s1_name"].decode()
        for grid_name, grid in bigearthnet.GRIDS.items():
            patch = {"S1": s1_name, "S2": name}[grid.sensor]
            for index, band in enumerate(grid.bands):
                (path,) = v2_archive_dir.rglob(f"{patch}_{band}.tif")
                with rasterio.open(path) as file:
                    np.testing.assert_array_equal(
                        example[grid_name][..., index], file.read(1)
                    )
                    assert file.crs.to_epsg() == example["epsg"]
                    corner = (file.transform.c, file.transform.f)
                    assert corner == tuple(example["upper_left"])


def test_maps_are_those_of_the_files_and_hold_the_labels(
    v2_archive_dir, examples
):
    for name, example in examples.items():
        (path,) = v2_archive_dir.rglob(f"{name}_reference_map.tif")
        with rasterio.open(path) as file:
            np.testing.assert_array_equal(
                example["reference_map"], file.read(1)
            )
        codes = np.unique(example["reference_map"])
        assert bigearthnet.labels_19_of_codes(codes) == tuple(
            bigearthnet.CLASSES_19[index] for index in example["labels_19"]
        )


def test_without_maps_they_are_empty(archive_dir, tmp_path):
    shutil.rmtree(archive_dir / "Reference_Maps")
    build_v2(archive_dir, tmp_path)
    records = tfds.load("bigearthnet_mm/v2", data_dir=tmp_path / "data")
    for example in tfds.as_numpy(records["train"]):
        assert not example["reference_map"].any()


def test_a_map_with_an_unknown_code_is_found(archive_dir):
    path = next(archive_dir.rglob("*_reference_map.tif"))
    with rasterio.open(path, "r+") as file:
        codes = file.read(1)
        codes[5, 6] = 100
        file.write(codes, 1)
    report = verification.verify(archive_dir)
    (fault,) = report.faults.first
    assert fault.place.endswith(path.name)
    assert "holds 100, which is no code" in fault.reason


def test_a_map_that_was_lost_is_found(archive_dir):
    """A build leaves it empty; of the real archive it is not known."""
    path = next(archive_dir.rglob("*_reference_map.tif"))
    path.unlink()
    (fault,) = verification.verify(archive_dir).faults.first
    assert (fault.kind, fault.place) == (
        "missing",
        f"{path.parent.name}/{path.name}",
    )


def test_season_is_that_of_the_patch_in_v1_and_times_are_in_the_names(examples):
    for name, example in examples.items():
        in_v1 = official_lists.official_patches()[example["v1_name"].decode()]
        assert bigearthnet.SEASONS[example["season"]] == in_v1.season
        for time, patch in (
            (example["s2_time"], name),
            (example["s1_time"], example["s1_name"].decode()),
        ):
            digits = time.decode().replace("-", "").replace(":", "")
            assert f"_{digits}_" in patch


def test_the_table_of_patches_names_the_patch_in_v1(v2_data_dir, rows):
    (path,) = v2_data_dir.rglob("patches.parquet")
    table = pandas.read_parquet(path).set_index("patch_name")
    assert {k: row["s2v1_name"] for k, row in rows.items()} == dict(
        table["v1_name"]
    )


def pack(
    archive_dir: pathlib.Path, target: pathlib.Path, suffix: str
) -> pathlib.Path:
    """Makes tarballs, as the official ones: files alone, sorted, of GNU's."""
    target.mkdir()
    for name in (*TABLES, "SYNTHETIC.txt"):
        shutil.copy(archive_dir / name, target)
    for name in ("BigEarthNet-S1", "BigEarthNet-S2", "Reference_Maps"):
        packed = io.BytesIO()
        with tarfile.open(
            fileobj=packed, mode="w", format=tarfile.GNU_FORMAT
        ) as tar:
            for path in sorted((archive_dir / name).rglob("*.[tT]*")):
                tar.add(path, path.relative_to(archive_dir))
        content = packed.getvalue()
        if suffix == ".tar.zst":
            # As the command `zstd` writes it.
            writer = zstandard.ZstdCompressor(write_checksum=True)
            content = writer.compress(content)
        (target / f"{name}{suffix}").write_bytes(content)
    return target


@pytest.mark.parametrize("suffix", [".tar", ".tar.zst"])
def test_tarballs_give_the_same_records(
    v2_archive_dir, v2_data_dir, tmp_path, suffix
):
    archive = pack(v2_archive_dir, tmp_path / "tarballs", suffix)
    build_v2(archive, tmp_path)
    # Nothing inflated stays.
    assert not list((tmp_path / "data").rglob("*.tar"))
    records = {
        path.relative_to(v2_data_dir): path.read_bytes()
        for path in v2_data_dir.rglob("*.tfrecord-*")
    }
    assert records
    for path, content in records.items():
        assert (tmp_path / "data" / path).read_bytes() == content


def test_beam_writes_the_same_records(v2_archive_dir, v2_data_dir, tmp_path):
    build_v2(v2_archive_dir, tmp_path, beam_runner="DirectRunner")
    for path in v2_data_dir.rglob("*.tfrecord-*"):
        other = tmp_path / "data" / path.relative_to(v2_data_dir)
        assert other.read_bytes() == path.read_bytes()


def test_another_file_format_holds_the_same(v2_archive_dir, examples, tmp_path):
    builder = tfds.builder(
        "bigearthnet_mm/v2", data_dir=tmp_path, file_format="array_record"
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=str(v2_archive_dir)
        )
    )
    for example in builder.as_data_source("test"):
        expected = examples[example["patch_name"].decode()]
        for name in (*bigearthnet.GRIDS, "reference_map", "labels_19"):
            np.testing.assert_array_equal(example[name], expected[name])


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


@pytest.mark.parametrize("change", [_cut, _flip])
def test_damaged_tarballs_are_named(v2_archive_dir, tmp_path, change):
    archive = pack(v2_archive_dir, tmp_path / "tarballs", ".tar.zst")
    path = archive / "BigEarthNet-S2.tar.zst"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(
        errors.UserError, match=f"{path.name} is truncated or damaged"
    ):
        build_v2(archive, tmp_path, on_error="skip")


def test_a_patch_in_the_folder_of_another_scene_is_refused_in_a_tarball(
    archive_dir, tmp_path
):
    s2 = archive_dir / "BigEarthNet-S2"
    patch = next(path for path in s2.glob("*/*") if path.is_dir())
    (s2 / "other_scene").mkdir()
    patch.rename(s2 / "other_scene" / patch.name)
    archive = pack(archive_dir, tmp_path / "tarballs", ".tar")
    with pytest.raises(errors.UserError, match="folder of another scene"):
        build_v2(archive, tmp_path)


@pytest.mark.parametrize(("there", "asked"), [("v1", "v2"), ("v2", "v1")])
def test_the_other_version_is_named(
    real_archive, v2_archive_dir, tmp_path, there, asked
):
    archive = {"v1": real_archive, "v2": v2_archive_dir}[there]
    with pytest.raises(
        errors.UserError, match=rf"those of BigEarthNet {there}\.0.*={there}`"
    ):
        dataset.build(archive_dir=archive, data_dir=tmp_path, version=asked)


def test_missing_tables_are_named_before_anything_is_built(
    archive_dir, tmp_path
):
    (archive_dir / TABLES[0]).unlink()
    with pytest.raises(errors.UserError, match=f"No file .*{TABLES[0]}"):
        build_v2(archive_dir, tmp_path)
    assert not list(tmp_path.rglob("*.tfrecord*"))


def test_whole_archives_have_no_fault(v2_archive_dir):
    report = verification.verify(v2_archive_dir)
    assert report.num_pairs == 24
    assert report.is_well


def test_every_fault_is_found(archive_dir):
    s2 = archive_dir / "BigEarthNet-S2"
    folders = sorted(path for path in s2.glob("*/*") if path.is_dir())
    missing, elsewhere, misplaced = folders[:3]
    (missing / f"{missing.name}_B05.tif").unlink()
    (missing / "notes.txt").touch()
    with rasterio.open(elsewhere / f"{elsewhere.name}_B03.tif", "r+") as file:
        file.transform = file.transform.translation(60, 0) @ file.transform
    (s2 / "other_scene").mkdir()
    misplaced.rename(s2 / "other_scene" / misplaced.name)
    report = verification.verify(archive_dir)
    found = {(fault.kind, fault.place) for fault in report.faults.first}
    assert found >= {
        ("missing", f"{missing.name}/{missing.name}_B05.tif"),
        ("surplus", f"{missing.name}/notes.txt"),
        ("surplus", f"other_scene/{misplaced.name}"),
    }
    assert any(
        kind == "broken" and f"{elsewhere.name}_B03.tif" in place
        for kind, place in found
    )


def test_bands_of_two_places_stop_a_build(archive_dir, tmp_path):
    path = next(archive_dir.glob("BigEarthNet-S1/*/*/*_VH.tif"))
    with rasterio.open(path, "r+") as file:
        file.transform = file.transform.translation(10, 0) @ file.transform
    with pytest.raises(errors.UserError, match="lies elsewhere than"):
        build_v2(archive_dir, tmp_path)


def test_the_tables_lie_beside_the_records(v2_archive_dir, v2_data_dir):
    for name in TABLES:
        (path,) = v2_data_dir.rglob(name)
        assert path.read_bytes() == (v2_archive_dir / name).read_bytes()


# --- Other suffixes of GeoTIFFs --------------------------------------------


def rename(archive: pathlib.Path, suffix: str) -> None:
    for path in archive.rglob("*.tif"):
        path.rename(path.with_suffix(suffix))


@pytest.mark.parametrize("suffix", [".tiff", ".TIF", ".TIFF"])
@pytest.mark.parametrize("packed", ["", ".tar", ".tar.zst"])
def test_other_suffixes_give_the_same_records(
    archive_dir, v2_data_dir, tmp_path, suffix, packed
):
    rename(archive_dir, suffix)
    archive = archive_dir
    if packed:
        archive = pack(archive_dir, tmp_path / "tarballs", packed)
    else:
        assert verification.verify(archive).is_well
    build_v2(archive, tmp_path, num_workers=1)
    paths = list(v2_data_dir.rglob("*.tfrecord-*"))
    assert paths
    for path in paths:
        other = tmp_path / "data" / path.relative_to(v2_data_dir)
        assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "ending", ["_B02.tif", "_VV.tif", "_reference_map.tif"]
)
@pytest.mark.parametrize("packed", ["", ".tar", ".tar.zst"])
def test_two_suffixes_of_one_band_are_ambiguous(
    archive_dir, tmp_path, ending, packed
):
    path = next(archive_dir.rglob(f"*{ending}"))
    shutil.copy(path, path.with_suffix(".tiff"))
    archive = archive_dir
    if packed:
        archive = pack(archive_dir, tmp_path / "tarballs", packed)
    else:
        (fault,) = verification.verify(archive).faults.first
        assert "is ambiguous" in fault.reason
    with pytest.raises(errors.UserError, match=r"\.tif and .*\.tiff") as caught:
        build_v2(archive, tmp_path, num_workers=1)
    assert path.stem in str(caught.value)
