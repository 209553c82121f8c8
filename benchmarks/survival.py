"""Kills commands, runs two at once, damages and denies what they read.

    python benchmarks/survival.py
    python benchmarks/survival.py --modes=operations --commands=export,report
    python benchmarks/survival.py --match='train, operation 57$'

Makes its own files, of a sample archive and a small network, and then, for each
command that writes:

  operations  kill -9 before each call that changes the file system, of Python
              or of C++, in any of its processes, and the same command again
  moments     the same at --moments random moments
  pairs       the command twice at once, --rounds times
  damage      each file of a finished workdir, dataset and index damaged,
              emptied, removed and made unreadable, and the commands that read
              it
  full        the disk of the output full after a random part of it, --moments
              times, and the same command again with room
  read_only   every folder of the output read-only

Ends with one line a figure, `name: number`. For damaged files:

  equal      the result is the same; the command does not need the file
  said       another result, with a sentence that names the file
  refused    an error in a sentence

and for all:

  lost       a result that is not there, or that the command refuses to make
             again; of what a command replaces, neither the old nor the new one
  different  another result than undisturbed, and no sentence about it
  left       files that stay behind
  raw        an error that a command shows with a traceback, or without the
             path where the disk is full or access denied
  hang       no end within ten minutes, or workers that outlive their command
  left_by_others  the few KB that TensorFlow and Python themselves leave in the
             temporary folder when they are killed

Needs a C compiler (`cc`), for `file_operations.c`, and root for full disks.
"""

import collections
import concurrent.futures
import multiprocessing
import os
import pathlib
import random
import re
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import NamedTuple

import survival_commands
import survival_processes
from absl import app
from absl import flags

MODES = ("operations", "moments", "pairs", "damage", "full", "read_only")
PROBLEMS = ("lost", "different", "left", "raw", "hang")
_HARMLESS = ("equal", "said", "refused", "left_by_others")
# Of TensorFlow's autograph, of Python's trial whether a folder is writable, and
# the sockets of its worker processes.
_OF_OTHERS = re.compile(
    r"tmp/(__autograph_generated_file\w{8}\.py|\w{8}|pymp-\w{8}/.*)"
)


class Base(NamedTuple):
    """What all trials start from.

    Attributes:
      root: Folder of everything.
      results: Command -> what it leaves behind when nothing happens.
      seconds: Command -> how long it takes then.
      operations: Command -> its file operations then.
      printed: Command -> what it prints then.
      sizes: Command -> bytes on the disk before and after it.
    """

    root: pathlib.Path
    results: dict[str, dict[str, str]]
    seconds: dict[str, float]
    operations: dict[str, int]
    printed: dict[str, str]
    sizes: dict[str, tuple[int, int]]

    @property
    def folder(self) -> pathlib.Path:
        """With what `SETUP` has made."""
        return self.root / "base"


class Problem(NamedTuple):
    """What came of a trial, mostly something that must not be.

    Attributes:
      kind: One of `PROBLEMS`, or what is harmless.
      text: What it is.
    """

    kind: str
    text: str


# --- One command -----------------------------------------------------------


def _start(
    command: survival_commands.Command,
    base: pathlib.Path,
    here: pathlib.Path,
    *,
    kill_at: int = 0,
) -> survival_processes.Process:
    arguments = [x.format(base=base, here=here) for x in command.arguments]
    return survival_processes.Process(
        command.module, arguments, here, kill_at=kill_at
    )


def _prepare(
    command: survival_commands.Command,
    base: pathlib.Path,
    here: pathlib.Path,
) -> None:
    for source, target in command.before.items():
        shutil.copytree(base / source, here / target)


def _compare(
    found: dict[str, str], expected: dict[str, str]
) -> Iterator[Problem]:
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            yield Problem("lost", name)
        elif name not in expected:
            is_ours = not _OF_OTHERS.fullmatch(name)
            yield Problem("left" if is_ours else "left_by_others", name)
        elif found[name] != expected[name]:
            yield Problem("different", name)


def _is_sentence(printed: str) -> bool:
    """Whether a command has ended with an error that it explains."""
    return "Traceback" not in printed and "\nerror: " in f"\n{printed}"


