"""Where files lie in a tar file, against `tarfile`; damage is refused."""

import io
import random
import tarfile

import pytest

from ben_tf import errors
from ben_tf.archive import layout
from ben_tf.archive import tar_index

PATCH = "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_87_48"
# The prefix of ustar, GNU's long name and the header of pax.
FORMATS = {
    "ustar": tarfile.USTAR_FORMAT,
    "gnu": tarfile.GNU_FORMAT,
    "pax": tarfile.PAX_FORMAT,
}


def pack(real_archive, tar_format) -> bytes:
    """All real S1 patches; some of their paths have over 100 characters."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tar_format) as tar:
        folder = real_archive / "BigEarthNet-S1-v1.0"
        tar.add(folder, folder.name)
    return file.getvalue()


def make(data: bytes) -> tar_index.TarIndex:
    def read_at(num_bytes: int, position: int) -> bytes:
        return data[position : position + num_bytes]

    return tar_index.make(read_at, "x.tar", layout.V1.sensors["S1"])


def files_of(data: bytes) -> dict[str, bytes]:
    """Path below the top folder -> content, as the index has it."""
    index = make(data)
    return {
        f"{name}/{name}{suffix}": data[offset : offset + size]
        for name, offsets, sizes in (
            (row["name"].decode(), row["offset"], row["size"])
            for row in index.patches
        )
        for suffix, offset, size in zip(
            tar_index.columns(layout.V1.sensors["S1"]),
            map(int, offsets),
            map(int, sizes),
            strict=True,
        )
        if offset >= 0
    }


@pytest.mark.parametrize("tar_format", FORMATS.values(), ids=FORMATS)
def test_files_are_where_tarfile_finds_them(real_archive, tar_format):
    data = pack(real_archive, tar_format)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        expected = {
            info.name.partition("/")[2]: tar.extractfile(info).read()
            for info in tar
            if info.isreg()
        }
    assert len(expected) == 6 * 3
    assert files_of(data) == expected


@pytest.mark.parametrize("tar_format", FORMATS.values(), ids=FORMATS)
def test_a_changed_byte_in_a_header_is_refused(real_archive, tar_format):
    data = pack(real_archive, tar_format)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        headers = [info.offset for info in tar]
    generator = random.Random(0)
    for _ in range(200):
        damaged = bytearray(data)
        at = generator.randrange(tar_index.BLOCK_BYTES)
        if 148 <= at < 156:
            continue  # The checksum itself, which can be written in many ways.
        at += generator.choice(headers)
        damaged[at] ^= generator.randrange(1, 256)
        with pytest.raises(errors.UserError, match=r"x\.tar is .* no header"):
            make(bytes(damaged))


@pytest.mark.parametrize("tar_format", FORMATS.values(), ids=FORMATS)
def test_damage_is_refused_or_changes_what_is_found(real_archive, tar_format):
    data = pack(real_archive, tar_format)
    expected = files_of(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        headers = [info.offset for info in tar]
    generator = random.Random(0)
    num_refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        at = generator.choice(headers)
        for _ in range(generator.choice([1, 4])):
            # The header, and the block of pax or of pixels that follows.
            damaged[at + generator.randrange(2048)] ^= generator.randrange(
                1, 256
            )
        try:
            found = files_of(bytes(damaged))
        except errors.UserError:
            num_refused += 1
            continue
        # The index itself is right: only contents and long names differ.
        assert len(found) <= len(expected)
        for path in found.keys() & expected.keys():
            assert len(found[path]) == len(expected[path])
    assert num_refused > 100


def test_an_early_end_is_refused(real_archive):
    data = pack(real_archive, tarfile.GNU_FORMAT)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        last = max(info.offset for info in tar)
    for end in (0, 100, last, last + 511):
        with pytest.raises(errors.UserError, match="truncated"):
            make(data[:end])


def one_file(name: str, **attributes) -> bytes:
    file = io.BytesIO()
    tar_format = attributes.pop("tar_format", tarfile.GNU_FORMAT)
    with tarfile.open(fileobj=file, mode="w", format=tar_format) as tar:
        for _ in range(attributes.pop("times", 1)):
            info = tarfile.TarInfo(name)
            for key, value in attributes.items():
                setattr(info, key, value)
            tar.addfile(info)
    return file.getvalue()


def test_a_member_that_occurs_twice_is_refused():
    data = one_file(f"top/{PATCH}/{PATCH}_VV.tif", times=2)
    with pytest.raises(errors.ArchiveError, match="there twice"):
        make(data)


def test_entries_that_no_patch_has_are_kept_apart_up_to_a_number(monkeypatch):
    def tar_of(number: int) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as tar:
            for index in range(number):
                tar.addfile(tarfile.TarInfo(f"top/{PATCH}/{index}.txt"))
        return file.getvalue()

    monkeypatch.setattr(tar_index, "_MAX_SURPLUS", 2)
    assert make(tar_of(2)).surplus == {PATCH: ["0.txt", "1.txt"]}
    with pytest.raises(errors.ArchiveError, match=r"2\.txt' is one of very"):
        make(tar_of(3))


@pytest.mark.parametrize("size", [2**41, 2**63, 2**64, 2**80])
@pytest.mark.parametrize("name", [f"{PATCH}_VV.tif", "other.txt"])
@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_size_that_no_file_has_is_refused(tar_format, name, size):
    data = one_file(f"top/{PATCH}/{name}", size=size, tar_format=tar_format)
    with pytest.raises(errors.ArchiveError, match="of a size that no patch"):
        make(data)


@pytest.mark.parametrize("kind", [tarfile.XGLTYPE, tarfile.XHDTYPE])
def test_a_header_of_a_size_that_no_header_has_is_refused(kind):
    with pytest.raises(errors.ArchiveError, match="oversized header"):
        make(one_file("x", type=kind, size=2**63))


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("character", ["a", "ä"])
def test_a_name_over_255_bytes_is_refused(tar_format, character):
    def tar_of(num_bytes: int) -> bytes:
        name = character * (num_bytes // len(character.encode()))
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=tar_format) as tar:
            tar.addfile(tarfile.TarInfo(f"top/{PATCH}/{name}"))
        return file.getvalue()

    assert list(make(tar_of(254)).surplus) == [PATCH]
    with pytest.raises(errors.ArchiveError, match="longer than file systems"):
        make(tar_of(256))


def test_more_patches_than_there_are_are_refused(monkeypatch):
    monkeypatch.setattr(tar_index, "_MAX_PATCHES", 2)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for index in range(3):
            tar.addfile(tarfile.TarInfo(f"top/{index}/{index}_VV.tif"))
    with pytest.raises(errors.ArchiveError, match=r"top/2/.* more patches"):
        make(file.getvalue())


@pytest.mark.parametrize(
    ("field", "number"),
    [
        (b"0000644\0", 0o644),
        (b"00000001750\0", 0o1750),
        (b"     17 ", 0o17),
        (b"\0" * 8, 0),
        # Base 256, for what octal digits have no room for.
        (b"\x80" + (2**40).to_bytes(11, "big"), 2**40),
        (b"\xff" * 8, -1),
    ],
)
def test_numbers_are_read_as_in_tarfile(field, number):
    """The contract with `tarfile.nti`, which is not documented."""
    assert tar_index._number(field) == number


@pytest.mark.parametrize("field", [b"0000x44\0", b"9\0", b"\xfe\xfe"])
def test_what_is_not_a_number_is_refused(field):
    """The other half of that contract."""
    with pytest.raises(tarfile.HeaderError):
        tar_index._number(field)
