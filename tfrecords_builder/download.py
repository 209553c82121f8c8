"""Downloads the files of an archive, with resumption and checksums."""

import hashlib
import itertools
import os
import pathlib
import time
import types
from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

from ben_tf import errors
from ben_tf import folder_lock
from ben_tf.archive import layout
from tfrecords_builder import transfer

_ZENODO = "https://zenodo.org/records"
_CHUNK_BYTES = 1 << 20


class RemoteFile(NamedTuple):
    """A file to download.

    Attributes:
      url: Where it is; the last part is its name.
      md5: Its checksum.
      num_bytes: Its size; None where only the server knows it.
      most_bytes: Bytes to keep free if the server does not say either.
    """

    url: str
    md5: str
    num_bytes: int | None
    most_bytes: int = 0


# The current records of both versions at Zenodo; small files first.
FILES = types.MappingProxyType(
    {
        layout.V1.version: (
            RemoteFile(
                f"{_ZENODO}/12687186/files/BigEarthNet-S2-v1.0.tar.gz",
                "5a64e9ce38deb036a435a7b59494924c",
                70_032_164_579,
            ),
            RemoteFile(
                f"{_ZENODO}/12687186/files/BigEarthNet-S1-v1.0.tar.gz",
                "94ced73440dea8c7b9645ee738c5a172",
                None,
                60_000_000_000,  # Zenodo's page says about 55 GB.
            ),
        ),
        layout.V2.version: tuple(
            RemoteFile(f"{_ZENODO}/10891137/files/{name}", md5, num_bytes)
            for name, md5, num_bytes in (
                (
                    "metadata.parquet",
                    "55687065e77b6d0b0f1ff604a6e7b49c",
                    3_616_349,
                ),
                (
                    "metadata_for_patches_with_snow_cloud_or_shadow.parquet",
                    "fe31856f4986d446c9468b59d6387c91",
                    710_162,
                ),
                (
                    "Reference_Maps.tar.zst",
                    "95d85a222fa983faddcac51a19f28917",
                    282_391_301,
                ),
                (
                    "BigEarthNet-S1.tar.zst",
                    "a55eaa2cdf6a917e296bd6601ec1e348",
                    54_439_153_171,
                ),
                (
                    "BigEarthNet-S2.tar.zst",
                    "2245ed2d1a93f6ce637d839bc856396e",
                    63_251_710_377,
                ),
            )
        ),
    }
)


def download_archive(
    archive_dir: str | os.PathLike[str],
    files: Sequence[RemoteFile],
    *,
    wait_s: float = 5,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Downloads the files that are not there yet, and checks all of them.

    A file gets its final name once its checksum is right; until then it is
    called `<name>.part`, from which a later call resumes. Nothing is removed:
    a file with another checksum becomes `<name>.wrong`.

    Args:
      archive_dir: Folder for the files; created if missing.
      files: What to download, such as `FILES["v1"]`.
      wait_s: Seconds to wait after a broken connection.
      sleep: Waits for so many seconds.

    Raises:
      errors.UserError: The server cannot be reached, the disk is too
        small, a file is not the expected one, or another process downloads
        to the folder.
    """
    folder = pathlib.Path(archive_dir)
    with folder_lock.alone_in(
        folder,
        message=f"Another process downloads to {folder}. Wait for it, or "
        "choose another `archive_dir`.",
    ):
        _download_missing(folder, files, wait_s, sleep)


def _download_missing(
    folder: pathlib.Path,
    files: Sequence[RemoteFile],
    wait_s: float,
    sleep: Callable[[float], object],
) -> None:
    targets = [folder / file.url.rsplit("/", 1)[1] for file in files]
    # What is there is checked before the hours that the others take.
    missing = []
    for file, target in zip(files, targets, strict=True):
        if target.exists():
            _check_present(file, target)
        else:
            missing.append((file, target))
    for file, target in missing:
        part = target.with_name(target.name + ".part")
        transfer.fetch(
            file.url,
            part,
            num_bytes=file.num_bytes,
            most_bytes=file.most_bytes,
            wait_s=wait_s,
            sleep=sleep,
        )
        _check_fetched(file, part)
        os.replace(part, target)


def _check_present(file: RemoteFile, target: pathlib.Path) -> None:
    """Refuses a file under its final name that is not the official one."""
    size = target.stat().st_size
    resuming = ""
    if file.num_bytes not in (None, size):
        found = f"{size:,} bytes. Expected {file.num_bytes:,}"
        if size < (file.num_bytes or 0):
            resuming = (
                f" If it is the beginning of it, rename it to {target.name}"
                ".part instead, and the rest is fetched."
            )
    else:
        md5 = _md5(target)
        if md5 == file.md5:
            print(f"{target} is there already; its MD5 is right.", flush=True)
            return
        found = f"MD5 {md5}. Expected {file.md5}"
    raise errors.UserError(
        f"{target} is not the official file, or not all of it: {found}. It is "
        "kept as it is. Move it to another folder, and the same command "
        f"downloads the official one.{resuming} Or leave out `download` to "
        "read it."
    )


def _check_fetched(file: RemoteFile, part: pathlib.Path) -> None:
    """Compares the checksum; puts a wrong file aside."""
    md5 = _md5(part)
    if md5 != file.md5:
        aside = _free_name(part.with_suffix(".wrong"))
        os.replace(part, aside)
        raise errors.UserError(
            f"{file.url} came with the wrong checksum: MD5 {md5}. Expected "
            f"{file.md5}. What came is kept as {aside}. Run the same command "
            "again to download it anew; if that comes with this checksum, too, "
            "look for the current record at https://bigearth.net."
        )


def _free_name(path: pathlib.Path) -> pathlib.Path:
    """The path, or the first of its kind that nothing has: `<name>-2`."""
    others = (path.with_name(f"{path.name}-{i}") for i in itertools.count(2))
    return next(p for p in itertools.chain([path], others) if not p.exists())


def _md5(path: pathlib.Path) -> str:
    """MD5 of a file, hexadecimal, with a progress bar."""
    digest = hashlib.md5(usedforsecurity=False)
    with (
        path.open("rb") as data,
        transfer.progress_bar(
            desc=f"checking {path.name.removesuffix('.part')}",
            total=path.stat().st_size,
        ) as progress,
    ):
        while chunk := data.read(_CHUNK_BYTES):
            digest.update(chunk)
            progress.update(len(chunk))
    return digest.hexdigest()
