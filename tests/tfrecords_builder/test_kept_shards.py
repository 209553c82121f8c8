"""Shards of an interrupted build are used again if they would be the same."""

import json
import pathlib
import shutil
import tarfile

import pytest
import tensorflow_datasets as tfds

from ben_tf import errors
from ben_tf.archive import geotiff
from ben_tf.archive import parts
from tfrecords_builder import dataset
from tfrecords_builder import kept_shards
from tfrecords_builder import shards as shards_lib

V1_FOLDERS = {"S1": "BigEarthNet-S1-v1.0", "S2": "BigEarthNet-v1.0"}


def shards(data_dir: pathlib.Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in data_dir.rglob("*.tfrecord-*")
    }


def build(archive_dir, folder, **options):
    dataset.build(
        archive_dir=archive_dir, data_dir=folder, **{"num_workers": 1} | options
    )


def interrupt(monkeypatch, archive_dir, folder, num_finished, **options):
    """Builds until so many shards are finished."""
    write_shard = kept_shards.write_shard
    calls = []

    def interrupted(task, archive):
        if len(calls) == num_finished:
            raise KeyboardInterrupt
        calls.append(task)
        return write_shard(task, archive)

    with monkeypatch.context() as patch:
        patch.setattr(kept_shards, "write_shard", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build(archive_dir, folder, **options)


@pytest.fixture
def interrupted_dir(real_archive, tmp_path, monkeypatch) -> pathlib.Path:
    """Two of the three shards of the real pairs are finished."""
    data_dir = tmp_path / "data"
    interrupt(monkeypatch, real_archive, data_dir, 2)
    return data_dir


def kept(data_dir: pathlib.Path) -> list[str]:
    return [path.name for path in kept_shards.find(data_dir)]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_finished_shards_are_taken_over(
    real_archive, tmp_path, monkeypatch, capsys, num_workers
):
    interrupted_dir = tmp_path / "data"
    interrupt(monkeypatch, real_archive, interrupted_dir, 2)
    said = capsys.readouterr().err
    assert "2 finished shards" in said
    assert "incomplete.KEPT_1.0.0" in said
    # Not a dataset yet.
    with pytest.raises(tfds.core.registered.DatasetNotFoundError):
        tfds.core.read_only_builder.builder_from_files(
            "bigearthnet_mm", data_dir=interrupted_dir
        )
    build(real_archive, interrupted_dir, num_workers=num_workers)
    assert "2 of 3 shards were finished" in capsys.readouterr().err
    build(real_archive, tmp_path / "whole")
    found, expected = (
        {
            path.name: path.read_bytes()
            for path in (folder / "bigearthnet_mm/v1/1.0.0").iterdir()
        }
        for folder in (interrupted_dir, tmp_path / "whole")
    )
    assert found == expected
    assert [
        x.name for x in (interrupted_dir / "bigearthnet_mm/v1").iterdir()
    ] == ["1.0.0"]


def test_only_the_first_pair_of_a_kept_shard_is_decoded(
    interrupted_dir, real_archive, real_pairs, monkeypatch
):
    decoded = []
    decode = geotiff.decode

    def count(data, *, place, grid):
        decoded.append(place.split("/")[0])
        return decode(data, place=place, grid=grid)

    monkeypatch.setattr(geotiff, "decode", count)
    splits = [
        name.split("-")[1].split(".")[0] for name in kept(interrupted_dir)
    ]
    build(real_archive, interrupted_dir)
    pairs = {pair.s2_name: pair.split for pair in real_pairs}
    per_split = [pairs[name] for name in set(decoded) & pairs.keys()]
    for split in splits:
        assert per_split.count(split) == 1
    (last,) = set(pairs.values()) - set(splits)
    assert per_split.count(last) == list(pairs.values()).count(last)


def test_another_way_of_packing_is_the_same_archive(
    interrupted_dir, real_archive, tmp_path, capsys
):
    packed = pack(real_archive, tmp_path / "packed")
    build(packed, interrupted_dir)
    assert "2 of 3 shards were finished" in capsys.readouterr().err
    build(real_archive, tmp_path / "whole")
    assert shards(interrupted_dir) == shards(tmp_path / "whole")


def pack(archive_dir, target):
    target.mkdir()
    for sensor, folder in V1_FOLDERS.items():
        path = target / f"BigEarthNet-{sensor}-v1.0.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            tar.add(archive_dir / folder, folder)
    return target


def swap_bytes(path: pathlib.Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def change_pixel(archive_dir, data_dir, name):
    # Pixels are stored as they are, at the end of the file or before it.
    path = archive_dir / V1_FOLDERS["S2"] / name / f"{name}_B08.tif"
    swap_bytes(path, path.stat().st_size // 2)


def change_label(archive_dir, data_dir, name):
    for path in archive_dir.glob("*/*/*.json"):
        content = json.loads(path.read_text())
        content["labels"] = ["Sea and ocean"]
        path.write_text(json.dumps(content))


def damage_record(archive_dir, data_dir, name):
    for shard in kept_shards.find(data_dir):
        swap_bytes(shard, shard.stat().st_size - 1000)


def cut_shard(archive_dir, data_dir, name):
    for shard in kept_shards.find(data_dir):
        shard.write_bytes(shard.read_bytes()[:-1])


def remove_record(archive_dir, data_dir, name):
    for shard in kept_shards.find(data_dir):
        shard.write_bytes(b"")


def tear_note(archive_dir, data_dir, name):
    for note in data_dir.rglob("*.finished.json"):
        note.write_bytes(note.read_bytes()[:-100])


def empty_note(archive_dir, data_dir, name):
    for note in data_dir.rglob("*.finished.json"):
        content = json.loads(note.read_text())
        content["result"][1] = []
        note.write_text(json.dumps(content))


def rewrite_first_record(archive_dir, data_dir, name):
    """As another version of this program would have written it."""
    import tensorflow as tf

    for shard in kept_shards.find(data_dir):
        first, *others = tf.data.TFRecordDataset(str(shard)).as_numpy_iterator()
        with tf.io.TFRecordWriter(str(shard)) as writer:
            for record in (first[:-1] + b"!", *others):
                writer.write(record)


@pytest.mark.parametrize(
    "change",
    [
        change_pixel,
        change_label,
        damage_record,
        cut_shard,
        remove_record,
        tear_note,
        empty_note,
        rewrite_first_record,
    ],
)
def test_what_changed_is_written_anew(
    archive_dir, real_pairs, tmp_path, monkeypatch, capsys, change
):
    data_dir = tmp_path / "data"
    interrupt(monkeypatch, archive_dir, data_dir, 1)
    (name,) = kept(data_dir)
    split = name.split("-")[1].split(".")[0]
    # The last pair: not the one that is written for comparison.
    pairs = [pair.s2_name for pair in real_pairs if pair.split == split]
    change(archive_dir, data_dir, sorted(pairs)[-1])
    capsys.readouterr()
    left = []
    write_shard = shards_lib.write_shard

    def note_what_is_kept(task, archive):
        left.append(kept(data_dir))
        return write_shard(task, archive)

    monkeypatch.setattr(shards_lib, "write_shard", note_what_is_kept)
    build(archive_dir, data_dir)
    # It does not take disk beside the new one.
    assert left[0] == []
    assert "were finished" not in capsys.readouterr().err
    build(archive_dir, tmp_path / "whole")
    assert shards(data_dir) == shards(tmp_path / "whole")


def test_a_map_that_was_not_there_is_noticed(
    v2_archive_dir, tmp_path, monkeypatch, capsys
):
    archive_dir = tmp_path / "archive"
    shutil.copytree(v2_archive_dir, archive_dir)
    maps = sorted(archive_dir.rglob("*_reference_map.tif"))
    contents = {path: path.read_bytes() for path in maps}
    for path in maps:
        path.unlink()
    data_dir = tmp_path / "data"
    interrupt(monkeypatch, archive_dir, data_dir, 1, version="v2")
    for path, content in contents.items():
        path.write_bytes(content)
    capsys.readouterr()
    build(archive_dir, data_dir, version="v2")
    assert "were finished" not in capsys.readouterr().err
    build(v2_archive_dir, tmp_path / "whole", version="v2")
    assert shards(data_dir) == shards(tmp_path / "whole")


def test_shards_of_a_part_are_not_those_of_the_whole(
    interrupted_dir, real_archive, real_pairs, tmp_path, capsys
):
    capsys.readouterr()
    part = parts.Part(splits=["train"], max_pairs=1)
    build(real_archive, interrupted_dir, part=part)
    assert "were finished" not in capsys.readouterr().err
    assert kept(interrupted_dir) == []
    build(real_archive, tmp_path / "part", part=part)
    assert shards(interrupted_dir) == shards(tmp_path / "part")


def test_damage_stops_a_build_but_costs_no_shard(
    archive_dir, real_pairs, tmp_path, capsys
):
    # The splits come in this order.
    last = [pair for pair in real_pairs if pair.split == "excluded"][-1]
    next(
        (archive_dir / V1_FOLDERS["S1"] / last.s1_name).glob("*_VV.tif")
    ).unlink()
    data_dir = tmp_path / "data"
    with pytest.raises(errors.UserError, match=r"_VV\.tif is missing"):
        build(archive_dir, data_dir)
    assert "2 finished shards" in capsys.readouterr().err
    build(archive_dir, data_dir, on_error="skip")
    assert "2 of 3 shards were finished" in capsys.readouterr().err
    assert "_VV.tif" in next(data_dir.rglob("skipped.csv")).read_text()


@pytest.mark.parametrize("is_mended", [False, True])
def test_a_shard_without_a_damaged_pair(
    archive_dir, real_pairs, tmp_path, monkeypatch, capsys, is_mended
):
    damaged, *_ = [pair for pair in real_pairs if pair.split == "train"]
    (path,) = (archive_dir / V1_FOLDERS["S1"] / damaged.s1_name).glob(
        "*_VV.tif"
    )
    content = path.read_bytes()
    path.write_bytes(content[:1000])
    data_dir = tmp_path / "data"
    interrupt(monkeypatch, archive_dir, data_dir, 2, on_error="skip")
    if is_mended:
        path.write_bytes(content)
    capsys.readouterr()
    build(archive_dir, data_dir, on_error="skip")
    taken = 1 if is_mended else 2
    assert f"{taken} of 3 shards were finished" in capsys.readouterr().err
    skipped = next(data_dir.rglob("skipped.csv")).read_text()
    assert ("_VV.tif" in skipped) != is_mended
    build(archive_dir, tmp_path / "whole", on_error="skip")
    assert shards(data_dir) == shards(tmp_path / "whole")


def test_a_shard_without_a_damaged_pair_does_not_pass_for_whole(
    archive_dir, real_pairs, tmp_path, monkeypatch
):
    damaged, *_ = [pair for pair in real_pairs if pair.split == "train"]
    (path,) = (archive_dir / V1_FOLDERS["S1"] / damaged.s1_name).glob(
        "*_VV.tif"
    )
    path.unlink()
    interrupt(monkeypatch, archive_dir, tmp_path / "x", 2, on_error="skip")
    with pytest.raises(errors.UserError, match=r"_VV\.tif is missing"):
        build(archive_dir, tmp_path / "x")


def test_of_a_replacement_as_well(real_archive, tmp_path, monkeypatch, capsys):
    data_dir = tmp_path / "data"
    build(real_archive, data_dir)
    interrupt(monkeypatch, real_archive, data_dir, 2, overwrite=True)
    assert len(kept(data_dir)) == 2
    build(real_archive, data_dir, overwrite=True)
    assert "2 of 3 shards were finished" in capsys.readouterr().err
    assert [x.name for x in (data_dir / "bigearthnet_mm/v1").iterdir()] == [
        "1.0.0"
    ]


def test_a_disk_too_small_for_both_costs_the_finished_shards(
    interrupted_dir, real_archive, tmp_path, monkeypatch, capsys
):
    packed = pack(real_archive, tmp_path / "packed")
    usage = shutil.disk_usage(tmp_path)
    size = sum(path.stat().st_size for path in packed.iterdir())

    def disk_usage(path):
        has_kept = bool(kept(interrupted_dir))
        return usage._replace(free=size if has_kept else 10**9)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    build(packed, interrupted_dir)
    said = capsys.readouterr().err
    assert "Removed the finished shards" in said
    assert "were finished" not in said
    build(real_archive, tmp_path / "whole")
    assert shards(interrupted_dir) == shards(tmp_path / "whole")


def test_without_dataset_build(interrupted_dir, real_archive, capsys):
    """As tfds.load builds it."""
    builder = tfds.builder("bigearthnet_mm", data_dir=interrupted_dir)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=str(real_archive)
        )
    )
    assert "2 of 3 shards were finished" in capsys.readouterr().err


@pytest.mark.slow
def test_on_beam(interrupted_dir, real_archive, tmp_path, capsys):
    dataset.build(
        archive_dir=real_archive,
        data_dir=interrupted_dir,
        beam_runner="DirectRunner",
        beam_pipeline_options="direct_num_workers=1",
    )
    assert "2 of 3 shards were finished" in capsys.readouterr().err
    build(real_archive, tmp_path / "whole")
    assert shards(interrupted_dir) == shards(tmp_path / "whole")
