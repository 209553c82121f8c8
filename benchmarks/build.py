"""Measures the conversion: python benchmarks/build.py [--pairs=5000].

Makes its own archive: the pixels of the six real pairs under real names. Every
figure is the median of --rounds, all of one run on one machine; the archive is
in the page cache. Ends with one line a figure, `name: number`:

  vs_rasterio        our pairs per second over those of the usual way: a TFDS
                     generator that opens each band with rasterio
  of_limit           our pairs per second over those of one process that reads
                     all files and writes the same bytes once
  tar_of_folder      speed from .tar over speed from folders
  tar_gz_of_folder   speed from .tar.gz over speed from folders
  inflating_of_folder   the same if nothing followed the inflating
  finite_cost_build  the part of the build's time that goes into checking that
                     pixels are finite and plausible: 0.02 is 2 %
  verify_pairs_per_second, pairs_per_second
  pairs_per_second_2000, speed_of_speed_at_2000, limit_of_limit_at_2000
                     whether time is linear: the speed at --pairs over that at
                     2,000 pairs, ours and that of the limit
  official_lists_seconds   all 590,326 pairs: split, partner, shard order
  peak_rss_mib_N     peak memory of all our processes together, at 2,000 pairs
                     and at --pairs
  projected_hours    590,326 pairs at the speed of this run

What each process does once is left out of the rates: importing modules, and
loading the official lists, which is given by itself. Memory and disk are made
alike before each measurement, see `settle`. Without that, memory more than the
conversion seemed to decide: a machine whose host takes back free memory wrote
0.3 GB/s into pages new to it and 5.0 GB/s into those it still held.

From .tar.gz inflating counts most: 0.6 ms of a core for a pair (S2 0.37, S1
0.23), one core a sensor, where two cores convert a pair from folders in 0.5 ms.
And records lie in another order than members, so all that is inflated is
written and read once more before the first record.

`--version=v2` compares the versions instead, on synthetic archives of either
layout: v2_of_v1, tar_zst_of_folder, peak memory at --pairs and a tenth of it.
`--pairs=20000 --rounds=1 --tarballs=false` is the rehearsal; `--damaged=20000`
decodes that many damaged TIFFs.
"""

import itertools
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from concurrent import futures
from unittest import mock

import numpy as np
from absl import flags

from ben_tf import bigearthnet
from ben_tf import command_line
from ben_tf import errors
from ben_tf.archive import geotiff
from ben_tf.archive import inventory
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import open_archive
from ben_tf.archive import plausibility

FOLDERS = {
    sensor: names.folders[0] for sensor, names in layout.V1.sensors.items()
}
# The usual way is slow and linear: a part of the pairs is enough.
USUAL_PAIRS = 500
# The size that a larger one is compared with.
FEW_PAIRS = 2000
# Records and, from .tar.gz, the inflated tarballs.
WRITTEN_BYTES_PER_PAIR = 620_000
TARBALLS = {
    sensor: names.tarball_stems[0]
    for sensor, names in layout.V1.sensors.items()
}


def read_examples() -> list[dict[str, dict[str, bytes]]]:
    """Returns the files of the six real pairs: sensor -> suffix -> bytes."""
    files: dict[tuple[str, str], dict[str, bytes]] = {}
    for sensor, tarball in official_lists.example_tarballs().items():
        with tarball.open("rb") as file, tarfile.open(fileobj=file) as tar:
            for info in tar:
                if content := tar.extractfile(info):
                    _, patch, name = info.name.split("/")
                    suffix = name.removeprefix(patch)
                    data = content.read()
                    files.setdefault((sensor, patch), {})[suffix] = data
    official = official_lists.official_patches()
    return [
        {
            "S1": files["S1", official[patch].s1_name],
            "S2": files["S2", patch],
        }
        for sensor, patch in sorted(files)
        if sensor == "S2"
    ]


def make_archive(root: pathlib.Path, num_pairs: int) -> None:
    """Writes pairs under real names, drawn evenly from the official list."""
    official = list(official_lists.official_patches().values())
    step = len(official) // num_pairs
    examples = itertools.cycle(read_examples())
    for pair, example in zip(
        official[: step * num_pairs : step], examples, strict=False
    ):
        for sensor, patch in (("S1", pair.s1_name), ("S2", pair.s2_name)):
            folder = root / FOLDERS[sensor] / patch
            folder.mkdir(parents=True)
            for suffix, data in example[sensor].items():
                if sensor == "S1" and suffix.endswith(".json"):
                    content = json.loads(data)
                    content["corresponding_s2_patch"] = pair.s2_name
                    data = json.dumps(content).encode()
                (folder / (patch + suffix)).write_bytes(data)


