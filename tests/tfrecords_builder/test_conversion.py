"""Splits, shards and what is left out: nothing is lost silently."""

import csv
import errno
import shutil
import tarfile

import pytest
import tensorflow_datasets as tfds

from ben_tf import errors
from ben_tf.archive import open_archive
from ben_tf.archive import patch_sources
from tfrecords_builder import bigearthnet_mm_dataset_builder
from tfrecords_builder import conversion
from tfrecords_builder import dataset
from tfrecords_builder import patch_table
from tfrecords_builder import shards

S1 = "BigEarthNet-S1-v1.0"
S2 = "BigEarthNet-v1.0"


def read_skipped(builder) -> list[dict[str, str]]:
    with open(builder.data_path / "skipped.csv", newline="") as file:
        return list(csv.DictReader(file))


def names(builder) -> set[str]:
    return {
        example["patch_name"].decode()
        for split in builder.info.splits
        for example in tfds.as_numpy(builder.as_dataset(split=split))
    }


def test_a_file_that_cannot_be_read_is_not_skipped(
    archive_dir, tmp_path, monkeypatch
):
    """A disk that fails for a moment must not cost patches."""
    read_file = patch_sources.FolderSource.read_file
    refused = next(archive_dir.glob("*/*/*_VV.tif")).name

    def read(self, patch_name, file_name):
        if file_name == refused:
            error = OSError(errno.EIO, "Input/output error")
            raise patch_sources.unreadable_file(file_name, error)
        return read_file(self, patch_name, file_name)

    monkeypatch.setattr(patch_sources.FolderSource, "read_file", read)
    with pytest.raises(
        patch_sources.UnreadableError, match="Input/output error"
    ):
        dataset.build(
            archive_dir=archive_dir,
            data_dir=tmp_path / "data",
            on_error="skip",
            num_workers=1,
        )


@pytest.mark.parametrize("num_workers", [1, 2])
def test_scratch_space_goes_while_records_come(
    sample_archive_dir, data_dir, tmp_path, monkeypatch, num_workers
):
    archive_dir = tmp_path / "archive"
    archive_dir.mkdir()
    for folder, stem in ((S1, S1), (S2, "BigEarthNet-S2-v1.0")):
        with tarfile.open(archive_dir / f"{stem}.tar.gz", "w:gz") as tar:
            tar.add(sample_archive_dir / folder, folder)
    held = []
    write = patch_table.write

    def note_files(path, parts):
        for metadata in parts:
            held.append(len(list(tmp_path.rglob("*.tar.[0-9]*"))))
            yield metadata

    monkeypatch.setattr(
        patch_table,
        "write",
        lambda path, parts: write(path, note_files(path, parts)),
    )
    builder = dataset.build(
        archive_dir=archive_dir,
        data_dir=tmp_path / "data",
        num_workers=num_workers,
    )
    # After each of the splits.
    assert held == sorted(held, reverse=True)
    assert held[-1] < held[0] / 2
    expected = tfds.builder("bigearthnet_mm", data_dir=data_dir)
    for path in expected.data_path.glob("*.tfrecord-*"):
        assert (builder.data_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("num_records", "num_scratch", "expected"),
    # Records alone; few beside much; much beside little.
    [(1000, 0, 1000), (0, 6400, 400), (1000, 640, 400)],
)
def test_disk_of_a_conversion(num_records, num_scratch, expected):
    assert conversion._disk_bytes(num_records, num_scratch) == expected


def test_nothing_left_is_an_error(archive_dir, tmp_path):
    for path in archive_dir.glob("*/*/*_VV.tif"):
        path.write_bytes(b"damaged")
    with pytest.raises(
        errors.UserError,
        match=r"None of the 6 pairs is whole.*_VV\.tif .*verify",
    ):
        dataset.build(
            archive_dir=archive_dir, data_dir=tmp_path / "data", on_error="skip"
        )
    files = [p for p in (tmp_path / "data").rglob("*") if p.is_file()]
    assert {file.name for file in files} <= {".lock", "metadata.json"}


