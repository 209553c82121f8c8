"""The list of all runs of a folder, whatever state they are in."""

import datetime
import json
import os
import pathlib
import shutil

import pytest

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.report import run_list
from tests import browser
from tests import json_files
from tests.ben_tf.evaluation import made_runs
from tests.ben_tf.report import read_pages

V1_19 = "19 classes, v1, synthetic data"
_AP = "macro_average_precision"


def _list(folder, **options) -> read_pages.Page:
    return read_pages.Page(run_list.write_list(runs_dir=folder, **options))


def _row(read: read_pages.Page, name: str) -> dict[str, str]:
    """The cells of a run, by the headings of its table."""
    ((head, row),) = (
        (rows[0], row)
        for rows in read.tables.values()
        for row in rows[1:]
        if row[0] == name
    )
    return dict(zip(head, row, strict=True))


def test_runs_are_found_at_any_depth(tmp_path):
    for name in ("a", "deep/er/b", ".hidden/c", "a/index/d", "a/e"):
        made_runs.write(tmp_path / name)
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    found, unread = run_list.find(tmp_path)
    assert {name: run.path for name, run in found.items()} == {
        name: tmp_path / name for name in ("a", "a/e", "deep/er/b")
    }
    assert list(found) == sorted(found)
    assert unread == []
    assert list(run_list.find(tmp_path / "a")[0]) == [".", "e"]


def test_a_real_run_has_the_marks_and_no_other_folder(workdir):
    run = workdir_lib.Workdir(workdir)
    assert all(path.is_file() for path in run.marks)
    folders = {path for path in run.path.iterdir() if path.is_dir()}
    assert folders <= set(run.folders)


def test_states_of_runs(tmp_path):
    evaluated = made_runs.write(tmp_path / "evaluated", modality="S1")
    trained = made_runs.write(tmp_path / "trained")
    shutil.rmtree(trained.metrics_file("test").parent)
    made_runs.write(tmp_path / "half", epochs=9, modality="S2")
    made_runs.write(
        tmp_path / "patient",
        epochs=9,
        validation=(0.25, 0.75, 0.5, 0.6),
        early_stopping_patience=2,
    )
    begun = made_runs.write(tmp_path / "begun")
    begun.history_file.unlink()
    shutil.rmtree(begun.metrics_file("test").parent)
    imported = made_runs.write(tmp_path / "imported", scored_epoch=1)
    imported.history_file.unlink()
    shutil.rmtree(tmp_path / "imported" / "metrics")
    data = json_files.read(imported.data_file)
    imported.data_file.write_text(json.dumps(data | {"patches": {}}))
    read = _list(tmp_path)
    assert read.text.startswith(f"Runs in {tmp_path} 6 runs")
    assert "Synthetic data." in read.text
    assert {
        name: _row(read, name)["state"]
        for name in os.listdir(tmp_path)
        if name != "runs.html"
    } == {
        "evaluated": "trained, evaluated",
        "trained": "trained",
        "half": "training at epoch 2 of 9, evaluated",
        "patient": "trained, stopped early at epoch 4 of 9, evaluated",
        "begun": "no epoch yet",
        "imported": "imported weights",
    }
    scores = json_files.read(evaluated.metrics_file("test"))
    low, high = scores["intervals_95"][_AP]
    row = _row(read, "evaluated")
    assert row["AP macro, validation"] == "0.7500"
    assert row["best epoch"] == "2"
    assert row["AP macro, test"] == (
        f"{scores['overall'][_AP]:.4f} {low:.2f} to {high:.2f}"
    )
    assert row["data"] == "synthetic"
    assert _row(read, "patient")["best epoch"] == "2"
    assert _row(read, "trained")["AP macro, test"] == ""
    assert _row(read, "begun")["AP macro, validation"] == ""
    # What all runs share is said once.
    assert "All of them: model=small_cnn." in read.text
    assert row["other options"] == "modality=S1, epochs=2"
    assert _row(read, "half")["other options"] == "modality=S2, epochs=9"
    # Runs that were scored on another split only.
    read = _list(tmp_path, split="validation")
    assert _row(read, "evaluated")["state"] == "trained"


