"""--help shows what matters, first what must be given, and ends well."""

import pytest

from tests import in_process


@pytest.mark.parametrize("flag", ["--help", "-h", "--helpshort", "--helpfull"])
def test_help_ends_well_and_names_no_module(flag):
    finished = in_process.run("tfrecords_builder.build", flag)
    assert finished.returncode == 0
    text = finished.stdout
    assert text.startswith("Converts") or text.startswith("Builds")
    assert ".py" not in text
    required, others = text.split("\nflags:\n")
    assert "required:\n  --data_dir=PATH" in required
    assert others.startswith("  --archive_dir=PATH\n")
    assert "  --version=v1|v2\n" in others
    assert "<v1|v2>" not in others
    assert "  --overwrite\n" in others
    assert "  --num_workers=N\n" in others
    assert "--flagfile=FILE" in others


def test_no_line_is_wider_than_a_console():
    text = in_process.run("ben_tf.train", "--helpfull").stdout
    assert max(map(len, text.splitlines())) <= 80


def test_rare_flags_are_left_to_helpfull():
    short = in_process.run("ben_tf.train", "--help").stdout
    full = in_process.run("ben_tf.train", "--helpfull").stdout
    for name in ("data_dir", "workdir", "model", "epochs"):
        assert f"--{name}=" in short
    assert "Default: ~/tensorflow_datasets." in short
    assert "--clip_norm" not in short
    assert "--clip_norm=X" in full
    number = full.count("\n  --") - short.count("\n  --")
    assert f"--helpfull describes {number} more." in short


def test_a_flag_may_follow_what_asks_for_help():
    finished = in_process.run("ben_tf.evaluate", "--workdir=x", "--help")
    assert finished.returncode == 0
    assert "--workdir=PATH" in finished.stdout
