"""Damages files at random and counts how the readers take it.

    python benchmarks/hostile.py --rounds=2000
    python benchmarks/hostile.py --kinds=records,index --rounds=200

Makes its own files, of a sample archive and a small network. In each round one
file of a kind is damaged (bits flipped, bytes set, a part cut off, left out,
zeroed, repeated or moved) and read as the commands do, in a process of its own
that may crash or hang; then it is mended. A table tells, for each kind:

  refused    an error that a command shows as a sentence
  equal      read, with the same result as of the whole file
  different  read, with another result; where a file has no checksum of its own,
             such as a pixel of a GeoTIFF, nobody can know
  raw        an error that a command shows with a traceback
  crash      the process ended
  hang       no answer in --timeout seconds

Ends with one line a figure, `name: number`: raw, crash and hang over all kinds.
Rounds are numbered, and a number always does the same damage: --only=17 repeats
one, with its traceback.
"""

import collections
import contextlib
import hashlib
import multiprocessing
import os
import pathlib
import random
import shutil
import tempfile
import traceback
from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
from multiprocessing import connection

import hostile_kinds
from absl import flags

from ben_tf import command_line
from ben_tf import errors
from ben_tf import foreign_errors

OUTCOMES = ("refused", "equal", "different", "raw", "crash", "hang")
_WORST = ("raw", "crash", "hang")
_SPECIAL = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\x01", b"\x20")
_MOST_SHOWN = 5


# --- Damage ----------------------------------------------------------------


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Returns other bytes than `data`, one to four changes away."""
    result = data
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        result = rng.choice(_CHANGES)(bytearray(result), rng)
    return result if result != data else _flip(bytearray(data), rng)


def _flip(data: bytearray, rng: random.Random) -> bytes:
    if not data:
        return b"\x00"
    data[_place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(data)


def _set(data: bytearray, rng: random.Random) -> bytes:
    start = _place(data, rng)
    size = rng.choice((1, 2, 4, 8))
    if rng.random() < 0.5:
        data[start : start + size] = rng.choice(_SPECIAL) * size
    else:
        data[start : start + size] = rng.randbytes(size)
    return bytes(data)


def _cut(data: bytearray, rng: random.Random) -> bytes:
    return bytes(data[: _place(data, rng)])


def _leave_out(data: bytearray, rng: random.Random) -> bytes:
    start = _place(data, rng)
    del data[start : start + _length(data, rng)]
    return bytes(data)


def _zero(data: bytearray, rng: random.Random) -> bytes:
    start = _place(data, rng)
    length = len(data[start : start + _length(data, rng)])
    data[start : start + length] = bytes(length)
    return bytes(data)


def _repeat(data: bytearray, rng: random.Random) -> bytes:
    start = _place(data, rng)
    part = data[start : start + _length(data, rng)]
    return bytes(data[:start] + part + data[start:])


def _move(data: bytearray, rng: random.Random) -> bytes:
    start, there = _place(data, rng), _place(data, rng)
    part = data[start : start + _length(data, rng)]
    data[there : there + len(part)] = part
    return bytes(data)


_CHANGES = (_flip, _flip, _set, _set, _cut, _leave_out, _zero, _repeat, _move)


def _place(data: bytearray, rng: random.Random) -> int:
    """A byte; those of the head, where formats hold their sizes, more often."""
    size = max(len(data), 1)
    return rng.randrange(min(size, 512) if rng.random() < 0.4 else size)


def _length(data: bytearray, rng: random.Random) -> int:
    return rng.choice((1, 4, 16, rng.randrange(1, len(data) + 2)))


# --- Reading in processes --------------------------------------------------


def digest(value: object) -> str:
    """A text that is equal only for equal results."""
    return hashlib.sha256(repr(hostile_kinds.plain(value)).encode()).hexdigest()


def outcome_of(read: Callable[[], object], expected: str) -> tuple[str, str]:
    """Reads; returns one of the outcomes, and what the error said."""
    try:
        return ("equal" if digest(read()) == expected else "different"), ""
    except Exception as error:
        if isinstance(error, errors.UserError):
            return "refused", str(error)
        if sentence := foreign_errors.sentence(error):
            return "refused", sentence
        return "raw", "".join(traceback.format_exception(error))


def _serve(
    kind_name: str, made: pathlib.Path, pipe: connection.Connection
) -> None:
    """What a worker process does: a round for each number that it is sent."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with open(os.devnull, "wb") as nowhere:
        # Libraries of C write there themselves.
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    kind = hostile_kinds.KINDS[kind_name]
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch, "made")
        shutil.copytree(made, folder)
        paths = sorted(
            path
            for glob in kind.damaged
            for path in folder.glob(glob)
            if path.is_file()
        )
        _, error = outcome_of(lambda: kind.read(folder), "")
        pipe.send(error)
        expected = digest(kind.read(folder))
        while (number := pipe.recv()) is not None:
            rng = random.Random(f"{kind_name} {number}")
            path = rng.choice(paths)
            # Before it is read, which may be the last thing to happen.
            pipe.send(os.fspath(path.relative_to(folder)))
            whole = path.read_bytes()
            path.write_bytes(damaged(whole, rng))
            pipe.send(outcome_of(lambda: kind.read(folder), expected))
            path.write_bytes(whole)


