"""--help shows what matters, first what must be given, and ends well."""

import dataclasses
import importlib
import importlib.util
import os
import re
import subprocess
import sys

import pytest
from absl import flags

from ben_tf import __main__ as main
from ben_tf import config
from ben_tf import help_text
from ben_tf.config import config_flags
from ben_tf.retrieval import __main__ as retrieval
from tests import command_flags
from tests import in_process


@pytest.mark.parametrize("flag", ["--help", "-h", "--helpshort", "--helpfull"])
def test_help_ends_well_and_names_no_module(flag):
    finished = in_process.run("tfrecords_builder.build", flag)
    assert finished.returncode == 0
    text = finished.stdout
    assert text.startswith("Converts") or text.startswith("Builds")
    assert ".py" not in text
    first, others = text.split("\n\npart of the archive:\n")
    required, source = first.split("\n\nwhat to convert:\n")
    assert "required:\n  --data_dir=PATH" in required
    assert "--archive_dir=PATH" in source
    assert "--table=PATH" in source
    part, others = others.split("\n\nhow to build:\n")
    assert "--countries=A,B" in part
    assert "  --version=v1|v2" in others
    assert "<v1|v2>" not in others
    assert "  --overwrite" in others
    assert "  --num_workers=N" in others
    assert "\n\nothers:\n  --verbose" in others
    assert "--flagfile=FILE" in others


def test_no_line_is_wider_than_a_console():
    text = in_process.run("ben_tf.train", "--helpfull").stdout
    assert max(map(len, text.splitlines())) <= 80


def test_rare_flags_are_left_to_helpfull():
    short = in_process.run("ben_tf.train", "--help").stdout
    full = in_process.run("ben_tf.train", "--helpfull").stdout
    for name in ("data_dir", "workdir", "model", "epochs"):
        assert f"--{name}=" in short
    assert "--modality=S1|S2|MM     Sensors. Default: MM." in short
    assert "Default: ~/tensorflow_datasets." in " ".join(short.split())
    assert "--clip_norm" not in short
    assert "--clip_norm=X" in full
    number = full.count("\n  --") - short.count("\n  --")
    assert f"--helpfull describes them in full, and {number} more." in short


def test_flags_that_may_be_repeated_say_so_in_full_and_in_sentences():
    for flag, count in (("--help", 0), ("--helpfull", 3)):
        finished = in_process.run("ben_tf.retrieval", "query", flag)
        text = " ".join(finished.stdout.split())
        assert "Only hits without this label. " in text
        assert "repeat this" not in text
        assert ";." not in text and ".;" not in text
        assert text.count(" It may be given several times.") == count


def test_choices_of_a_flag_that_may_be_repeated(monkeypatch):
    values = flags.FlagValues()
    flags.DEFINE_multi_enum(
        "x", [], ["one", "two"], "Kinds.", flag_values=values
    )
    monkeypatch.setattr(help_text, "known_flags", lambda: {"x": values["x"]})
    lines = help_text.render("Does it.", is_full=True).splitlines()
    assert lines[3:5] == [
        "  --x=one|two",
        "      Kinds. It may be given several times.",
    ]


def test_flags_of_a_configuration_are_in_its_groups():
    text = in_process.run("ben_tf.train", "--helpfull").stdout
    titles = re.findall(r"^(\w.*):$", text, re.MULTILINE)
    assert titles[0] == "run" and titles[-1] == "others"
    assert titles[1:-1] == list(config_flags.groups())
    sections = dict(
        zip(titles, re.split(r"^\w.*:$", text, flags=re.M)[1:], strict=True)
    )
    for field in dataclasses.fields(config.Config):
        section = sections[field.metadata["group"]]
        assert re.search(rf"^  --(\[no\])?{field.name}\b", section, re.M)


# Of all commands; in copies of one process, as the packaging test has it.
_ALL = """
import os, runpy, sys
import tfrecords_builder
for number, line in enumerate(sys.argv[1:]):
    module, *arguments = line.split()
    if not os.fork():
        os.dup2(os.open(f"{number}.txt", os.O_CREAT | os.O_WRONLY), 1)
        os.dup2(1, 2)
        sys.argv = [module, *arguments]
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        finally:
            if "tensorflow" in sys.modules:
                print("TensorFlow was imported")
            sys.stdout.flush()
    status = os.waitstatus_to_exitcode(os.wait()[1])
    print(status)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Runs lines of a module and its arguments; (status, output) of each."""

    def run(*lines):
        folder = tmp_path_factory.mktemp("help")
        finished = subprocess.run(
            [sys.executable, "-c", _ALL, *lines],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            check=True,
        )
        return [
            (int(status), (folder / f"{number}.txt").read_text())
            for number, status in enumerate(finished.stdout.split())
        ]

    return run


MODULES = [
    *(command.module for name, command in main._COMMANDS.items()),
    *(f"ben_tf.retrieval {name}" for name in retrieval._COMMANDS),
]


def test_help_of_every_command_is_quick_and_fits_a_screen(answers):
    for (status, text), module in zip(
        answers(*(f"{module} --help" for module in MODULES)),
        MODULES,
        strict=True,
    ):
        assert status == 0, text
        assert "TensorFlow was imported" not in text
        lines = text.splitlines()
        assert len(lines) <= 60, module
        assert max(map(len, lines)) <= 80


def test_flags_are_checked_before_tensorflow_is_imported(answers):
    lines = [
        *(f"{module} --no_such_flag=1" for module in MODULES),
        "ben_tf.train --workdir=x --model=resnet18",
        "ben_tf.train --workdir=x --statistics=absent.json",
        "ben_tf.train",
        "ben_tf.evaluate",
        "ben_tf.evaluate --workdir=x --thresholds=maybe",
        "ben_tf.report",
        "ben_tf.predict --saved_model=x --output=y.csv",
        "ben_tf.predict --saved_model=x --output=. --input=.",
        "ben_tf.import_checkpoint --workdir=x",
        "ben_tf.quickstart --model=resnet18",
        "ben_tf.retrieval query --index=x --k=0",
        "ben_tf.statistics --data_dir=x --output=.",
    ]
    for line, (status, text) in zip(lines, answers(*lines), strict=True):
        if line != "ben_tf.retrieval --no_such_flag=1":
            assert status == 1, line
            assert text.startswith("error: "), (line, text)
        assert "TensorFlow was imported" not in text, line


def test_groups_name_flags_that_exist():
    for module in {name.split()[0] for name in MODULES}:
        if importlib.util.find_spec(module).submodule_search_locations:
            module += ".__main__"
        groups = getattr(importlib.import_module(module), "_GROUPS", {})
        module = module.removesuffix(".__main__")
        if module != "ben_tf.retrieval":
            groups = {"": groups}
        for command, named in groups.items():
            known = set(command_flags.of(f"{module} {command}".strip()))
            assert {x for names in named.values() for x in names} <= known


def test_a_flag_may_follow_what_asks_for_help():
    finished = in_process.run("ben_tf.evaluate", "--workdir=x", "--help")
    assert finished.returncode == 0
    assert "--workdir=PATH" in finished.stdout
