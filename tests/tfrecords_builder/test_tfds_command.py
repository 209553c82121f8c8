"""`tfds build`, as the documents give it.

The command imports mlcroissant before it reads its arguments; what then parses
them and builds does not, and is run here.
"""

import importlib
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.scripts.cli import build as tfds_build
from tensorflow_datasets.scripts.cli import cli_utils

from ben_tf import errors

ROOT = pathlib.Path(__file__).parents[2]
COMMANDS = [
    shlex.split(command.replace("\\\n", " "))
    for command in re.findall(
        r"^(tfds build (?:.*\\\n)*.*)$",
        (ROOT / "docs" / "building.md").read_text(),
        re.MULTILINE,
    )
]


def with_folders(command: list[str], archive_dir, data_dir) -> list[str]:
    folders = {
        "--manual_dir=archive": f"--manual_dir={archive_dir}",
        "--data_dir=data": f"--data_dir={data_dir}",
    }
    assert folders.keys() <= set(command)
    return [folders.get(word, word) for word in command]


def run(command: list[str]) -> None:
    """What `tfds` does, without the rest of its commands."""
    parse = cli_utils.make_flags_parser(tfds_build.Args, description="")
    parse(command[1:]).execute()


def files_of(data_dir) -> dict[str, bytes]:
    (folder,) = data_dir.glob("bigearthnet_mm/v1/1.0.0")
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        # The description has the time of day.
        if path.name != "dataset_info.json"
    }


@pytest.mark.parametrize("command", COMMANDS, ids=["name", "file"])
def test_it_writes_what_our_command_writes(
    sample_archive_dir, data_dir, tmp_path, monkeypatch, command
):
    monkeypatch.chdir(ROOT)
    run(with_folders(command, sample_archive_dir, tmp_path))
    assert files_of(tmp_path) == files_of(data_dir)


def test_its_options_reach_the_builder(sample_archive_dir, tmp_path):
    command = with_folders(COMMANDS[0], sample_archive_dir, tmp_path)
    options = [
        "--file_format=array_record",
        "--max_examples_per_split=3",
        "--num_shards=2",
        "--beam_pipeline_options=direct_num_workers=1",
    ]
    run([*command, *options])
    builder = tfds.builder("bigearthnet_mm/v1", data_dir=tmp_path)
    assert builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD
    assert builder.info.splits["train"].shard_lengths == [2, 1]
    assert len(builder.as_data_source("train")) == 3
    assert (builder.data_path / "patches.parquet").exists()


def test_without_a_config_the_other_version_is_missed(
    sample_archive_dir, tmp_path, monkeypatch
):
    monkeypatch.chdir(ROOT)
    command = with_folders(COMMANDS[1], sample_archive_dir, tmp_path)
    command.remove("--config=v1")
    with pytest.raises(errors.UserError, match=r"no S1 patches of .* v2\.0"):
        run(command)
    assert "patches.parquet" in files_of(tmp_path)


def test_the_command_asks_for_mlcroissant(monkeypatch):
    """If this fails, docs/building.md need not ask for it."""
    monkeypatch.setitem(sys.modules, "mlcroissant", None)
    for name in ("main", "croissant"):
        monkeypatch.delitem(
            sys.modules, f"tensorflow_datasets.scripts.cli.{name}", False
        )
    with pytest.raises(ImportError, match="mlcroissant"):
        importlib.import_module("tensorflow_datasets.scripts.cli.main")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=["name", "file"])
def test_the_command_itself(sample_archive_dir, data_dir, tmp_path, command):
    pytest.importorskip("mlcroissant")
    subprocess.run(
        [
            *(sys.executable, "-m", "tensorflow_datasets.scripts.cli.main"),
            *with_folders(command, sample_archive_dir, tmp_path)[1:],
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
    )
    assert files_of(tmp_path) == files_of(data_dir)
