"""The command: a file that training takes, and errors before the work."""

import re

from ben_tf import band_statistics
from tests import in_process


def test_the_file_and_the_table(data_dir, tmp_path):
    output = tmp_path / "statistics.json"
    finished = in_process.run(
        "ben_tf.statistics",
        f"--data_dir={data_dir}",
        "--split=train[:3]",
        f"--output={output}",
    )
    assert finished.returncode == 0, finished.stderr
    found = band_statistics.find(str(output))
    row = re.search(r"B8A +([0-9.]+) +([0-9.]+)", finished.stdout)
    assert row[1] == f"{found.mean['B8A']:.2f}"
    assert row[2] == f"{found.std['B8A']:.2f}"
    assert "3 patches, SYNTHETIC" in finished.stdout


def test_a_split_that_is_not_there(data_dir, tmp_path):
    finished = in_process.run(
        "ben_tf.statistics",
        f"--data_dir={data_dir}",
        "--split=spring",
        f"--output={tmp_path / 'x.json'}",
    )
    assert finished.returncode == 1
    assert "has no patch in split 'spring'" in finished.stderr
    assert not list(tmp_path.iterdir())