def test_records_and_skipped_add_up_to_the_input(
    archive_dir, tmp_path, real_pairs
):
    by_split = {}
    for pair in real_pairs:
        by_split.setdefault(pair.split, []).append(pair)
    # The only pair of a split: the split disappears.
    only_test = by_split["test"][0]
    next((archive_dir / S2 / only_test.s2_name).glob("*_B11.tif")).unlink()
    broken, lonely, *rest = by_split["train"]
    json = next((archive_dir / S1 / broken.s1_name).glob("*.json"))
    json.write_text("{")
    (archive_dir / S1 / lonely.s1_name).rename(tmp_path / "elsewhere")
    (archive_dir / S2 / "notes").mkdir()

    builder = dataset.build(
        archive_dir=archive_dir, data_dir=tmp_path / "data", on_error="skip"
    )
    skipped = read_skipped(builder)
    found = {
        row["patch_name"]: (row["place"], row["reason"]) for row in skipped
    }
    assert found.keys() == {
        only_test.s2_name,
        broken.s2_name,
        lonely.s2_name,
        "notes",
    }
    for name, place, reason in (
        (only_test.s2_name, f"{only_test.s2_name}_B11.tif", "is missing"),
        (broken.s2_name, json.name, "is not valid JSON"),
        (lonely.s2_name, lonely.s2_name, "has no S1 patch"),
        ("notes", "notes", "is not a patch of BigEarthNet"),
    ):
        assert found[name][0].endswith(place)
        assert found[name][1].startswith(reason)
    kept = {pair.s2_name for pair in rest + by_split["excluded"]}
    assert names(builder) == kept
    assert set(builder.info.splits) == {"train", "excluded"}
    # 6 pairs and one entry that is not a patch.
    assert len(skipped) + builder.info.splits.total_num_examples == 7


def test_a_skipped_half_is_listed_under_its_pair(
    archive_dir, tmp_path, real_pairs
):
    lonely = real_pairs[0]
    (archive_dir / S2 / lonely.s2_name).rename(tmp_path / "elsewhere")
    builder = dataset.build(
        archive_dir=archive_dir, data_dir=tmp_path / "data", on_error="skip"
    )
    (row,) = read_skipped(builder)
    assert row["patch_name"] == lonely.s2_name
    assert row["place"] == lonely.s1_name


def test_the_list_is_there_even_if_nothing_was_skipped(real_archive, tmp_path):
    builder = dataset.build(
        archive_dir=real_archive, data_dir=tmp_path, on_error="skip"
    )
    assert read_skipped(builder) == []
    assert conversion.count_skipped(builder.data_path) == 0


def test_an_archive_without_a_pair_is_refused(tmp_path):
    for name in (S1, S2):
        (tmp_path / "archive" / name).mkdir(parents=True)
    with pytest.raises(errors.UserError, match="holds no pair of patches"):
        dataset.build(
            archive_dir=tmp_path / "archive", data_dir=tmp_path / "data"
        )


def test_too_little_disk_is_said_before_the_first_record(
    real_archive, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        open_archive.shutil,
        "disk_usage",
        lambda path: shutil._ntuple_diskusage(10, 9, 1),
    )
    with pytest.raises(
        errors.UserError, match="too small for the records of 6 pairs"
    ):
        dataset.build(archive_dir=real_archive, data_dir=tmp_path)


def test_only_so_many_pairs_of_each_split(real_archive, tmp_path):
    builder = bigearthnet_mm_dataset_builder.Builder(data_dir=str(tmp_path))
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=str(real_archive), max_examples_per_split=2
        )
    )
    sizes = {
        name: split.num_examples for name, split in builder.info.splits.items()
    }
    assert sizes == {"train": 2, "test": 1, "excluded": 1}


def test_files_are_numbered_anew_when_skipping_empties_one(
    archive_dir, tmp_path, real_pairs
):
    by_split = {}
    for pair in real_pairs:
        by_split.setdefault(pair.split, []).append(pair)
    first = shards.in_record_order("train", by_split["train"])[0].s2_name
    next((archive_dir / S2 / first).glob("*_B02.tif")).unlink()
    builder = bigearthnet_mm_dataset_builder.Builder(
        data_dir=str(tmp_path / "data"), on_error="skip", num_workers=1
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=str(archive_dir), num_shards=4
        )
    )
    # A file a pair; TFDS finds files by their number and how many there are.
    assert builder.info.splits["train"].shard_lengths == [1, 1, 1]
    assert len(list(builder.data_path.glob("*train.tfrecord-*-of-00003"))) == 3
    assert len(list(builder.data_path.glob("*.tfrecord-*"))) == 5
    assert names(builder) == {pair.s2_name for pair in real_pairs} - {first}
