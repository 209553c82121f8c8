"""What README.md and docs/ tell people to run is run, on the sample archive.

Blocks of a page are run from top to bottom in a folder that holds what pages
before it have made. A command that trains does so for two steps of `small_cnn`;
what cannot run here is listed in `NOT_RUN`, with the reason.
"""

import dataclasses
import pathlib
import re
import shlex
import shutil
import subprocess
from unittest import mock

import numpy as np
import pytest

from ben_tf import bigearthnet
from ben_tf import models
from ben_tf.archive import official_lists
from ben_tf.evaluation import evaluation
from ben_tf.retrieval import index_builder
from ben_tf.training import losses
from ben_tf.training import trainer
from tests import in_process
from tests import rasters
from tfrecords_builder import sample_scene

ROOT = pathlib.Path(__file__).parent.parent
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
# Beginning of a command -> why it is not run.
_TRAIN = "python -m ben_tf.train --data_dir=data --workdir=runs/"
NOT_RUN = {
    "make ": "sets up an environment; test_quickstart.py runs the quickstart",
    ".venv/bin/python notebooks/execute.py": "make check-notebooks runs all",
    "python benchmarks/": "measures speed: minutes, on a quiet machine",
    "tfds build": "test_tfds_command.py runs it",
    "python -m tfrecords_builder.build --archive_dir=/shared": (
        "needs a cluster; test_beam_pipeline.py starts one"
    ),
    "dask ": "does not end by itself; tests/ben_tf/cluster starts them",
    "python -m ben_tf.predict --saved_model=/shared": (
        "needs a cluster; test_cluster_patches.py starts one"
    ),
    "python -m ben_tf.retrieval build --saved_model=/shared": (
        "needs a cluster; test_embedding_batches.py starts one"
    ),
    "python -m ben_tf.import_checkpoint": (
        "needs weights that others released; test_import_checkpoint.py imports "
        "some of the same form"
    ),
    "python -m ben_tf.evaluate --data_dir=data --workdir=runs/released": (
        "needs what was imported"
    ),
    f"{_TRAIN}tuned": "needs what was imported",
    f"{_TRAIN}imagenet": (
        "needs the weights of ImageNet; test_initial_weights.py loads some of "
        "the same form"
    ),
    f"{_TRAIN}table1_imagenet": "needs the weights of ImageNet",
    f"{_TRAIN}own --model": "needs the table above it",
    "docker ": "no Docker where tests run",
    "curl ": "needs a server in Docker",
    "pip install": "what it installs, tests have",
    "python -m ben_tf.retrieval serve": (
        "does not end by itself; tests/ben_tf/retrieval/server asks it"
    ),
    "python -m tfrecords_builder.build --table": (
        "needs a table of one's own; test_own_data.py builds that of the page"
    ),
}
# Page -> why its Python is not run.
PYTHON_NOT_RUN = {
    "docs/building.md": "test_own_data.py runs it",
    "docs/serving.md": "needs servers; tests/ben_tf/exchange asks the files",
}
# The archive is there; the real one has 125 GB.
_LEFT_OUT = ("--download",)
_TWO_STEPS = {
    "model": "small_cnn",
    "batch_size": 8,
    "epochs": 1,
    "train_split": "train[:16]",
}
# What a command makes anew, if the folder already holds what pages before made.
_MAKES = {
    "ben_tf.train": "workdir",
    "tfrecords_builder.build": "data_dir",
    "tfrecords_builder.sample_archive": "output_dir",
}


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.S | re.M)


def _commands(page: str) -> list[str]:
    """The commands of a page, each in a line."""
    text = re.sub(r"\\\n\s*", "", "".join(_blocks(page, "bash")))
    return [
        line
        for line in text.splitlines()
        if line.strip() and not line.startswith("#")
    ]


def _reason(command: str) -> str | None:
    """Why a command is not run."""
    found = [r for start, r in NOT_RUN.items() if command.startswith(start)]
    return found[0] if found else None


