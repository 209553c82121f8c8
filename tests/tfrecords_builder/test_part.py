"""Datasets of a part of the archive."""

import shutil
import tarfile

import pytest
import tensorflow_datasets as tfds

from ben_tf import errors
from ben_tf.archive import parts
from tfrecords_builder import conversion
from tfrecords_builder import dataset
from tfrecords_builder import record
from tfrecords_builder import record_verification


def names_of(builder, split) -> list[str]:
    return [
        example["patch_name"].decode()
        for example in tfds.as_numpy(builder.as_dataset(split=split))
    ]


@pytest.fixture(scope="module")
def whole(data_dir):
    return tfds.builder_from_directory(data_dir / "bigearthnet_mm/v1/1.0.0")


def build(archive_dir, folder, **options):
    return dataset.build(
        archive_dir=archive_dir,
        data_dir=folder / "data",
        part=parts.Part(**options),
        num_workers=1,
    )


def test_a_part_is_in_the_order_of_the_whole(
    whole, sample_archive_dir, tmp_path
):
    builder = build(
        sample_archive_dir, tmp_path, splits=["train", "test"], max_pairs=12
    )
    assert set(builder.info.splits) == {"train", "test"}
    assert builder.info.splits.total_num_examples == 12
    for split in ("train", "test"):
        found = names_of(builder, split)
        kept = set(found)
        assert found == [x for x in names_of(whole, split) if x in kept]
    description = "splits train, test; at most 12 pairs"
    assert builder.info.metadata["part"] == description
    again = tfds.builder_from_directory(builder.data_path)
    assert again.info.metadata["part"] == description
    assert f"A part of BigEarthNet: {description}" in dataset.summary(builder)


@pytest.mark.parametrize("name", ["Marine waters", "Sea and ocean"])
def test_labels_of_both_nomenclatures(
    whole, sample_archive_dir, tmp_path, name
):
    builder = build(sample_archive_dir, tmp_path, labels=[name])
    feature = whole.info.features[
        "labels_19" if name == "Marine waters" else "labels_43"
    ]
    number = feature.feature.str2int(name)
    key = "labels_19" if name == "Marine waters" else "labels_43"
    expected = {
        example["patch_name"]
        for split in whole.info.splits
        for example in tfds.as_numpy(whole.as_dataset(split=split))
        if number in example[key]
    }
    assert expected
    found = {
        example["patch_name"]
        for split in builder.info.splits
        for example in tfds.as_numpy(builder.as_dataset(split=split))
    }
    assert found == expected


def test_what_does_not_belong_to_a_part_may_be_incomplete(
    archive_dir, real_pairs, tmp_path
):
    first, second, *_ = real_pairs
    shutil.rmtree(archive_dir / "BigEarthNet-S1-v1.0" / second.s1_name)
    builder = build(archive_dir, tmp_path, patches=frozenset([first.s2_name]))
    assert builder.info.splits.total_num_examples == 1
    with pytest.raises(errors.UserError, match="has no S1 patch"):
        build(archive_dir, tmp_path / "2", patches=frozenset([second.s2_name]))


def pack(archive_dir, target):
    target.mkdir()
    for folder, name in (
        ("BigEarthNet-v1.0", "BigEarthNet-S2-v1.0"),
        ("BigEarthNet-S1-v1.0", "BigEarthNet-S1-v1.0"),
    ):
        with tarfile.open(target / f"{name}.tar.gz", "w:gz") as tar:
            tar.add(archive_dir / folder, folder)
    return target


@pytest.fixture(scope="module")
def tarballs(sample_archive_dir, tmp_path_factory):
    return pack(sample_archive_dir, tmp_path_factory.mktemp("x") / "archive")


@pytest.mark.parametrize(
    "options",
    [
        {"patches": 2},
        {"max_pairs": 3},
        {"labels": ["Marine waters"]},
        {"labels": ["Sea and ocean"], "splits": ["train"], "max_pairs": 2},
    ],
)
def test_of_tarballs_only_the_part_is_kept_on_disk(
    whole, tarballs, sample_archive_dir, tmp_path, monkeypatch, options
):
    if "patches" in options:
        options = {"patches": frozenset(names_of(whole, "test")[:2])}
    inflated = {}
    convert = conversion.convert

    def note_sizes(*arguments, **options):
        for path in (tmp_path / "data").rglob("*.tar.*"):
            sensor = path.name.split("-")[1]
            inflated[sensor] = inflated.get(sensor, 0) + path.stat().st_size
        return convert(*arguments, **options)

    expected = build(sample_archive_dir, tmp_path / "of_folders", **options)
    monkeypatch.setattr(conversion, "convert", note_sizes)
    builder = build(tarballs, tmp_path, **options)
    assert builder.info.splits.keys() == expected.info.splits.keys()
    for path in expected.data_path.glob("*.tfrecord-*"):
        assert (builder.data_path / path.name).read_bytes() == path.read_bytes()
    num_pairs = builder.info.splits.total_num_examples
    assert 0 < num_pairs < 24
    assert inflated.keys() == {"S1", "S2"}
    share = sum(inflated.values()) / record.approximate_bytes("v1")
    assert num_pairs < share < 1.5 * num_pairs


def test_halves_of_a_part_are_listed_when_looked_for_in_tarballs(
    archive_dir, real_pairs, tmp_path
):
    lonely, *others = [pair for pair in real_pairs if pair.split == "train"]
    shutil.rmtree(archive_dir / "BigEarthNet-S1-v1.0" / lonely.s1_name)
    tarballs = pack(archive_dir, tmp_path / "tarballs")
    part = parts.Part(splits=["train"], max_pairs=1)
    with pytest.raises(errors.UserError, match="has no S1 patch"):
        dataset.build(archive_dir=tarballs, data_dir=tmp_path / "a", part=part)
    builder = dataset.build(
        archive_dir=tarballs,
        data_dir=tmp_path / "b",
        part=part,
        on_error="skip",
    )
    assert names_of(builder, "train")[0] in {pair.s2_name for pair in others}
    assert builder.info.splits.total_num_examples == 1
    assert lonely.s2_name in (builder.data_path / "skipped.csv").read_text()


def test_a_part_without_a_pair_is_named(real_archive, tmp_path):
    with pytest.raises(
        errors.UserError, match="belongs to the part: countries Kosovo"
    ):
        build(real_archive, tmp_path, countries=["Kosovo"])


def test_a_part_is_verified_as_one(sample_archive_dir, tmp_path):
    """Of real pairs alone: of a sample no more would be expected anyway."""
    archive = tmp_path / "archive"
    shutil.copytree(sample_archive_dir, archive)
    (archive / "SYNTHETIC.txt").unlink()
    build(archive, tmp_path, countries=["Austria"])
    report = record_verification.verify(tmp_path / "data", num_workers=1)
    assert report.is_well
    assert any("countries Austria" in note for note in report.notes)