def pack(root: pathlib.Path, target: pathlib.Path, *, compress: bool) -> None:
    """Packs both folders, S1 backwards: the orders of the sensors differ."""
    target.mkdir()
    compressions = []
    for sensor, folder in FOLDERS.items():
        names = sorted(os.listdir(root / folder), reverse=sensor == "S1")
        path = target / f"{TARBALLS[sensor]}.tar"
        with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
            for name in names:
                tar.add(root / folder / name, f"{folder}/{name}")
        if compress:
            compressions.append(subprocess.Popen(["gzip", "-6", str(path)]))
    for compression in compressions:
        assert compression.wait() == 0


def pack_zst(root: pathlib.Path, target: pathlib.Path) -> None:
    """Packs an archive of v2.0 as it is downloaded: files alone, sorted."""
    import zstandard

    target.mkdir()
    for path in root.iterdir():
        if path.is_file():
            shutil.copy(path, target)
            continue
        compressor = zstandard.ZstdCompressor(write_checksum=True)
        with (
            (target / f"{path.name}.tar.zst").open("wb") as file,
            compressor.stream_writer(file) as content,
            tarfile.open(
                fileobj=content, mode="w|", format=tarfile.GNU_FORMAT
            ) as tar,
        ):
            for member in sorted(path.rglob("*.*")):
                tar.add(member, member.relative_to(root))


# --- What is compared ------------------------------------------------------


def build_ours(archive_dir: pathlib.Path, data_dir: pathlib.Path) -> None:
    """Converts with all cores."""
    from tfrecords_builder import dataset

    # What lists the pairs of v2.0.
    is_v2 = any(archive_dir.glob("*.parquet"))
    dataset.build(
        archive_dir=archive_dir,
        data_dir=data_dir,
        version="v2" if is_v2 else "v1",
    )


def build_usual_way(archive_dir: pathlib.Path, data_dir: pathlib.Path) -> None:
    """Opens each band with rasterio, inside a TFDS generator."""
    import rasterio
    import tensorflow_datasets as tfds

    from tfrecords_builder import bigearthnet_mm_dataset_builder as ours

    official = official_lists.official_patches()

    def generate(
        patches: Iterable[official_lists.OfficialPatch],
    ) -> Iterator[tuple[str, dict[str, object]]]:
        for patch in patches:
            names = {"S1": patch.s1_name, "S2": patch.s2_name}
            arrays = {}
            for key, grid in bigearthnet.GRIDS.items():
                name = names[grid.sensor]
                folder = archive_dir / FOLDERS[grid.sensor] / name
                bands = []
                for band in grid.bands:
                    with rasterio.open(folder / f"{name}_{band}.tif") as file:
                        bands.append(file.read(1))
                        epsg = file.crs.to_epsg()
                        corner = (file.transform.c, file.transform.f)
                arrays[key] = np.stack(bands, axis=-1)
            metadata = {
                sensor: json.loads(
                    (
                        archive_dir
                        / FOLDERS[sensor]
                        / name
                        / layout.json_name(name)
                    ).read_bytes()
                )
                for sensor, name in names.items()
            }
            labels = metadata["S2"]["labels"]
            yield (
                patch.s2_name,
                {
                    **arrays,
                    "patch_name": patch.s2_name,
                    "s1_name": patch.s1_name,
                    "labels_43": labels,
                    "labels_19": list(bigearthnet.labels_43_to_19(labels)),
                    "country": patch.country,
                    "season": patch.season,
                    "seasonal_snow": patch.seasonal_snow,
                    "cloud_or_shadow": patch.cloud_or_shadow,
                    "epsg": epsg,
                    "upper_left": corner,
                    "s1_time": metadata["S1"]["acquisition_time"],
                    "s2_time": metadata["S2"]["acquisition_date"],
                },
            )

    by_split: dict[str, list[official_lists.OfficialPatch]] = {}
    for name in sorted(os.listdir(archive_dir / FOLDERS["S2"]))[:USUAL_PAIRS]:
        by_split.setdefault(official[name].split, []).append(official[name])
    schema = ours.Builder(data_dir=str(data_dir)).info.features
    tfds.dataset_builders.store_as_tfds_dataset(
        name="usual_way",
        version="1.0.0",
        data_dir=str(data_dir),
        features=schema,
        split_datasets={
            split: generate(patches) for split, patches in by_split.items()
        },
    )


