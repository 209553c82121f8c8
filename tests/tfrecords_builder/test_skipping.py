"""--on_error=skip: nothing is lost silently."""

import csv
import os
import pathlib
import subprocess
import sys

import tensorflow_datasets as tfds

from tfrecords_builder import build as build_lib

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

    builder = build_lib.build(
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
        ("notes", "notes", "is no patch of BigEarthNet"),
    ):
        assert found[name][0].endswith(place)
        assert found[name][1].startswith(reason)
    kept = {pair.s2_name for pair in rest + by_split["excluded"]}
    assert names(builder) == kept
    assert set(builder.info.splits) == {"train", "excluded"}
    # 6 pairs and one entry that is none.
    assert len(skipped) + builder.info.splits.total_num_examples == 7


def test_the_list_is_there_even_if_nothing_was_skipped(real_archive, tmp_path):
    builder = build_lib.build(
        archive_dir=real_archive, data_dir=tmp_path, on_error="skip"
    )
    assert read_skipped(builder) == []


def test_the_command_prints_the_count(archive_dir, tmp_path):
    next(archive_dir.glob(f"{S2}/*_87_48/*_B04.tif")).unlink()
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "tfrecords_builder.build",
            f"--archive_dir={archive_dir}",
            "--data_dir=data",
            "--on_error=skip",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "skipped: 1, listed in " in result.stdout
