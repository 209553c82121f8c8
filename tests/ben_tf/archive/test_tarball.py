"""Tarballs in every order and dialect give the bytes of the folders."""

import dataclasses
import gzip
import io
import pathlib
import random
import shutil
import tarfile

import pytest

from ben_tf import errors
from ben_tf.archive import layout
from ben_tf.archive import patch_sources
from ben_tf.archive import scratch_files
from ben_tf.archive import tarball
from tfrecords_builder import dataset

FOLDERS = {"S1": "BigEarthNet-S1-v1.0", "S2": "BigEarthNet-v1.0"}
TARBALLS = {"S1": "BigEarthNet-S1-v1.0", "S2": "BigEarthNet-S2-v1.0"}


def pack(
    archive_dir: pathlib.Path,
    target: pathlib.Path,
    *,
    suffix=".tar.gz",
    order=sorted,
    tar_format=tarfile.GNU_FORMAT,
) -> pathlib.Path:
    """Packs both sensors; `order` arranges the files."""
    target.mkdir()
    for sensor, folder in FOLDERS.items():
        mode = "w:gz" if suffix.endswith("gz") else "w"
        path = target / (TARBALLS[sensor] + suffix)
        with tarfile.open(path, mode, format=tar_format) as tar:
            # As in the official ones, folders are members too.
            tar.add(archive_dir / folder, folder, recursive=False)
            for file in order(list((archive_dir / folder).glob("*/*"))):
                tar.add(file, file.relative_to(archive_dir))
    return target


def open_tarball(path, sensor, scratch) -> tarball.TarSource:
    return tarball.TarSource(
        path,
        layout.V1.sensors[sensor],
        scratch=scratch,
        progress=lambda num_bytes: None,
    )


def backwards(files):
    return sorted(files, reverse=True)


def mixed(files):
    return random.Random(0).sample(files, len(files))


def shards(data_dir: pathlib.Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in data_dir.rglob("*.tfrecord-*")}


@pytest.fixture(scope="module")
def from_folders(real_archive, tmp_path_factory) -> dict[str, bytes]:
    data_dir = tmp_path_factory.mktemp("folders")
    dataset.build(archive_dir=real_archive, data_dir=data_dir, num_workers=1)
    return shards(data_dir)


@pytest.mark.parametrize(
    ("suffix", "order", "tar_format"),
    [
        (".tar.gz", sorted, tarfile.GNU_FORMAT),
        (".tar.gz", mixed, tarfile.PAX_FORMAT),
        (".tar", mixed, tarfile.USTAR_FORMAT),
        (".tar", backwards, tarfile.GNU_FORMAT),
    ],
)
def test_records_equal_those_from_folders(
    real_archive, tmp_path, from_folders, suffix, order, tar_format
):
    archive_dir = pack(
        real_archive,
        tmp_path / "archive",
        suffix=suffix,
        order=order,
        tar_format=tar_format,
    )
    dataset.build(
        archive_dir=archive_dir, data_dir=tmp_path / "data", num_workers=2
    )
    assert shards(tmp_path / "data") == from_folders
    # Nothing extracted, nothing left.
    assert not list(tmp_path.rglob("*.tif"))
    assert not list(tmp_path.rglob("*scratch*"))


def test_a_folder_and_a_tarball_may_be_mixed(
    real_archive, tmp_path, from_folders
):
    archive_dir = pack(real_archive, tmp_path / "archive")
    (archive_dir / f"{TARBALLS['S1']}.tar.gz").unlink()
    shutil.copytree(real_archive / FOLDERS["S1"], archive_dir / FOLDERS["S1"])
    dataset.build(archive_dir=archive_dir, data_dir=tmp_path / "data")
    assert shards(tmp_path / "data") == from_folders


def member(name: str, kind: bytes = tarfile.REGTYPE, **attributes):
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


PATCH = "BigEarthNet-v1.0/S2A_MSIL2A_20170613T101031_87_48"
HOSTILE = {
    "parent folder": member("../../evil.tif"),
    "parent folder within": member(f"{PATCH}/../../../evil.tif"),
    "absolute path": member("/tmp/evil.tif"),
    "symbolic link": member(f"{PATCH}/x", tarfile.SYMTYPE, linkname="/etc"),
    "hard link": member(f"{PATCH}/x", tarfile.LNKTYPE, linkname="/etc/passwd"),
    "character device": member(f"{PATCH}/x", tarfile.CHRTYPE),
    "block device": member(f"{PATCH}/x", tarfile.BLKTYPE),
    "pipe": member(f"{PATCH}/x", tarfile.FIFOTYPE),
    "no patch": member("evil.tif"),
    "too deep": member(f"{PATCH}/x/evil.tif"),
    "long name": member("BigEarthNet-v1.0/" + 200 * "x" + "/evil.tif"),
}


@pytest.mark.parametrize("info", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize(
    "tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"]
)
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_hostile_members_are_refused_by_name(
    real_archive, tmp_path, info, tar_format, on_error
):
    archive_dir = tmp_path / "archive"
    archive_dir.mkdir()
    for sensor, stem in TARBALLS.items():
        with tarfile.open(
            archive_dir / f"{stem}.tar", "w", format=tar_format
        ) as tar:
            if sensor == "S2":
                tar.addfile(info)
    name = info.name[:200].replace(".", r"\.")
    with pytest.raises(errors.UserError, match=f"tar member '{name}"):
        dataset.build(
            archive_dir=archive_dir,
            data_dir=tmp_path / "data",
            on_error=on_error,
        )
    assert not list(tmp_path.rglob("evil*"))
    assert not list((tmp_path / "data").rglob("*.npy"))