def copy_bytes(archive_dir: pathlib.Path, target: pathlib.Path) -> None:
    """Reads all files in one process and writes their bytes to one file."""
    target.mkdir()
    with (target / "all").open("wb") as output:
        for folder in FOLDERS.values():
            for patch in os.scandir(archive_dir / folder):
                for file in os.scandir(patch.path):
                    with open(file.path, "rb", buffering=0) as data:
                        output.write(data.read())


def verify_ours(archive_dir: pathlib.Path, target: pathlib.Path) -> None:
    """Checks all pairs with all cores."""
    from tfrecords_builder import verification

    target.mkdir()
    report = verification.verify(
        archive_dir, csv_path=target / "faults.csv", partial=True
    )
    assert report.is_well


def inflate(archive_dir: pathlib.Path, target: pathlib.Path) -> None:
    """Inflates both tarballs at a time and drops what they hold."""
    from isal import igzip

    def read(path: pathlib.Path) -> None:
        with igzip.open(path) as file:
            while file.read(1 << 20):
                pass

    target.mkdir()
    with futures.ThreadPoolExecutor() as executor:
        list(executor.map(read, archive_dir.glob("*.gz")))


# --- Measuring -------------------------------------------------------------


def settle(scratch: pathlib.Path, num_bytes: int) -> None:
    """Brings disk and memory into the same state before each measurement.

    What was written before must not slow what is measured. And a virtual
    machine gives free memory back to its host, which then hands out each page
    anew at a tenth of the speed; writing a file of that size and removing it
    leaves pages that the machine holds.
    """
    os.sync()
    path = scratch / "settle"
    block = bytes(1 << 20)
    with path.open("wb") as file:
        for _ in range(num_bytes >> 20):
            file.write(block)
    path.unlink()


def measure_seconds(
    function: Callable[[pathlib.Path, pathlib.Path], None],
    archive_dir: pathlib.Path,
    scratch: pathlib.Path,
    num_pairs: int,
) -> float:
    """Returns the wall-clock time of a call; removes what it wrote."""
    target = scratch / "out"
    settle(scratch, num_pairs * WRITTEN_BYTES_PER_PAIR)
    start = time.perf_counter()
    function(archive_dir, target)
    seconds = time.perf_counter() - start
    shutil.rmtree(target)
    return seconds


def measure_check_seconds(
    archive_dir: pathlib.Path, scratch: pathlib.Path, num_rounds: int
) -> float:
    """Returns how much longer a process needs for a pair with its checks."""
    from tfrecords_builder import shards

    archive = open_archive.open_archive(archive_dir)
    pairs = inventory.take(archive, official_lists.official_patches()).pairs
    task = shards.ShardTask(
        "train", str(scratch / "shard"), pairs[:USUAL_PAIRS], False
    )

    def convert() -> float:
        start = time.process_time()
        shards.write_shard(task, archive)
        return time.process_time() - start

    def convert_unchecked() -> float:
        with mock.patch.multiple(
            plausibility, check_band=_nothing, check_grid=_nothing
        ):
            return convert()

    convert()
    more = [convert() - convert_unchecked() for _ in range(10 * num_rounds)]
    return statistics.median(more) / len(task.pairs)


def _nothing(pixels: object, sensor: str, place: str) -> None:
    """Stands in for a check."""


class PeakMemory:
    """Samples the proportional memory of this process and its children."""

    def __init__(self) -> None:
        self.peak_mib = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        import psutil

        process = psutil.Process()
        while not self._done.wait(0.2):
            try:
                total = sum(
                    each.memory_full_info().pss
                    for each in [process, *process.children(recursive=True)]
                )
            except psutil.Error:
                continue  # One of them has just ended.
            self.peak_mib = max(self.peak_mib, total / 2**20)


