"""Downloads the two tarballs, with resumption and checksums."""

import functools
import hashlib
import os
import pathlib
import time
from collections.abc import Sequence
from typing import NamedTuple

import requests
from tqdm import auto as tqdm

from ben_tf import errors
from ben_tf.archive import open_archive

_RECORD_URL = "https://zenodo.org/records/12687186/files"
# A broken connection loses the chunk it breaks in.
_CHUNK_BYTES = 1 << 16
_TIMEOUT_S = 60
# Attempts that bring no byte, in a row, before giving up.
_MAX_FRUITLESS_ATTEMPTS = 5
_progress_bar = functools.partial(tqdm.tqdm, unit="B", unit_scale=True)


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


# The current record of BigEarthNet v1.0 at Zenodo.
TARBALLS = (
    RemoteFile(
        f"{_RECORD_URL}/BigEarthNet-S2-v1.0.tar.gz",
        "5a64e9ce38deb036a435a7b59494924c",
        70_032_164_579,
    ),
    RemoteFile(
        f"{_RECORD_URL}/BigEarthNet-S1-v1.0.tar.gz",
        "94ced73440dea8c7b9645ee738c5a172",
        None,
        60_000_000_000,  # Zenodo's page says about 55 GB.
    ),
)


def download_archive(
    archive_dir: str | os.PathLike[str],
    files: Sequence[RemoteFile] = TARBALLS,
    *,
    wait_s: float = 5,
) -> None:
    """Downloads the files that are not there yet, and checks them.

    A file gets its final name once its checksum is right; until then it is
    called `<name>.part`, from which a later call resumes.

    Args:
      archive_dir: Folder for the files; created if missing.
      files: What to download.
      wait_s: Seconds to wait after a broken connection.

    Raises:
      errors.UserError: The server cannot be reached, the disk is too
        small, or a file is not the expected one.
    """
    folder = pathlib.Path(archive_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        target = folder / file.url.rsplit("/", 1)[1]
        if target.exists():
            print(f"{target} is already there.", flush=True)
            continue
        part = target.with_name(target.name + ".part")
        _fetch(file, part, wait_s)
        _check(file, part)
        os.replace(part, target)


def _fetch(file: RemoteFile, part: pathlib.Path, wait_s: float) -> None:
    """Appends to `part` until it is complete."""
    num_fruitless = 0
    while True:
        size_before = _size(part)
        try:
            if _fetch_rest(file, part):
                return
            problem = "the connection was cut"
        except requests.RequestException as error:
            problem = errors.first_line(error)
        num_fruitless = 0 if _size(part) > size_before else num_fruitless + 1
        if num_fruitless == _MAX_FRUITLESS_ATTEMPTS:
            raise errors.UserError(
                f"{file.url} cannot be downloaded: {problem}. Run the command "
                "again to resume."
            )
        time.sleep(wait_s)


def _fetch_rest(file: RemoteFile, part: pathlib.Path) -> bool:
    """Downloads the rest in one request; returns whether `part` is complete."""
    start = _size(part)
    with requests.get(
        file.url,
        # Compression on the way would change what the range counts.
        headers={"Range": f"bytes={start}-", "Accept-Encoding": "identity"},
        stream=True,
        timeout=_TIMEOUT_S,
    ) as response:
        if response.status_code == 416:  # Nothing beyond what is there.
            return True
        if 400 <= response.status_code < 500:
            raise errors.UserError(
                f"{file.url} cannot be downloaded: the server says "
                f"{response.status_code} {response.reason}. Look for the "
                "current record at https://bigearth.net."
            )
        response.raise_for_status()
        if response.status_code != 206:
            start = 0  # The server does not resume and sends all.
        total = None  # A server may send without saying how much.
        if "Content-Length" in response.headers:
            total = start + int(response.headers["Content-Length"])
        if None not in (total, file.num_bytes) and total != file.num_bytes:
            raise errors.UserError(
                f"{file.url} is not the expected file: {total:,} bytes. "
                f"Expected {file.num_bytes:,}. Look for the current record at "
                "https://bigearth.net."
            )
        total = total or file.num_bytes
        open_archive.check_disk(
            part.parent,
            (total or file.most_bytes) - start,
            f"downloading {part.stem}",
        )
        with (
            # A server that does not resume sends all again.
            part.open("ab" if start else "wb") as output,
            _progress_bar(
                desc=part.stem, initial=start, total=total
            ) as progress,
        ):
            for chunk in response.iter_content(_CHUNK_BYTES):
                output.write(chunk)
                progress.update(len(chunk))
            # Without a size, requests itself notices a cut.
            return total is None or output.tell() >= total


def _size(part: pathlib.Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _check(file: RemoteFile, part: pathlib.Path) -> None:
    """Compares the checksum; removes a wrong file."""
    digest = hashlib.md5(usedforsecurity=False)
    with (
        part.open("rb") as data,
        _progress_bar(
            desc=f"checking {part.stem}", total=_size(part)
        ) as progress,
    ):
        while chunk := data.read(_CHUNK_BYTES):
            digest.update(chunk)
            progress.update(len(chunk))
    if digest.hexdigest() != file.md5:
        part.unlink()
        raise errors.UserError(
            f"{file.url} came with the wrong checksum and was removed: "
            f"{digest.hexdigest()}. Expected the MD5 {file.md5}. Run the "
            "command again."
        )