def cut(path: pathlib.Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_truncated_tarballs_are_named(real_archive, tmp_path, share, suffix):
    archive_dir = pack(real_archive, tmp_path / "archive", suffix=suffix)
    # The end of a tar file is padding; cut within the last member.
    if suffix == ".tar":
        share = share * 0.9
    cut(archive_dir / f"{TARBALLS['S2']}{suffix}", share)
    with pytest.raises(errors.UserError, match="truncated"):
        dataset.build(
            archive_dir=archive_dir,
            data_dir=tmp_path / "data",
            on_error="skip",
        )
    assert not list((tmp_path / "data").rglob("*.tar*"))


def test_a_damaged_gzip_is_named(real_archive, tmp_path):
    archive_dir = pack(real_archive, tmp_path / "archive")
    path = archive_dir / f"{TARBALLS['S2']}.tar.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(errors.UserError, match="damaged"):
        dataset.build(archive_dir=archive_dir, data_dir=tmp_path / "data")


def test_a_gzip_that_inflates_too_far_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setitem(
        layout.V1.sensors,
        "S1",
        dataclasses.replace(
            layout.V1.sensors["S1"], largest_tar_bytes=2_000_000
        ),
    )
    source = tmp_path / "x.tar.gz"
    source.write_bytes(gzip.compress(bytes(5_000_000)))
    with pytest.raises(errors.UserError, match="inflates to more than"):
        open_tarball(source, "S1", tmp_path)
    assert list(tmp_path.iterdir()) == [source]


def test_entries_that_no_patch_has_are_named_as_in_folders(
    archive_dir, tmp_path
):
    s2 = archive_dir / FOLDERS["S2"]
    patch = s2 / PATCH.split("/")[1]
    (patch / "notes.txt").touch()
    (patch / "sub").mkdir()
    (patch / ".hidden").touch()
    (s2 / "README").touch()
    (s2 / "empty").mkdir()
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(s2, s2.name)
    packed = open_tarball(path, "S2", tmp_path)
    folder = patch_sources.FolderSource(s2)
    assert set(packed.patch_names()) == set(folder.patch_names())
    assert {"README", "empty"} < set(packed.patch_names())
    for name in folder.patch_names():
        assert set(packed.file_names(name)) == set(folder.file_names(name))
    assert {"notes.txt", "sub"} < set(packed.file_names(patch.name))


@pytest.mark.parametrize("order", [sorted, mixed])
def test_what_was_read_is_dropped_and_the_rest_stays(
    real_archive, real_pairs, tmp_path, order
):
    archive_dir = pack(real_archive, tmp_path / "archive", order=order)
    names = [pair.s2_name for pair in real_pairs]
    # The last one has no turn.
    turns = {name: 2 * i for i, name in enumerate(names[:-1])}
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    source = tarball.TarSource(
        archive_dir / f"{TARBALLS['S2']}.tar.gz",
        layout.V1.sensors["S2"],
        order=lambda name: turns.get(name, scratch_files.NUM_FILES),
        scratch=scratch,
        progress=lambda num_bytes: None,
    )
    folder = patch_sources.FolderSource(real_archive / FOLDERS["S2"])
    held = source.scratch_bytes
    assert held == sum(
        path.stat().st_size
        for name in names
        for path in (real_archive / FOLDERS["S2"] / name).iterdir()
    )
    for index, name in enumerate(names):
        source.drop_before(name)
        assert len(list(scratch.glob("*.tar.[0-9]*"))) == len(names) - index
        for left in names[index:]:
            for file in folder.file_names(left):
                assert source.read_file(left, file) == folder.read_file(
                    left, file
                )
    source.drop_before("unknown")
    for gone in names[:-1]:
        with pytest.raises(patch_sources.UnreadableError):
            source.read_file(gone, f"{gone}_B02.tif")


def test_a_file_is_refused_that_is_missing_or_too_large(tmp_path):
    name = PATCH.split("/")[1]
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        size = patch_sources.MAX_FILE_BYTES + 1
        info = member(f"{PATCH}/{name}_B01.tif", size=size)
        tar.addfile(info, io.BytesIO(bytes(size)))
    source = open_tarball(path, "S2", tmp_path)
    with pytest.raises(errors.ArchiveError, match=r"_B01\.tif is too large"):
        source.read_file(name, f"{name}_B01.tif")
    # Named as the user has it, also where another file was inflated from it.
    with gzip.open(tmp_path / "y.tar.gz", "wb") as file:
        file.write(path.read_bytes())
    packed = open_tarball(tmp_path / "y.tar.gz", "S2", tmp_path)
    with pytest.raises(errors.ArchiveError, match=r"missing in y\.tar\.gz\."):
        packed.read_file(name, f"{name}_B02.tif")
    with pytest.raises(errors.ArchiveError, match=r"_B02\.tif is missing"):
        source.read_file(name, f"{name}_B02.tif")
    with pytest.raises(errors.ArchiveError, match="is missing"):
        source.read_file("another", "another_B02.tif")
