"""Whole datasets pass; every fault of files and records is listed."""

import csv
import json
import os
import pathlib
import shutil
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from pyarrow import parquet

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import official_lists
from ben_tf.archive import parts
from ben_tf.data import tfrecord_files
from tfrecords_builder import dataset
from tfrecords_builder import record_verification
from tfrecords_builder import verification

TRAIN = "bigearthnet_mm-train.tfrecord-00000-of-00001"
TEST = "bigearthnet_mm-test.tfrecord-00000-of-00001"
# Bytes of a TFRecord before its data: length and checksum of the length.
HEADER = 12


def copied(data_dir, tmp_path, version) -> pathlib.Path:
    part = pathlib.Path("bigearthnet_mm", version, "1.0.0")
    return shutil.copytree(data_dir / part, tmp_path / "data" / part)


@pytest.fixture
def copy(data_dir, tmp_path) -> pathlib.Path:
    """The folder of a dataset that may be damaged."""
    return copied(data_dir, tmp_path, "v1")


@pytest.fixture
def v2_copy(v2_data_dir, tmp_path) -> pathlib.Path:
    """That of a dataset of v2.0."""
    return copied(v2_data_dir, tmp_path, "v2")


def verify(folder, **kwargs):
    """The report, and (kind, last part of the place, reason) of each fault."""
    found = record_verification.verify(
        folder.parents[2],
        csv_path=folder.parents[3] / "faults.csv",
        num_workers=1,
        **kwargs,
    )
    with open(found.csv_path, newline="", encoding="utf-8") as file:
        faults = [
            (fault["kind"], fault["place"], fault["reason"])
            for fault in csv.DictReader(file)
        ]
    return found, faults


def read(path) -> list[tf.train.Example]:
    return [
        tf.train.Example.FromString(data.numpy())
        for data in tf.data.TFRecordDataset(str(path))
    ]


def write(path, examples) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example.SerializeToString())


def flip(path, position) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def set_metadata(folder, **values) -> None:
    (folder / "metadata.json").write_text(json.dumps(values))


def test_a_sample_is_well_and_called_one(data_dir, tmp_path):
    found = record_verification.verify(
        data_dir, csv_path=tmp_path / "faults.csv", num_workers=2
    )
    report = found
    assert report.is_well
    assert report.num_pairs == 48
    assert report.counts == report.expected
    assert report.counts["split"].total() == 48
    assert report.csv_path.read_text().splitlines() == ["kind,place,reason"]
    text = verification.summary(found)
    assert "built of a sample" in text
    assert text.endswith("All is well.")
    assert "48 pairs checked" in text


@pytest.mark.parametrize(
    ("damage", "kind", "place", "reason", "num_whole"),
    [
        (
            lambda path: flip(path, HEADER + 200_000),
            *("broken", f"{TEST}/S2", "its checksum is another"),
            10,
        ),
        (
            lambda path: flip(path, 0),
            *("broken", TEST, "length of record 0 has another checksum"),
            0,
        ),
        (
            lambda path: os.truncate(path, path.stat().st_size - 1),
            *("broken", TEST, "truncated: it ends within record 10"),
            10,
        ),
        (
            lambda path: os.truncate(path, 5),
            *("broken", TEST, "truncated: it ends within record 0"),
            0,
        ),
        (
            lambda path: path.write_bytes(b""),
            *("broken", TEST, "holds 0 records. Expected 11"),
            0,
        ),
        (
            lambda path: write(path, read(path)[:-1]),
            *("broken", TEST, "holds 10 records. Expected 11"),
            10,
        ),
        (
            pathlib.Path.unlink,
            *("missing", TEST, "is missing. Expected 11 records"),
            0,
        ),
        (
            lambda path: (path.unlink(), path.mkdir()),
            *("missing", TEST, "is missing. Expected 11 records"),
            0,
        ),
        (
            lambda path: shutil.copy(path, f"{path}.bak"),
            *("surplus", f"{TEST}.bak", "is not a file of dataset_info.json"),
            11,
        ),
    ],
    ids=[
        "data bit",
        "length bit",
        "last byte",
        "header",
        "empty",
        "record gone",
        "shard gone",
        "folder",
        "shard surplus",
    ],
)
def test_damaged_files(copy, damage, kind, place, reason, num_whole):
    damage(copy / TEST)
    found, faults = verify(copy)
    assert not found.is_well
    (fault, *missing) = faults
    assert fault[0] == kind
    assert fault[1].startswith(place)
    assert reason in fault[2]
    # The table of patches names what cannot be read.
    assert {fault[0] for fault in missing} <= {"missing"}
    assert len(missing) == 11 - num_whole - (place == f"{TEST}/S2")
    assert found.counts["split"]["test"] == num_whole
    assert found.expected["split"]["test"] == 11
    assert found.counts["split"].total() == 48 - 11 + num_whole