def measure_peak_mib(archive_dir: pathlib.Path, scratch: pathlib.Path) -> float:
    """Returns the peak of a build in a process of its own."""
    result = subprocess.run(
        [sys.executable, __file__, f"--measure_memory_of={archive_dir}"],
        env=os.environ | {"BENCHMARK_OUT": str(scratch / "memory")},
        capture_output=True,
        text=True,
        check=True,
    )
    shutil.rmtree(scratch / "memory")
    return float(result.stdout.split()[-1])


def measure_official_lists() -> float:
    """Returns the seconds for reading the lists and ordering all pairs."""
    from tfrecords_builder import shards

    start = time.perf_counter()
    official = official_lists.official_patches()
    by_split: dict[str, list[official_lists.OfficialPatch]] = {}
    for pair in official.values():
        by_split.setdefault(pair.split, []).append(pair)
    ordered = [shards.in_record_order(*item) for item in by_split.items()]
    assert sum(map(len, ordered)) == bigearthnet.NUM_PATCHES
    return time.perf_counter() - start


def decode_damaged(num_files: int) -> None:
    """Decodes damaged TIFFs; anything but the declared error ends the run."""
    files = [
        (data, bigearthnet.grid_of_band(suffix[1:].removesuffix(".tif")))
        for example in read_examples()
        for sensor in example.values()
        for suffix, data in sensor.items()
        if suffix.endswith(".tif")
    ]
    generator = random.Random(1)
    num_refused = 0
    for data, grid in itertools.islice(itertools.cycle(files), num_files):
        damaged = bytearray(data)
        if generator.random() < 0.25:
            del damaged[generator.randrange(len(damaged)) :]
        else:
            end = generator.choice([420, len(damaged)])
            for _ in range(generator.choice([1, 2, 8, 64])):
                damaged[generator.randrange(end)] = generator.randrange(256)
        try:
            geotiff.decode(bytes(damaged), place="x.tif", grid=grid)
        except errors.ArchiveError:
            num_refused += 1
    print(f"damaged_files: {num_files}")
    print(f"damaged_files_refused: {num_refused}")


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    num_pairs = flags.DEFINE_integer("pairs", 5000, "Pairs of the archive.")
    num_rounds = flags.DEFINE_integer("rounds", 3, "Repetitions.")
    num_damaged = flags.DEFINE_integer("damaged", 0, "Damaged TIFFs to decode.")
    version = flags.DEFINE_enum(
        "version", "v1", ["v1", "v2"], "v2: compare it with v1."
    )
    tarballs = flags.DEFINE_bool("tarballs", True, "Measure tarballs too.")
    scratch_dir = flags.DEFINE_string("scratch_dir", None, "Where to work.")
    memory_of = flags.DEFINE_string(
        "measure_memory_of", None, "For the benchmark's own use."
    )

    def main() -> None:
        if memory_of.value:
            with PeakMemory() as memory:
                out = pathlib.Path(os.environ["BENCHMARK_OUT"])
                build_ours(pathlib.Path(memory_of.value), out)
            print(memory.peak_mib)
            return
        if version.value == "v2":
            with tempfile.TemporaryDirectory(dir=scratch_dir.value) as scratch:
                report_versions(
                    pathlib.Path(scratch), num_pairs.value, num_rounds.value
                )
            return
        lists_seconds = measure_official_lists()
        with tempfile.TemporaryDirectory(dir=scratch_dir.value) as scratch:
            report(
                pathlib.Path(scratch),
                num_pairs.value,
                num_rounds.value,
                tarballs.value,
            )
        print(f"official_lists_seconds: {lists_seconds:.2f}")
        if num_damaged.value:
            decode_damaged(num_damaged.value)

    return main