def _last_line(printed: str) -> str:
    return (printed.strip().splitlines() or [""])[-1]


# --- Modes -----------------------------------------------------------------


def kill(
    base: Base, name: str, kill_at: int, kill_after_s: float
) -> list[Problem]:
    """Kills a command once and gives it again."""
    command = survival_commands.COMMANDS[name]
    with survival_processes.folder(base.root) as here:
        _prepare(command, base.folder, here)
        old = survival_commands.describe(here)
        try:
            process = _start(command, base.folder, here, kill_at=kill_at)
            if not kill_at:
                time.sleep(kill_after_s)
                process.kill()
            process.end()
            between = survival_commands.describe(here)
            again = _start(command, base.folder, here)
            code = again.end()
        except TimeoutError as error:
            return [Problem("hang", str(error))]
        problems = list(
            _compare(survival_commands.describe(here), base.results[name])
        )
        printed = again.printed()
        # A build says that its dataset is there already, if it is.
        is_whole = all(x.kind in _HARMLESS for x in problems)
        if code and not (is_whole and _is_sentence(printed)):
            kind = "lost" if _is_sentence(printed) else "raw"
            return [Problem(kind, _last_line(printed)), *problems]
        for output in command.replaces:
            states = [
                {k: v for k, v in x.items() if _is_below(k, output)}
                for x in (between, old, base.results[name])
            ]
            # An index's new data may lie beside the old ones.
            if not any(states[0].items() >= x.items() for x in states[1:]):
                problems.append(
                    Problem("lost", f"{output}, between the two commands")
                )
        return problems


def _is_below(name: str, output: str) -> bool:
    return name == output or name.startswith(f"{output}/")


def run_twice(base: Base, name: str, seed: int) -> list[Problem]:
    """Runs a command twice at once."""
    command = survival_commands.COMMANDS[name]
    wait_s = base.seconds[name] * random.Random(seed).choice(
        [0, 0, random.Random(seed).random()]
    )
    with survival_processes.folder(base.root) as here:
        _prepare(command, base.folder, here)
        try:
            processes = [_start(command, base.folder, here)]
            time.sleep(wait_s)
            processes.append(_start(command, base.folder, here))
            codes = [x.end() for x in processes]
        except TimeoutError as error:
            return [Problem("hang", str(error))]
        problems = [
            Problem("raw", _last_line(x.printed()))
            for x, code in zip(processes, codes, strict=True)
            if code and not _is_sentence(x.printed())
        ]
        if all(codes):
            lines = [_last_line(x.printed()) for x in processes]
            problems.append(Problem("lost", f"both refuse: {lines}"))
        return problems + list(
            _compare(survival_commands.describe(here), base.results[name])
        )


def _flip(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[pathlib.Path], None]] = {
    "flipped": _flip,
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "removed": pathlib.Path.unlink,
    "denied": lambda path: path.chmod(0),
}


def damage(base: Base, name: str, file: str, how: str) -> list[Problem]:
    """Damages one file and gives a command that reads it."""
    command = survival_commands.READINGS[name]
    with survival_processes.folder(base.root) as here:
        _prepare(command, base.folder, here)
        path = here / file
        before = survival_commands.describe(here)
        mode = path.stat().st_mode
        DAMAGES[how](path)
        is_denied = how == "denied"
        damaged = before if is_denied else survival_commands.describe(here)
        try:
            process = _start(command, base.folder, here)
            code = process.end()
        except TimeoutError as error:
            return [Problem("hang", str(error))]
        if path.exists():
            path.chmod(mode)
        printed = process.printed().replace(str(here), "HERE")
        if code:
            is_sentence = _is_sentence(printed)
            if is_denied:
                is_sentence &= f"HERE/{file}" in printed
            line = _last_line(printed)
            return [Problem("refused" if is_sentence else "raw", line)]
        found = survival_commands.describe(here)
        expected = dict(base.results[name])
        for key in before.keys() | damaged.keys():
            # What is damaged stays so where the command writes something else.
            if before.get(key) != damaged.get(key) and (
                before.get(key) == expected.get(key)
            ):
                found.pop(key, None)
                expected.pop(key, None)
        problems = list(_compare(found, expected))
        if not problems:
            return [Problem("equal", "")]
        if any("HERE" in x for x in _new_lines(printed, base.printed[name])):
            return [Problem("said", "")]
        return problems


