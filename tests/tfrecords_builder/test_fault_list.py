"""All faults are counted, the first are shown, a file lists them if asked."""

import csv

import pytest

from ben_tf.archive import inventory
from ben_tf.archive import official_lists
from tfrecords_builder import fault_list


def fault(number) -> inventory.Fault:
    return inventory.Fault("broken", f"p{number}", "is bad.")


def test_without_a_file_the_first_are_shown():
    with fault_list.collect(None) as found:
        for number in range(12):
            found.note(fault(number))
    lines = fault_list.summary(found, None)
    assert lines[:3] == ["missing: 0", "surplus: 0", "broken: 12"]
    assert lines[3:-1] == [f"  p{number} is bad." for number in range(10)]
    assert lines[-1] == "  ... `csv=faults.csv` lists all."


def test_few_faults_need_no_file():
    with fault_list.collect(None) as found:
        found.note(fault(0))
    assert fault_list.summary(found, None)[-1] == "  p0 is bad."
    with fault_list.collect(None) as found:
        pass
    assert fault_list.summary(found, None)[-1] == "All is well."


def test_the_file_lists_all(tmp_path):
    path = tmp_path / "new" / "faults.csv"
    with fault_list.collect(path) as found:
        for number in range(12):
            found.note(fault(number))
        assert not path.exists()
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["kind", "place", "reason"],
            *(list(fault(number)) for number in range(12)),
        ]
    assert fault_list.summary(found, path)[-1] == f"All are listed in {path}"


def test_names_of_files_are_no_formulas(tmp_path):
    path = tmp_path / "faults.csv"
    with fault_list.collect(path) as found:
        found.note(inventory.Fault("surplus", "=1+1", "is no patch."))
    assert path.read_text().splitlines()[1] == "surplus,'=1+1,is no patch."


def test_an_error_leaves_nothing_behind(tmp_path):
    with (
        pytest.raises(KeyboardInterrupt),
        fault_list.collect(tmp_path / "faults.csv") as found,
    ):
        found.note(fault(0))
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("num_missing", [3, 295_163, 295_164])
def test_missing_pairs_are_named_unless_most_are(num_missing):
    official = official_lists.official_patches()
    with fault_list.collect(None) as found:
        found.note_missing(list(official)[:num_missing], official, "is gone.")
    assert found.counts["missing"] == num_missing
    is_part = num_missing > 590_326 / 2
    assert fault_list.is_part(num_missing, len(official)) == is_part
    assert ("lacks" in found.first[0].reason) == is_part