def test_stale_scores_are_marked_and_not_shown(tmp_path):
    made_runs.write(tmp_path / "stale", scored_epoch=1)
    made_runs.write(tmp_path / "fresh")
    read = _list(tmp_path)
    row = _row(read, "stale")
    assert row["state"] == (
        "trained, stale scores on test: of epoch 1, the best is 2 now"
    )
    assert row["AP macro, test"] == ""
    assert row["AP macro, validation"] == "0.7500"
    assert _row(read, "fresh")["AP macro, test"] != ""


def test_kinds_have_a_table_each(tmp_path):
    made_runs.write(tmp_path / "a")
    made_runs.write(tmp_path / "of 43", num_classes=43)
    made_runs.write(tmp_path / "real", synthetic=False)
    read = _list(tmp_path)
    firsts = {
        kind: [row[0] for row in rows[1:]] for kind, rows in read.tables.items()
    }
    assert firsts == {
        V1_19: ["a"],
        "43 classes, v1, synthetic data": ["of 43"],
        "19 classes, v1": ["real"],
    }
    assert "averages over other classes are of other labels" in read.text
    # One for each table of synthetic data, none for the real ones.
    assert read.text.count("Synthetic data.") == 2
    assert "synthetic patches say nothing about real ones" in read.text


def test_scores_on_data_of_another_kind_are_not_shown(tmp_path):
    run = made_runs.write(tmp_path / "run")
    data = json_files.read(run.data_file)
    path = run.data_file
    path.write_text(json.dumps(data | {"part": "countries Finland"}))
    made_runs.write(tmp_path / "other", patches=1)
    made_runs.write(tmp_path / "third")
    read = _list(tmp_path)
    row = _row(read, "run")
    assert row["state"] == f"trained, scored on test of another kind: {V1_19}"
    assert row["AP macro, test"] == ""
    assert "Not all of these runs were scored on the same patches" in read.text
    shutil.rmtree(tmp_path / "other")
    assert "Not all of these runs" not in _list(tmp_path).text


def test_damaged_runs_are_rows(tmp_path):
    made_runs.write(tmp_path / "whole")
    for name, file, content in (
        ("history", "history.csv", b"epoch,loss\n1,much\n"),
        ("config", "config.json", b"{"),
        ("of a stranger", "config.json", b'{"hidden_size": 768}'),
        ("data", "data.json", b"\xff"),
        ("scores", "metrics/test.json", b"[]"),
    ):
        made_runs.write(tmp_path / name)
        (tmp_path / name / file).write_bytes(content)
    lost = made_runs.write(tmp_path / "lost")
    lost.config_file.unlink()
    read = _list(tmp_path)
    assert "7 runs" in read.text
    assert [row[0] for row in read.tables[V1_19]] == ["run", "whole"]
    wrong = {row[0]: row[2] for row in read.tables["Not to be read"][1:]}
    assert wrong.keys() == {
        *("history", "config", "of a stranger", "data", "scores", "lost")
    }
    assert "history.csv cannot be read" in wrong["history"]
    assert "config.json cannot be read" in wrong["config"]
    assert "unknown fields ['hidden_size']" in wrong["of a stranger"]
    assert "data.json cannot be read" in wrong["data"]
    assert "test.json cannot be read" in wrong["scores"]
    assert "has no config.json" in wrong["lost"]


def test_folders_that_cannot_be_listed_are_rows(tmp_path, monkeypatch):
    made_runs.write(tmp_path / "a")
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refuse(place):
        if pathlib.Path(place).name == "locked":
            raise PermissionError(13, "Permission denied", place)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refuse)
    rows = _list(tmp_path).tables["Not to be read"]
    assert rows[1] == [
        *(str(tmp_path / "locked"), "", "The folder cannot be listed.")
    ]


def test_a_report_is_linked_from_wherever_the_list_is(tmp_path):
    run = made_runs.write(tmp_path / "runs" / 'a "b" #1?')
    assert _list(tmp_path / "runs").links == []
    run.report.write_text("")
    assert _list(tmp_path / "runs").links == [
        "a%20%22b%22%20%231%3F/report.html"
    ]
    read = _list(tmp_path / "runs", output=tmp_path / "new" / "list.html")
    assert read.links == ["../runs/a%20%22b%22%20%231%3F/report.html"]