def fill_disk(base: Base, name: str, seed: int) -> list[Problem]:
    """Lets the disk of a command's output be full, and then not."""
    command = survival_commands.COMMANDS[name]
    before, after = base.sizes[name]
    num_bytes = before + int(random.Random(seed).random() * after)
    with (
        survival_processes.folder(base.root) as here,
        survival_processes.small_disk(here, num_bytes),
    ):
        _prepare(command, base.folder, here)
        problems = _try_in_vain(base, name, here)
        survival_processes.enlarge_disk(here)
        again = _start(command, base.folder, here)
        if again.end():
            problems.append(Problem("lost", _last_line(again.printed())))
        found = survival_commands.describe(here)
        return problems + list(_compare(found, base.results[name]))


def make_read_only(base: Base, name: str) -> list[Problem]:
    """Lets a command write nowhere."""
    command = survival_commands.COMMANDS[name]
    with survival_processes.folder(base.root) as here:
        _prepare(command, base.folder, here)
        (here / "tmp").mkdir()
        folders = [here, *(x for x in here.rglob("*") if x.is_dir())]
        for path in folders:
            path.chmod(0o555)
        try:
            return _try_in_vain(base, name, here)
        finally:
            for path in folders:
                path.chmod(0o755)


def _try_in_vain(base: Base, name: str, here: pathlib.Path) -> list[Problem]:
    """Gives a command that cannot write; it may succeed if it can after all."""
    before = survival_commands.describe(here)
    process = _start(survival_commands.COMMANDS[name], base.folder, here)
    code = process.end()
    found = survival_commands.describe(here)
    if not code:
        return list(_compare(found, base.results[name]))
    problems = []
    printed = process.printed()
    if not _is_sentence(printed) or str(here) not in _last_line(printed):
        problems.append(Problem("raw", _last_line(printed)))
    # The next command goes on with the rest: a lock, half a training.
    whole = base.results[name]
    problems += [
        x
        for x in _compare(found, before)
        if x.kind != "left_by_others"
        and not (x.kind == "left" and x.text in whole)
    ]
    return problems or [Problem("refused", "")]