def _runs() -> dict[str, list[str]]:
    """Page -> the commands that are run there: those of no earlier page.

    README.md comes last: it repeats what the pages begin with.
    """
    seen, runs = set(), {}
    for page in sorted(PAGES, key=lambda page: page == "README.md"):
        commands = [c for c in _commands(page) if c not in seen]
        seen.update(commands)
        runs[page] = [c for c in commands if not _reason(c)]
    return {page: commands for page, commands in runs.items() if commands}


RUNS = _runs()


@pytest.fixture(scope="module")
def finished(workdir, data_dir, make_once) -> pathlib.Path:
    """A folder with an evaluated run, and with an index of its model."""

    def make(folder) -> None:
        run = folder / "runs" / "resnet50"
        shutil.copytree(workdir, run)
        evaluation.evaluate(workdir=run, data_dir=data_dir)
        index_builder.build_index(
            saved_model=run / "saved_model",
            data_dir=data_dir,
            output_dir=folder / "index",
        )

    return make_once("documented", make)


@pytest.fixture(scope="module")
def shared_run(tiny_config, make_once) -> pathlib.Path:
    """A run whose model has one space for both sensors."""
    config = dataclasses.replace(tiny_config, fusion="shared")
    return make_once("shared_run", lambda folder: trainer.train(config, folder))


@pytest.fixture(scope="module")
def scene(make_once) -> pathlib.Path:
    return make_once(
        "scene",
        lambda folder: sample_scene.make_sample_scene(folder, num_windows=2),
    )


@pytest.fixture
def world(
    request,
    finished,
    scene,
    sample_archive_dir,
    v2_archive_dir,
    data_dir,
    tmp_path,
    monkeypatch,
) -> pathlib.Path:
    """The folder of somebody who has followed the pages before."""
    # A clone, in which experiments are found.
    (tmp_path / "ben_tf").symlink_to(ROOT / "ben_tf")
    for name, source in {
        "archive": sample_archive_dir,
        "archive_v2": v2_archive_dir,
        "archive_v3": v2_archive_dir,
    }.items():
        shutil.copytree(source, tmp_path / name)
    for sensor in ("S1", "S2"):
        folder = tmp_path / "archive_v3" / f"BigEarthNet-{sensor}"
        folder.rename(folder.with_name(f"BEN-v3-{sensor}"))
    shutil.copytree(data_dir, tmp_path / "data")
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    for name in ("s1", "s2", "mm"):
        shutil.copytree(
            finished / "runs" / "resnet50", tmp_path / "runs" / name
        )
    text = PAGES[getattr(request, "param", "README.md")]
    if "runs/shared" in text and "--workdir=runs/shared" not in text:
        shared = request.getfixturevalue("shared_run")
        shutil.copytree(shared, tmp_path / "runs" / "shared")
    shutil.copytree(scene / "S2", tmp_path / "X.SAFE")
    shutil.copy(scene / "vv_vh_db.tif", tmp_path)
    _write_images(tmp_path)
    (tmp_path / "names.txt").write_text(f"{_REAL_PAIR}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _write_images(folder: pathlib.Path) -> None:
    """What other tools export: all bands in one file, or a file a sensor."""
    random = np.random.default_rng(0)
    s2 = random.integers(1, 4000, (len(bigearthnet.S2_BANDS), 240, 240))
    s1 = random.normal(-12, 3, (len(bigearthnet.S1_BANDS), 240, 240))
    grids = ("s2_10m", "s2_20m", "s2_60m", "s1")
    names = [b for grid in grids for b in bigearthnet.GRIDS[grid].bands]
    both = np.concatenate([s2, s1]).astype(np.float32)
    rasters.write(folder / "export.tif", both, pixel_m=10, descriptions=names)
    rasters.write(folder / "s2.tif", s2.astype(np.uint16), pixel_m=10)
    rasters.write(folder / "s1.tif", s1.astype(np.float32), pixel_m=10)


# What people bring themselves, and the stand-in for the clone.
_BROUGHT = {
    *("X.SAFE", "vv_vh_db.tif", "export.tif", "s2.tif", "s1.tif"),
    *("names.txt", "archive_v3", "ben_tf"),
}
_REAL_PAIR = "S2A_MSIL2A_20170613T101031_87_48"


def _on_the_sample(world: pathlib.Path, command: str) -> list[str]:
    """The words of a command, for the sample in place of the whole archive."""
    pair = official_lists.official_patches()[_REAL_PAIR]
    archive = world / "archive"
    placeholders = {
        "S2_PATCH_FOLDER": archive / "BigEarthNet-v1.0" / pair.s2_name,
        "S1_PATCH_FOLDER": archive / "BigEarthNet-S1-v1.0" / pair.s1_name,
        "ARCHIVE_FOLDER": archive,
    }
    for placeholder, value in placeholders.items():
        command = command.replace(placeholder, str(value))
    python, dash_m, module, *words = shlex.split(command, comments=True)
    assert (python, dash_m) == ("python", "-m"), command
    words = [word for word in words if word not in _LEFT_OUT]
    if module == "ben_tf.train":
        words += [f"--{name}={value}" for name, value in _TWO_STEPS.items()]
    for word in words:
        name, _, value = word.removeprefix("--").partition("=")
        if name == _MAKES.get(module):
            shutil.rmtree(world / value, ignore_errors=True)
    return [module, *words]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "page"), [(p, p) for p in RUNS], indirect=["world"], ids=[*RUNS]
)
def test_commands_run(world, page):
    """What a page shows of their output is what they print."""
    printed = set()
    for command in RUNS[page]:
        done = in_process.run(*_on_the_sample(world, command))
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, command
        printed |= {_shape(line) for line in done.stdout.splitlines()}
    for block in _blocks(page, "text"):
        for line in block.splitlines():
            assert line == "..." or _shape(line) in printed, line
    assert _not_ignored(world) <= _BROUGHT