def test_a_crafted_length_asks_for_no_memory(copy):
    path = copy / TEST
    length = (2**60).to_bytes(8, "little")
    path.write_bytes(
        length
        + tfrecord_files.masked_crc(length).to_bytes(4, "little")
        + b"x" * 50
    )
    _, faults = verify(copy)
    assert "truncated: it ends within record 0" in faults[0][2]


def test_a_flipped_bit_in_a_name_makes_no_stranger(copy):
    path = copy / TEST
    name = read(path)[0].features.feature["patch_name"].bytes_list.value[0]
    flip(path, path.read_bytes().index(name) + len(name) - 1)
    _, faults = verify(copy)
    assert [fault[0] for fault in faults] == ["broken", "missing"]
    assert faults[1][1] == name.decode()


Feature = tf.train.Feature


def ints(*values) -> Feature:
    return Feature(int64_list=tf.train.Int64List(value=values))


def texts(*values) -> Feature:
    return Feature(bytes_list=tf.train.BytesList(value=values))


def floats(*values) -> Feature:
    return Feature(float_list=tf.train.FloatList(value=values))


def pixels(name: str, change: Callable[[np.ndarray], np.ndarray]):
    """Changes the pixels of a grid in a record."""
    grid = bigearthnet.GRIDS[name]

    def edit(feature) -> None:
        array = np.frombuffer(
            feature[name].bytes_list.value[0], grid.dtype
        ).reshape(grid.shape)
        changed = np.asarray(change(array.copy()), grid.dtype)
        feature[name].CopyFrom(texts(changed.tobytes()))

    return edit