def _size(folder: pathlib.Path) -> int:
    """Bytes on the disk of all below a folder."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*"))


def _new_lines(printed: str, expected: str) -> set[str]:
    """Lines that a command has not printed before, whatever the numbers."""
    lines, known = (
        {re.sub(r"\d+", "", x) for x in re.split(r"[\r\n]+", text)}
        for text in (printed, expected)
    )
    return lines - known


# --- All of it -------------------------------------------------------------


def _make_base(
    root: pathlib.Path, names: list[str], *, with_readings: bool
) -> Base:
    base = Base(root, {}, {}, {}, {}, {})
    base.folder.mkdir()
    for command in survival_commands.SETUP:
        process = _start(command, base.folder, base.folder)
        if process.end():
            sys.exit(f"{command.module} has failed:\n{process.printed()}")
    tarballs = base.folder / "tarballs"
    tarballs.mkdir()
    for name, source in (
        ("BigEarthNet-S2-v1.0", "BigEarthNet-v1.0"),
        ("BigEarthNet-S1-v1.0", "BigEarthNet-S1-v1.0"),
    ):
        with tarfile.open(tarballs / f"{name}.tar.gz", "w:gz") as tar:
            tar.add(base.folder / "archive" / source, source)
    for name in names:
        process = _run_undisturbed(base, name, survival_commands.COMMANDS[name])
        base.seconds[name] = process.seconds
        base.operations[name] = process.file_operations
    if with_readings:
        for name, command in survival_commands.READINGS.items():
            _run_undisturbed(base, name, command)
    return base


def _run_undisturbed(
    base: Base, name: str, command: survival_commands.Command
) -> survival_processes.Process:
    """Notes what a command leaves behind and prints."""
    here = pathlib.Path(tempfile.mkdtemp(dir=base.root)) / "here"
    here.mkdir()
    _prepare(command, base.folder, here)
    before = _size(here)
    process = _start(command, base.folder, here)
    if process.end():
        sys.exit(f"{name} has failed:\n{process.printed()}")
    base.sizes[name] = before, _size(here)
    base.results[name] = survival_commands.describe(here)
    base.printed[name] = process.printed().replace(str(here), "HERE")
    return process


def _trials(
    base: Base, modes: list[str], *, moments: int, rounds: int
) -> Iterator[tuple[str, Callable[..., list[Problem]], tuple]]:
    """Yields what to call, and how to name it."""
    for name, operations in base.operations.items():
        if "operations" in modes:
            for at in range(1, operations + 1):
                yield f"{name}, operation {at}", kill, (base, name, at, 0)
        if "moments" in modes:
            for seed in range(1, moments + 1):
                share = random.Random(seed).random()
                yield (
                    f"{name}, moment {seed}",
                    kill,
                    (base, name, 0, share * base.seconds[name]),
                )
        if "pairs" in modes:
            for seed in range(1, rounds + 1):
                yield f"{name}, pair {seed}", run_twice, (base, name, seed)
        if "full" in modes:
            for seed in range(1, moments + 1):
                yield f"{name}, full disk {seed}", fill_disk, (base, name, seed)
        if "read_only" in modes:
            yield f"{name}, read-only", make_read_only, (base, name)
    if "damage" in modes:
        for name, command in survival_commands.READINGS.items():
            folder = base.folder / next(iter(command.before))
            for path in (folder, *sorted(folder.rglob("*"))):
                if path.name == ".lock":
                    continue
                file = path.relative_to(base.folder).as_posix()
                for how in DAMAGES if path.is_file() else ["denied"]:
                    label = f"{name}: {file} {how}"
                    yield label, damage, (base, name, file, how)


def main(argv: list[str]) -> None:
    """Runs the modes that the flags name."""
    del argv
    names = FLAGS.commands or list(survival_commands.COMMANDS)
    library_dir = survival_processes.restart_with_counter()
    root = pathlib.Path(tempfile.mkdtemp(prefix="survival_"))
    try:
        _run(root, names)
    finally:
        shutil.rmtree(library_dir, ignore_errors=True)
        if not FLAGS.keep:
            shutil.rmtree(root, ignore_errors=True)


def _run(root: pathlib.Path, names: list[str]) -> None:
    base = _make_base(root, names, with_readings="damage" in FLAGS.modes)
    for name in names:
        print(
            f"{name}: {base.seconds[name]:.1f} s, "
            f"{base.operations[name]} file operations",
            flush=True,
        )
    counts: collections.Counter[str] = collections.Counter()
    num_trials: collections.Counter[str] = collections.Counter()
    # Forks, as the commands are, of a process that has computed nothing.
    with concurrent.futures.ProcessPoolExecutor(
        FLAGS.lanes, mp_context=multiprocessing.get_context("fork")
    ) as pool:
        futures = {
            pool.submit(function, *arguments): label
            for label, function, arguments in _trials(
                base,
                FLAGS.modes,
                moments=FLAGS.moments,
                rounds=FLAGS.rounds,
            )
            if re.search(FLAGS.match, label)
        }
        for future in concurrent.futures.as_completed(futures):
            label = futures[future]
            num_trials[re.sub(r" \d+$", "s", label.partition(":")[0])] += 1
            for problem in future.result():
                counts[problem.kind] += 1
                if problem.kind not in _HARMLESS:
                    print(
                        f"{label}: {problem.kind}: {problem.text}", flush=True
                    )
    for label, number in num_trials.items():
        print(f"{label}: {number}")
    for kind in (*_HARMLESS, *PROBLEMS):
        print(f"{kind}: {counts[kind]}")


FLAGS = flags.FLAGS


if __name__ == "__main__":
    flags.DEFINE_list("modes", list(MODES), f"Any of {', '.join(MODES)}.")
    flags.DEFINE_list("commands", [], "Any of them; all by default.")
    flags.DEFINE_integer("moments", 25, "Random moments for each command.")
    flags.DEFINE_integer("rounds", 100, "Pairs of each command.")
    flags.DEFINE_string("match", "", "Only trials with this in their names.")
    flags.DEFINE_integer("lanes", os.cpu_count(), "Trials at once.")
    flags.DEFINE_bool("keep", False, "Keep the folder with all files.")
    app.run(main)