def _shape(line: str) -> str:
    """A line whatever its numbers and columns, and the model's fingerprint."""
    line = re.sub(r"\([0-9a-f]{12}\)", "", line)
    return re.sub(r"[\d.,%-]+", "0", "".join(line.split()))


def _not_ignored(folder: pathlib.Path) -> set[str]:
    """What `git status` would show of it in a clone."""
    shutil.copy(ROOT / ".gitignore", folder)
    git = ["git", "-C", folder]
    subprocess.run([*git, "init", "--quiet"], check=True)
    shown = subprocess.run(
        [*git, "status", "--porcelain", "--untracked-files=normal"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    names = {line[3:].strip('"/') for line in shown.splitlines()}
    return names - {".gitignore"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [
        page
        for page in PAGES
        if _blocks(page, "python") and page not in PYTHON_NOT_RUN
    ],
)
def test_python_runs_as_it_stands(world, page, monkeypatch):
    """The blocks of a page one after the other, in one namespace."""
    train = trainer.train

    def train_briefly(config, path):
        return train(dataclasses.replace(config, **_TWO_STEPS), path)

    monkeypatch.setattr(trainer, "train", train_briefly)
    namespace = {"__name__": page}
    with (
        # Other tests do not know what a page adds.
        mock.patch.dict(models.MODELS),
        mock.patch.dict(losses.CLASSIFICATION_LOSSES),
    ):
        for block in _blocks(page, "python"):
            exec(compile(block, page, "exec"), namespace)


def test_what_is_not_run_is_still_shown():
    commands = [command for page in PAGES for command in _commands(page)]
    for start in NOT_RUN:
        assert any(command.startswith(start) for command in commands), start


def test_a_row_that_is_forgotten_is_named():
    """What docs/extending.md says of the tables of versions."""
    section = PAGES["docs/extending.md"].split("## A version of the archive")[1]
    listed = set(re.findall(r"^\| `([\w.]+)` \|", section, re.M))
    having = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in ("ben_tf", "tfrecords_builder")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"layout\.V1\.version:", path.read_text())
    }
    assert listed == having
