"""~ is the home folder in every flag that is a path."""

import ast
import dataclasses
import os
import pathlib

import pytest
from absl import flags
from absl.testing import flagsaver

from ben_tf import config
from ben_tf import path_flags
from ben_tf.config import config_flags
from tests import in_process

ROOT = pathlib.Path(__file__).parents[2]
# Flags of text that are no paths. A new flag of text belongs here, or is
# defined by `path_flags`.
NO_PATHS = {
    *(
        "split",
        "patch",
        "ks",
        "model",
        "s1_bands",
        "bands",
        "datetime",
        "flagfile",
        "log",
    ),
    *("beam_runner", "beam_pipeline_options"),
    *("train_split", "validation_split"),
    *("countries", "seasons", "splits", "labels"),
    *("labels_any", "labels_all", "labels_none", "dates", "bbox"),
    *("positives", "negatives"),
    *("host", "host_names", "token"),
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("~", "{home}"),
        ("~/x/y", "{home}/x/y"),
        ("~/a,~/b", "{home}/a,{home}/b"),
        ("~root/x", os.path.expanduser("~root") + "/x"),
        ("/x/~", "/x/~"),
        ("x~", "x~"),
        ("", ""),
    ],
)
def test_home(home, given, expected):
    values = flags.FlagValues()
    path_flags.define_path("x", "~/default", "help", flag_values=values)
    assert values["x"].value == f"{home}/default"
    values(["command", f"--x={given}"])
    assert values.x == expected.format(home=home)


def test_lists(home):
    with flagsaver.flagsaver():
        holder = path_flags.define_paths("x", ["~"], "help")
        assert flags.FLAGS["x"].value == [str(home)]
        flags.FLAGS(["command", "--x=~/a, b,~"])
        assert holder.value == [f"{home}/a", "b", str(home)]


def test_flagfiles_and_configurations(home, tmp_path):
    (tmp_path / "x.flags").write_text(
        "--data_dir=~/data\n--branch_workdirs=~/s1,~/s2\n--imagenet_weights=~/w"
    )
    values = flags.FlagValues()
    config_flags.define_flags(values)
    flags.DEFINE_string("flagfile", "", "", flag_values=values)
    values(["command", f"--flagfile={tmp_path / 'x.flags'}"])
    assert values.data_dir == f"{home}/data"
    assert values.branch_workdirs == f"{home}/s1,{home}/s2"
    assert values.imagenet_weights == f"{home}/w"


def test_every_flag_of_text_is_a_path_or_known_to_be_none():
    named = set()
    for package in ("ben_tf", "tfrecords_builder"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr.startswith("DEFINE_")
                    and node.func.attr.removeprefix("DEFINE_")
                    in ("string", "list", "spaceseplist", "multi_string")
                ):
                    named.add(ast.literal_eval(node.args[0]))
    named |= {
        field.name
        for field in dataclasses.fields(config.Config)
        if field.type is str
        and not field.metadata["choices"]
        and not field.metadata["is_path"]
    }
    assert named <= NO_PATHS


def test_help_lists_them():
    finished = in_process.run("ben_tf.evaluate", "--help")
    assert "--workdir=PATH" in finished.stdout
    assert "--data_dir=PATH" in finished.stdout


def test_a_command(home):
    finished = in_process.run(
        "ben_tf.evaluate", "--workdir=~/no", "--data_dir=~"
    )
    assert finished.returncode == 1
    assert f"No folder {home}/no." in finished.stderr