def report(
    scratch: pathlib.Path, num_pairs: int, num_rounds: int, tarballs: bool
) -> None:
    """Measures everything and prints it."""
    folders = scratch / "archive"
    make_archive(folders, num_pairs)
    few = folders
    cases = {
        "ours": (build_ours, folders, num_pairs),
        "limit": (copy_bytes, folders, num_pairs),
        "verify": (verify_ours, folders, num_pairs),
        "rasterio": (build_usual_way, folders, min(num_pairs, USUAL_PAIRS)),
    }
    if num_pairs > FEW_PAIRS:
        few = scratch / "few"
        make_archive(few, FEW_PAIRS)
        cases["ours_few"] = (build_ours, few, FEW_PAIRS)
        cases["limit_few"] = (copy_bytes, few, FEW_PAIRS)
    if tarballs:
        for name in ("tar", "tar_gz"):
            pack(folders, scratch / name, compress=name == "tar_gz")
            cases[name] = (build_ours, scratch / name, num_pairs)
        cases["inflating"] = (inflate, scratch / "tar_gz", num_pairs)
    rates: dict[str, list[float]] = {name: [] for name in cases}
    # The first build of a process imports modules and starts the processes.
    measure_seconds(build_ours, few, scratch, min(num_pairs, FEW_PAIRS))
    for _ in range(num_rounds):
        # In turns, so that a busy machine slows all of them.
        for name, (function, archive_dir, number) in cases.items():
            seconds = measure_seconds(function, archive_dir, scratch, number)
            rates[name].append(number / seconds)
            print(f"{name}: {rates[name][-1]:.0f} pairs per second", flush=True)
    check_seconds = measure_check_seconds(few, scratch, num_rounds)
    peak_mib = {num_pairs: measure_peak_mib(folders, scratch)}
    median = {name: statistics.median(rate) for name, rate in rates.items()}
    print(f"vs_rasterio: {median['ours'] / median['rasterio']:.2f}")
    print(f"of_limit: {median['ours'] / median['limit']:.2f}")
    if tarballs:
        print(f"tar_of_folder: {median['tar'] / median['ours']:.2f}")
        print(f"tar_gz_of_folder: {median['tar_gz'] / median['ours']:.2f}")
        inflating = median["inflating"] / median["ours"]
        print(f"inflating_of_folder: {inflating:.2f}")
    # All cores convert.
    checks = check_seconds * median["ours"] / (os.cpu_count() or 1)
    print(f"finite_cost_build: {checks:.4f}")
    print(f"verify_pairs_per_second: {median['verify']:.0f}")
    print(f"pairs_per_second: {median['ours']:.0f}")
    if few is not folders:
        peak_mib[FEW_PAIRS] = measure_peak_mib(few, scratch)
        print(f"pairs_per_second_{FEW_PAIRS}: {median['ours_few']:.0f}")
        linear = median["ours"] / median["ours_few"]
        limit_linear = median["limit"] / median["limit_few"]
        print(f"speed_of_speed_at_{FEW_PAIRS}: {linear:.2f}")
        print(f"limit_of_limit_at_{FEW_PAIRS}: {limit_linear:.2f}")
    for number, mib in sorted(peak_mib.items()):
        print(f"peak_rss_mib_{number}: {mib:.0f}")
    hours = bigearthnet.NUM_PATCHES / median["ours"] / 3600
    print(f"projected_hours: {hours:.2f}")


def report_versions(
    scratch: pathlib.Path, num_pairs: int, num_rounds: int
) -> None:
    """Measures v2.0 beside v1.0 and prints it."""
    from tfrecords_builder import sample_writer

    for name, version, number in (
        ("v1", "v1", num_pairs),
        ("v2", "v2", num_pairs),
        ("v2_few", "v2", num_pairs // 10),
    ):
        sample_writer.write_sample_archive(
            scratch / name, num_pairs=number, version=version
        )
    pack_zst(scratch / "v2", scratch / "tar_zst")
    rates: dict[str, list[float]] = {"v1": [], "v2": [], "tar_zst": []}
    # The first build of a process imports modules and starts the processes.
    measure_seconds(build_ours, scratch / "v2_few", scratch, num_pairs)
    for _ in range(num_rounds):
        for name, rate in rates.items():
            seconds = measure_seconds(
                build_ours, scratch / name, scratch, num_pairs
            )
            rate.append(num_pairs / seconds)
            print(f"{name}: {rate[-1]:.0f} pairs per second", flush=True)
    median = {name: statistics.median(rate) for name, rate in rates.items()}
    print(f"v2_of_v1: {median['v2'] / median['v1']:.2f}")
    print(f"tar_zst_of_folder: {median['tar_zst'] / median['v2']:.2f}")
    for name in ("v1", "v2_few", "v2", "tar_zst"):
        mib = measure_peak_mib(scratch / name, scratch)
        print(f"peak_rss_mib_{name}: {mib:.0f}")


if __name__ == "__main__":
    command_line.run(command)
