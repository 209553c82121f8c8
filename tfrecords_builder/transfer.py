"""Fetches one file over HTTP, resumed until it is whole.

Bytes that have come are never lost: what follows is appended, and a server that
sends all again, or another file, is compared with what is there. What it said
of the file is kept in `<part>.json`, so that a later call knows it as well.
"""

import functools
import itertools
import pathlib
import time
from collections.abc import Callable
from collections.abc import Iterator

import msgspec
import requests
import urllib3
from tqdm import auto as tqdm

from ben_tf import errors
from ben_tf import files
from ben_tf.archive import open_archive
from tfrecords_builder import server_answers

# A broken connection loses the chunk it breaks in.
_CHUNK_BYTES = 1 << 16
_TIMEOUT_S = 60
# Attempts that bring no byte, in a row, before giving up.
_MAX_FRUITLESS_ATTEMPTS = 8
_LONGEST_WAIT_S = 600
progress_bar = functools.partial(tqdm.tqdm, unit="B", unit_scale=True)


class _Seen(msgspec.Struct, frozen=True):
    """What a server has said of the file that a part is of.

    Attributes:
      etag: Its version, where the server names one that stands for its bytes.
      num_bytes: Its size.
    """

    etag: str | None = None
    num_bytes: int | None = None


def fetch(
    url: str,
    part: pathlib.Path,
    *,
    num_bytes: int | None,
    most_bytes: int = 0,
    wait_s: float = 5,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Appends to a file until it is whole.

    A broken connection and an answer that may be another one later are tried
    again, after the time that the server asks for, but ten minutes at most.

    Args:
      url: What to fetch.
      part: Where to write; what is there is the beginning of it.
      num_bytes: Its size; None where only the server knows it.
      most_bytes: Bytes to keep free if the server does not say either.
      wait_s: Seconds before the next attempt; twice as many after each one
        that brought no byte.
      sleep: Waits for so many seconds.

    Raises:
      errors.UserError: The server cannot be reached or has another file, or
        the disk is too small. What has come is kept.
    """
    num_fruitless = 0
    while True:
        size_before = size(part)
        asked_s = 0.0
        try:
            if _fetch_rest(url, part, num_bytes, most_bytes):
                _seen_file(part).unlink(missing_ok=True)
                return
            problem = "the connection was cut"
        except server_answers.Passing as error:
            problem, asked_s = str(error), error.retry_after_s
        except (requests.RequestException, urllib3.exceptions.HTTPError) as e:
            problem = server_answers.problem(url, e)
        num_fruitless = 0 if size(part) > size_before else num_fruitless + 1
        if num_fruitless == _MAX_FRUITLESS_ATTEMPTS:
            kept = f" What has come is kept in {part}." if size(part) else ""
            raise errors.UserError(
                f"{url} cannot be downloaded: {problem}.{kept} Run the command "
                "again later to resume."
            )
        pause_s = min(
            _LONGEST_WAIT_S,
            max(asked_s, wait_s * 2 ** max(0, num_fruitless - 1)),
        )
        asked = ""
        if asked_s > pause_s:
            asked = f" (the server asks for {asked_s:,.0f} s)"
        print(
            f"{part.stem}: {problem}; trying again in {pause_s:g} s{asked}.",
            flush=True,
        )
        sleep(pause_s)


def size(part: pathlib.Path) -> int:
    """Bytes of a file; 0 where there is none."""
    return part.stat().st_size if part.exists() else 0


def _fetch_rest(
    url: str, part: pathlib.Path, num_bytes: int | None, most_bytes: int
) -> bool:
    """Fetches the rest in one request; returns whether `part` is whole."""
    start, seen = size(part), _read_seen(part)
    # Compression on the way would change what the range counts.
    headers = {"Range": f"bytes={start}-", "Accept-Encoding": "identity"}
    if start and seen.etag:
        headers["If-Range"] = seen.etag
    with requests.get(
        url, headers=headers, stream=True, timeout=_TIMEOUT_S
    ) as response:
        is_beyond = response.status_code == 416  # Nothing after `start`.
        if not is_beyond:
            server_answers.check(url, response, start)
        resumes = response.status_code == 206
        total = server_answers.total_bytes(response, start)
        # Not decoded: some servers take .tar.gz for an encoding of .tar.
        chunks = response.raw.stream(_CHUNK_BYTES, decode_content=False)
        if not is_beyond:
            first = next(chunks, b"")
            if not (resumes and start):
                server_answers.check_begins_no_page(first)
        _check_size(url, part, num_bytes, total)
        etag = server_answers.strong_etag(response)
        # A server that sends all has its bytes compared instead.
        if start and resumes and seen.etag and etag not in (None, seen.etag):
            raise _changed(url, part, "its ETag is another one")
        if start and None not in (seen.num_bytes, total):
            if total != seen.num_bytes:
                raise _changed(
                    url, part, f"{total:,} bytes, before {seen.num_bytes:,}"
                )
        total = total or num_bytes
        if is_beyond:
            if total is not None and start != total:
                raise _changed(url, part, f"{total:,} bytes")
            return True
        open_archive.check_disk(
            part.parent,
            (total or most_bytes) - start,
            f"downloading {part.stem}",
        )
        if not start:
            files.write_json(_seen_file(part), _Seen(etag, total))
        end = _append(
            url,
            part,
            itertools.chain([first], chunks),
            offset=start if resumes else 0,
            total=total,
        )
        # Without a size, urllib3 itself notices a cut.
        return total is None or end >= total


def _check_size(
    url: str, part: pathlib.Path, num_bytes: int | None, total: int | None
) -> None:
    if None not in (total, num_bytes) and total != num_bytes:
        kept = f" What has come is kept in {part}." if size(part) else ""
        raise errors.UserError(
            f"{url} is not the expected file: {total:,} bytes. Expected "
            f"{num_bytes:,}.{kept} {server_answers.CURRENT_RECORD}"
        )


def _append(
    url: str,
    part: pathlib.Path,
    chunks: Iterator[bytes],
    *,
    offset: int,
    total: int | None,
) -> int:
    """Writes what comes from `offset` on, behind what is there.

    Returns:
      Where it ended.

    Raises:
      errors.UserError: What comes differs from what is there, or it cannot be
        written.
    """
    end = offset
    try:
        part.touch()
        with (
            part.open("r+b") as output,
            progress_bar(
                desc=part.stem, initial=offset, total=total
            ) as progress,
        ):
            output.seek(offset)
            for chunk in chunks:
                end += len(chunk)
                if total is not None and end > total:
                    raise errors.UserError(
                        f"{url} is not the expected file: more than "
                        f"{total:,} bytes. What has come before is kept in "
                        f"{part}. {server_answers.CURRENT_RECORD}"
                    )
                there = output.read(len(chunk))
                if there != chunk[: len(there)]:
                    raise _changed(url, part, "its bytes differ")
                output.write(chunk[len(there) :])
                progress.update(len(chunk))
    # All that comes from the network has other classes by now.
    except OSError as error:
        raise errors.UserError(
            f"{part} cannot be written: {error.strerror or error}. Make room "
            "or choose a folder on another disk. What has come is kept: the "
            "same command resumes."
        ) from error
    return end


def _changed(url: str, part: pathlib.Path, how: str) -> errors.UserError:
    return errors.UserError(
        f"{url} is no longer the file whose first {size(part):,} bytes are in "
        f"{part}: {how}. They are kept. {server_answers.CURRENT_RECORD} To "
        "begin anew, move them to another folder and run the same command "
        "again."
    )


def _seen_file(part: pathlib.Path) -> pathlib.Path:
    return part.with_name(part.name + ".json")


def _read_seen(part: pathlib.Path) -> _Seen:
    """What an earlier call has noted; nothing where it cannot be read."""
    try:
        return files.read_json(_seen_file(part), _Seen, remedy="")
    except errors.UserError:
        return _Seen()