def one_pixel(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[60, 60, 1] = value
        return array

    return change


def put(**features: Feature):
    def edit(feature) -> None:
        for name, value in features.items():
            feature[name].CopyFrom(value)

    return edit


CONTENTS = {
    "NaN": (pixels("s1", one_pixel(np.nan)), "NaN or infinite dB in 1 "),
    "-inf": (pixels("s1", one_pixel(-np.inf)), "NaN or infinite dB in 1 "),
    "linear": (pixels("s1", lambda s1: 10 ** (s1 / 10)), "no dB"),
    "no data": (pixels("s2_60m", np.zeros_like), "nothing but 0"),
    "from 0 to 1": (
        pixels("s2_20m", lambda s2: (s2 > 1000).astype(np.uint16)),
        "not from 0 to 1",
    ),
    "half a grid": (
        put(s2_10m=texts(bytes(120 * 120 * 4))),
        "Expected 115,200 bytes, for (120, 120, 4) uint16. Received: 57,600",
    ),
    "label 43": (put(labels_43=ints(0, 43)), "labels_43 from 0 to 42"),
    "label -1": (put(labels_19=ints(-1)), "labels_19 from 0 to 18"),
    "label twice": (put(labels_43=ints(3, 3)), "has a label twice"),
    "no label": (put(labels_43=ints(), labels_19=ints()), "has no label"),
    "nomenclatures": (
        # Rice fields are arable land.
        put(labels_43=ints(13), labels_19=ints(3)),
        "Expected labels_19 [2], which follow from labels_43 [13]",
    ),
    "name not UTF-8": (put(patch_name=texts(b"S2\xff")), "not UTF-8"),
    "EPSG 0": (put(epsg=ints(0)), "Received: 0"),
    "place": (put(upper_left=floats(np.nan, 0)), "lies elsewhere"),
    "country 10": (put(country=ints(10)), "country out of range"),
    "flag 2": (put(seasonal_snow=ints(2)), "seasonal_snow out of range"),
    "S1 name": (put(s1_name=texts(b"S1\xff")), "unusable s1_name"),
    "S1 name of many digits": (
        put(s1_name=texts(b"S1_33UUP_1_" + b"9" * 4000)),
        "unusable s1_name",
    ),
    "s1_time": (put(s1_time=texts(b"1999-01-01T00:00:00")), "another s1_time"),
    "s2_time": (put(s2_time=texts(b"\xff")), "another s2_time"),
    "two values": (put(country=ints(1, 2)), "Expected 1 of int64_list"),
    "another type": (put(epsg=texts(b"32633")), "Expected 1 of int64_list"),
    "feature gone": (lambda feature: feature.pop("s1"), "other features"),
    "feature more": (put(colour=ints(1)), "other features"),
    "season": (
        lambda feature: feature["season"].CopyFrom(
            ints((feature["season"].int64_list.value[0] + 1) % 4)
        ),
        "contradicts the official list. Expected season",
    ),
    "snow": (
        lambda feature: feature["seasonal_snow"].CopyFrom(
            ints(1 - feature["seasonal_snow"].int64_list.value[0])
        ),
        "Expected seasonal_snow False (received: True)",
    ),
}


def test_contents_of_records(copy):
    """One dataset with a fault of its own in each record of a split."""
    examples = read(copy / TRAIN)
    names = [
        example.features.feature["patch_name"].bytes_list.value[0].decode()
        for example in examples
    ]
    assert len(CONTENTS) < len(examples)
    for example, (edit, _) in zip(examples, CONTENTS.values(), strict=False):
        edit(example.features.feature)
    write(copy / TRAIN, examples)
    found, faults = verify(copy)
    assert found.counts["split"]["train"] == 27 - len(CONTENTS)
    for number, (kind, (_, reason)) in enumerate(CONTENTS.items()):
        places = (names[number], f"record {number}")
        reasons = [
            fault[2]
            for fault in faults
            if fault[0] == "broken"
            and any(place in fault[1].split("/") for place in places)
        ]
        assert len(reasons) == 1, (kind, reasons)
        assert reason in reasons[0], kind


def test_a_record_that_is_no_example(copy):
    with tf.io.TFRecordWriter(str(copy / TEST)) as writer:
        writer.write(b"\xff\xff\xff")
    _, faults = verify(copy)
    assert faults[0][1:] == (
        f"{TEST}/record 0",
        "is not a serialized tf.train.Example.",
    )


def test_patches_that_do_not_belong(copy):
    """Unknown, in the table of another dataset, twice, and in a wrong split."""
    examples = read(copy / TEST)
    train = read(copy / TRAIN)
    here = {
        example.features.feature["patch_name"].bytes_list.value[0].decode()
        for example in examples + train
    }
    examples[0].features.feature["patch_name"].CopyFrom(
        texts(b"S2A_MSIL2A_20170613T101031_0_999")
    )
    examples[1] = examples[2]
    examples[3] = train[0]
    write(copy / TEST, examples)
    write(copy / TRAIN, train[1:])
    _, faults = verify(copy)
    reasons = [fault[2] for fault in faults]
    assert sum("not a patch of BigEarthNet" in text for text in reasons) == 1
    assert sum("is there twice" in text for text in reasons) == 1
    assert (
        sum("split 'train' (received: 'test')" in text for text in reasons) == 1
    )

    stranger = next(
        pair
        for pair in official_lists.official_patches().values()
        if pair.split == "test" and pair.s2_name not in here
    )
    examples = examples[:1]
    put(
        patch_name=texts(stranger.s2_name.encode()),
        s1_name=texts(stranger.s1_name.encode()),
    )(examples[0].features.feature)
    write(copy / TEST, examples)
    _, faults = verify(copy)
    assert any("is not in patches.parquet" in fault[2] for fault in faults)


def test_a_part_is_called_one_and_partial_checks_it(copy):
    set_metadata(copy, synthetic=False)
    found, faults = verify(copy)
    assert found.faults.counts["missing"] == 590_326 - 48
    # Not a line for each.
    assert [fault[:2] for fault in faults] == [
        ("missing", split) for split in sorted(bigearthnet.SPLIT_SIZES)
    ]
    assert found.expected["split"] == bigearthnet.SPLIT_SIZES
    assert "`partial`" in verification.summary(found)
    found, faults = verify(copy, partial=True)
    assert found.is_well
    assert found.expected["split"].total() == 48
    assert "holds a part of BigEarthNet" in verification.summary(found)


def test_pairs_are_named_where_few_are_missing(copy, monkeypatch):
    """As in a whole dataset: 48 official pairs, one of which was skipped."""
    set_metadata(copy, synthetic=False)
    names = parquet.read_table(copy / "patches.parquet")["patch_name"]
    official = official_lists.official_patches()
    more = [name for name in official if name not in set(names.to_pylist())][:3]
    monkeypatch.setattr(
        official_lists,
        "official_patches",
        lambda: {name: official[name] for name in [*names.to_pylist(), *more]},
    )
    skipped, half, absent = (official[name] for name in more)
    (copy / "skipped.csv").write_text(
        "patch_name,place,reason\n"
        f"{skipped.s2_name},x,is broken\n"
        f"{half.s1_name},x,has no S2 patch\n"
        "notes.txt,x,is not a patch\n"
    )
    found, faults = verify(copy)
    assert [fault[:2] for fault in faults] == [("missing", absent.s2_name)]
    assert found.expected["split"].total() == 49
    assert "2 pairs were left out on purpose" in verification.summary(found)


@pytest.mark.parametrize(
    "content", ["", "a,b\n1,2\n", "\0", 'patch_name,place,reason\n"x']
)
def test_a_damaged_list_of_skipped_pairs(copy, content):
    (copy / "skipped.csv").write_text(content)
    _, faults = verify(copy)
    assert [fault[:2] for fault in faults] == [("broken", "skipped.csv")]


@pytest.mark.parametrize("content", [b"", b"PAR1 and more than that PAR1"])
def test_a_damaged_table(copy, content):
    (copy / "patches.parquet").write_bytes(content)
    _, faults = verify(copy)
    assert [fault[:2] for fault in faults] == [("broken", "patches.parquet")]


def test_a_table_with_other_columns(copy):
    parquet.write_table(pa.table({"x": [1]}), copy / "patches.parquet")
    _, faults = verify(copy)
    assert [fault[:2] for fault in faults] == [("broken", "patches.parquet")]


def test_without_a_table_records_are_counted(copy):
    (copy / "patches.parquet").unlink()
    found, faults = verify(copy)
    assert not faults
    assert found.expected["split"].total() == 48
    write(copy / TEST, read(copy / TEST)[1:])
    _, faults = verify(copy)
    assert [fault[:2] for fault in faults] == [("broken", TEST)]


def test_descriptions_that_contradict_the_facts(copy):
    (copy / "season.labels.txt").write_text("Winter\nSpring\nSummer\nAutumn\n")
    features = (copy / "features.json").read_text()
    (copy / "features.json").write_text(
        features.replace('"uint16"', '"int16"', 1)
    )
    assert features.count('"uint16"') == 3
    _, faults = verify(copy)
    assert [fault[:2] for fault in faults] == [
        ("broken", "features.json"),
        ("broken", "season.labels.txt"),
    ]


def test_no_dataset_is_a_sentence_and_leaves_no_list(tmp_path):
    with pytest.raises(errors.UserError, match="No dataset found"):
        record_verification.verify(tmp_path, csv_path=tmp_path / "faults.csv")
    assert not list(tmp_path.iterdir())


# --- BigEarthNet v2.0 ------------------------------------------------------


def test_records_of_v2_are_well(v2_data_dir):
    report = record_verification.verify(v2_data_dir, num_workers=2)
    assert report.is_well
    assert report.num_pairs == 24
    assert report.counts == report.expected
    assert all(report.counts["split"][x] for x in bigearthnet.V2_SPLIT_SIZES)


def codes(change: Callable[[np.ndarray], np.ndarray]):
    """Changes the reference map of a record."""

    def edit(feature) -> None:
        (data,) = feature["reference_map"].bytes_list.value
        changed = change(np.frombuffer(data, np.uint16).copy())
        feature["reference_map"].CopyFrom(texts(changed.tobytes()))

    return edit


def next_of(name: str, number: int):
    """Another value of a class or a flag."""

    def edit(feature) -> None:
        (value,) = feature[name].int64_list.value
        feature[name].CopyFrom(ints((value + 1) % number))

    return edit


def other_label(feature) -> None:
    labels = list(feature["labels_19"].int64_list.value)
    free = next(x for x in range(19) if x not in labels)
    feature["labels_19"].CopyFrom(ints(*labels, free))


def second_later(name: str):
    """Of the times of v2.0 all is in the names, not only the date."""

    def edit(feature) -> None:
        time = np.datetime64(feature[name].bytes_list.value[0].decode())
        later = str(time + np.timedelta64(1, "s"))
        feature[name].CopyFrom(texts(later.encode()))

    return edit


V2_CONTENTS = {
    "map lost": (codes(np.zeros_like), "Expected a map"),
    "map swapped": (codes(np.ndarray.byteswap), "no code of CORINE Land Cover"),
    "half a map": (
        codes(lambda found: found[:7200]),
        "Expected 28,800 bytes, for (120, 120, 1) uint16. Received: 14,400",
    ),
    "map gone": (
        lambda feature: feature.pop("reference_map"),
        "other features than a pair",
    ),
    "two maps": (
        put(reference_map=texts(bytes(28_800), bytes(28_800))),
        "Expected 1 of bytes_list",
    ),
    "v1_name gone": (lambda feature: feature.pop("v1_name"), "other features"),
    "v1_name": (put(v1_name=texts(b"S2A_x")), "Expected v1_name "),
    "v1_name not UTF-8": (put(v1_name=texts(b"S2\xff")), "unusable v1_name"),
    "other label": (other_label, "Expected labels_19 ("),
    "no label": (put(labels_19=ints()), "at least one of the 19 classes"),
    "label 19": (put(labels_19=ints(19)), "labels_19 from 0 to 18"),
    "label twice": (put(labels_19=ints(3, 3)), "has a label twice"),
    "labels_43": (put(labels_43=ints(0)), "Expected none in v2"),
    "season": (next_of("season", 4), "Expected season "),
    "country": (next_of("country", 10), "Expected country "),
    "snow": (next_of("seasonal_snow", 2), "Expected seasonal_snow "),
    "cloud": (next_of("cloud_or_shadow", 2), "Expected cloud_or_shadow "),
    "s1_time": (second_later("s1_time"), "another s1_time"),
    "s2_time": (second_later("s2_time"), "another s2_time"),
    "EPSG": (put(epsg=ints(0)), "another projection"),
    "place": (put(upper_left=floats(0, 0)), "lies elsewhere"),
    "NaN": (pixels("s1", one_pixel(np.nan)), "NaN or infinite dB in 1 "),
    "no data": (pixels("s2_60m", np.zeros_like), "nothing but 0"),
}


@pytest.mark.parametrize("kind", V2_CONTENTS)
def test_contents_of_records_of_v2(v2_copy, kind):
    edit, reason = V2_CONTENTS[kind]
    examples = read(v2_copy / TRAIN)
    name = examples[0].features.feature["patch_name"].bytes_list.value[0]
    edit(examples[0].features.feature)
    write(v2_copy / TRAIN, examples)
    report, faults = verify(v2_copy)
    found = [fault for fault in faults if fault[0] == "broken"]
    assert len(found) == 1
    assert reason in found[0][2]
    assert f"/{name.decode()}" in found[0][1] or "record 0" in found[0][1]
    assert report.counts["split"]["train"] == len(examples) - 1


def test_damaged_files_of_v2(v2_copy):
    flip(v2_copy / TRAIN, HEADER + 200_000)
    (v2_copy / TEST).unlink()
    _, faults = verify(v2_copy)
    assert any("its checksum is another" in fault[2] for fault in faults)
    assert any(fault[:2] == ("missing", TEST) for fault in faults)


def test_patches_of_v2_that_do_not_belong(v2_copy):
    """Of v1.0, twice, and in a wrong split."""
    examples = read(v2_copy / TEST)
    excluded = v2_copy / "bigearthnet_mm-excluded.tfrecord-00000-of-00001"
    others = read(excluded)
    feature = examples[0].features.feature
    feature["patch_name"].CopyFrom(feature["v1_name"])
    write(v2_copy / TEST, [*examples, examples[1], others[0]])
    write(excluded, others[1:])
    _, faults = verify(v2_copy)
    reasons = [fault[2] for fault in faults]
    for reason in (
        "is not a patch of BigEarthNet v2.0",
        "is there twice",
        "split 'excluded' (received: 'test')",
    ):
        assert sum(reason in text for text in reasons) == 1, reason


def test_empty_maps_are_right_where_the_archive_had_none(v2_copy):
    for path in v2_copy.glob("*.tfrecord*"):
        examples = read(path)
        for example in examples:
            codes(np.zeros_like)(example.features.feature)
        write(path, examples)
    report, _ = verify(v2_copy)
    assert report.faults.counts["broken"] == 24
    set_metadata(v2_copy, synthetic=True, has_maps=False)
    report, _ = verify(v2_copy)
    assert report.is_well


def test_a_build_notes_that_there_were_no_maps(v2_archive_dir, tmp_path):
    archive = shutil.copytree(v2_archive_dir, tmp_path / "archive")
    shutil.rmtree(archive / "Reference_Maps")
    dataset.build(
        archive_dir=archive,
        data_dir=tmp_path / "data",
        version="v2",
        num_workers=1,
    )
    assert record_verification.verify(tmp_path / "data").is_well


def test_a_part_of_v2_is_held_to_what_it_says(v2_archive_dir, tmp_path):
    dataset.build(
        archive_dir=v2_archive_dir,
        data_dir=tmp_path / "data",
        version="v2",
        part=parts.Part(splits=["train", "excluded"]),
        num_workers=1,
    )
    (info,) = tmp_path.rglob("dataset_info.json")
    part = "splits train, excluded"
    set_metadata(info.parent, synthetic=False, part=part, has_maps=True)
    report, _ = verify(info.parent)
    assert report.is_well
    assert f"a part of BigEarthNet: {part}" in verification.summary(report)
    # Without the word for it, the pairs of the tables are missing.
    set_metadata(info.parent, synthetic=False, has_maps=True)
    report, faults = verify(info.parent)
    assert report.faults.counts["missing"] == 24 - report.num_pairs
    assert len({fault[0] for fault in faults}) == 1
    assert report.expected["split"].total() == 24
    assert verify(info.parent, partial=True)[0].is_well


def test_records_of_v2_without_their_tables_are_a_sentence(v2_copy):
    (v2_copy / "metadata.parquet").unlink()
    with pytest.raises(errors.UserError, match=r"No file .*metadata.parquet"):
        verify(v2_copy)


def test_a_description_with_another_map(v2_copy):
    path = v2_copy / "features.json"
    features = json.loads(path.read_text())
    tensor = features["featuresDict"]["features"]["reference_map"]["tensor"]
    tensor["dtype"] = "int16"
    path.write_text(json.dumps(features))
    _, faults = verify(v2_copy)
    assert [fault[:2] for fault in faults] == [("broken", "features.json")]
    assert "another reference_map" in faults[0][2]


def test_another_version_is_a_sentence(v2_copy):
    path = v2_copy / "dataset_info.json"
    info = json.loads(path.read_text())
    info["configName"] = "v3"
    path.write_text(json.dumps(info))
    with pytest.raises(errors.UserError, match="Expected v1 or v2"):
        verify(v2_copy)