def test_when_a_run_was_changed(tmp_path):
    run = made_runs.write(tmp_path / "run")
    time = datetime.datetime(2026, 3, 4, 5, 6, tzinfo=datetime.UTC).timestamp()
    for path in (*run.marks, run.metrics_file("test")):
        os.utime(path, (0, time - 1000))
    os.utime(run.history_file, (0, time))
    assert _row(_list(tmp_path), "run")["changed (UTC)"] == "2026-03-04 05:06"


def test_statistics_of_a_file_are_told_apart(tmp_path):
    for name, shift in (("a", 1), ("b", 2)):
        paper = bigearthnet.PAPER_STATISTICS
        mean = {band: x + shift for band, x in paper.mean.items()}
        made_runs.write(
            tmp_path / name,
            statistics=bigearthnet.Statistics("mine", mean, paper.std),
        )
    read = _list(tmp_path)
    first, second = (_row(read, name)["other options"] for name in "ab")
    assert first.startswith("statistics=mine (")
    assert second.startswith("statistics=mine (")
    assert first != second


def test_any_name_and_content_is_escaped(tmp_path):
    attack = '"><script>alert(1)<'
    for name in (attack, "\udcff\n\x01"):
        run = made_runs.write(tmp_path / name, data_dir=attack)
        run.report.write_text("")
    made_runs.write(tmp_path / f"broken {attack}").data_file.write_text(attack)
    page = run_list.write_list(runs_dir=tmp_path)
    assert "<script>alert" not in page.read_text("utf-8")
    read = read_pages.Page(page)
    assert "\ufffd\ufffd\ufffd" in read.text
    assert "%FF%0A%01/report.html" in read.links
    assert len(read.tables[V1_19]) == 3
    read = _list(tmp_path, split="test\udcff")
    assert "AP macro, test\ufffd" in read.text


def test_folders_without_runs_are_refused(tmp_path):
    with pytest.raises(errors.UserError, match=r"No folder .*absent"):
        run_list.write_list(runs_dir=tmp_path / "absent")
    with pytest.raises(errors.UserError, match=r"No run in .*`runs_dir`"):
        run_list.write_list(runs_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


@browser.needed
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_page_is_accessible_and_fits(tmp_path, width, scheme):
    made_runs.write(tmp_path / "a").report.write_text("")
    made_runs.write(tmp_path / "b", patches=1)
    made_runs.write(tmp_path / "of 43", num_classes=43)
    made_runs.write(tmp_path / "damaged").data_file.write_text("")
    page = run_list.write_list(runs_dir=tmp_path)
    with browser.opened(page, width=width, scheme=scheme) as shown:
        assert browser.serious_faults(shown) == []
        assert browser.overhang(shown) <= 0
        contrasts = read_pages.bar_contrasts(shown)
    assert contrasts
    assert min(contrasts) >= 4.5


@read_pages.needs_chromium
@pytest.mark.slow
def test_on_a_phone_the_list_is_sorted_and_nothing_hangs_over(tmp_path):
    for name, quality in (("b", 0.2), ("a", 0.9), ("c", 0.5)):
        made_runs.write(tmp_path / "runs" / name, quality=quality)
    made_runs.write(tmp_path / "runs" / "d", scored_epoch=1)
    page = run_list.write_list(runs_dir=tmp_path / "runs")
    found = read_pages.measured(
        page,
        tmp_path,
        """() => {
          const names = () => [...document.querySelector("tbody").rows].map(
            (row) => row.cells[0].textContent);
          const before = names();
          document.querySelectorAll("thead")[0].querySelectorAll("button")[4]
            .click();
          return {before, after: names(), overflow:
            document.documentElement.scrollWidth
              - document.documentElement.clientWidth};
        }""",
    )
    assert found["before"] == ["a", "b", "c", "d"]
    # The stale one, without a score, stays at the end.
    assert found["after"] == ["a", "c", "b", "d"]
    assert found["overflow"] <= 0