class _Worker:
    """A process that may crash or hang; a new one takes its place."""

    def __init__(self, kind: str, made: pathlib.Path, timeout: float):
        self._start = (kind, made)
        self._timeout = timeout
        self._process: multiprocessing.process.BaseProcess | None = None

    def round(self, number: int) -> tuple[str, str, str]:
        """Returns the outcome, what the error said, and the file."""
        if self._process is None:
            self._launch()
        self._pipe.send(number)
        path = self._pipe.recv()
        if not self._pipe.poll(self._timeout):
            self.close()
            return "hang", "", path
        try:
            return (*self._pipe.recv(), path)
        except EOFError:
            self.close()
            return "crash", "", path

    def _launch(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(*self._start, theirs), daemon=True
        )
        self._process.start()
        theirs.close()
        if error := self._pipe.recv():
            raise RuntimeError(f"Whole files cannot be read: {error}")

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None


def _rounds(
    kind: str,
    made: pathlib.Path,
    numbers: range,
    timeout: float,
) -> Iterator[tuple[int, str, str, str]]:
    worker = _Worker(kind, made, timeout)
    with contextlib.closing(worker):
        for number in numbers:
            yield (number, *worker.round(number))


# --- The command -----------------------------------------------------------


def measure(
    kind: str,
    made: pathlib.Path,
    *,
    rounds: int,
    num_workers: int,
    timeout: float,
) -> collections.Counter[str]:
    """Number of rounds by outcome; prints examples of what must not be."""

    def of_worker(first: int) -> list[tuple[int, str, str, str]]:
        numbers = range(first, rounds, num_workers)
        return list(_rounds(kind, made, numbers, timeout))

    with futures.ThreadPoolExecutor(num_workers) as pool:
        found = [
            round_
            for part in pool.map(of_worker, range(num_workers))
            for round_ in part
        ]
    shown = set()
    for number, outcome, text, path in sorted(found):
        last = (text.strip().splitlines() or [""])[-1][:150]
        if outcome in _WORST and (outcome, last[:50]) not in shown:
            shown.add((outcome, last[:50]))
            if len(shown) <= _MOST_SHOWN:
                print(f"  {kind} {number}, {path}: {outcome} {last}")
    return collections.Counter(outcome for _, outcome, _, _ in found)


def command() -> Callable[[], None]:
    """Defines the flags; returns what the script does."""
    rounds = flags.DEFINE_integer("rounds", 200, "For each kind.")
    kinds = flags.DEFINE_list(
        "kinds", list(hostile_kinds.KINDS), "Which kinds to damage."
    )
    only = flags.DEFINE_integer("only", None, "Repeat this round alone.")
    timeout = flags.DEFINE_float("timeout", 60, "Seconds until it is a hang.")
    num_workers = flags.DEFINE_integer(
        "num_workers",
        os.cpu_count() or 1,
        "Number of processes.",
        lower_bound=1,
    )

    def main() -> None:
        total: collections.Counter[str] = collections.Counter()
        print(f"{'kind':14}" + "".join(f"{name:>10}" for name in OUTCOMES))
        with tempfile.TemporaryDirectory() as scratch:
            made = pathlib.Path(scratch)
            for kind in kinds.value:
                hostile_kinds.KINDS[kind].make(made / kind)
                if only.value is not None:
                    numbers = range(only.value, only.value + 1)
                    for round_ in _rounds(
                        kind, made / kind, numbers, timeout.value
                    ):
                        print(*round_)
                    continue
                counts = measure(
                    kind,
                    made / kind,
                    rounds=rounds.value,
                    num_workers=num_workers.value or 1,
                    timeout=timeout.value,
                )
                total += counts
                print(
                    f"{kind:14}"
                    + "".join(f"{counts[name]:10,}" for name in OUTCOMES),
                    flush=True,
                )
        for name in _WORST:
            print(f"{name}: {total[name]}")

    return main


if __name__ == "__main__":
    command_line.run(command)
