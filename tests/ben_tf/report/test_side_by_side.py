"""The comparison of runs: what it mixes, what it refuses, how it looks."""

import base64
import json
import re

import msgspec
import pytest

from ben_tf import errors
from ben_tf.evaluation import predictions
from ben_tf.evaluation import results
from ben_tf.report import side_by_side
from tests import browser
from tests import json_files
from tests.ben_tf.evaluation import made_runs
from tests.ben_tf.report import read_pages

pytestmark = pytest.mark.slow

ATTACK = '"><script>alert(1)</script>'


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three runs of 19 classes and one of 43."""
    folder = tmp_path_factory.mktemp("runs")
    for name, options in {
        "s1": {"modality": "S1", "quality": 0.2},
        "s2": {"modality": "S2", "quality": 0.5, "validation": (0.5, 0.6, 0.7)},
        "mm": {"fusion": "early", "quality": 0.7},
        "s2_43": {"modality": "S2", "num_classes": 43},
    }.items():
        made_runs.write(folder / name, **options)
    return folder


def _write(runs, *names, **options):
    return side_by_side.write_comparison(
        runs=[str(runs / name) for name in names], **options
    )


@pytest.fixture(scope="module")
def page(runs):
    return _write(runs, "s1", "s2", "mm", "s2_43")


def test_nomenclatures_have_a_section_each(page, runs):
    assert page == runs / "comparison.html"
    read = read_pages.Page(page)
    assert "4 runs compared" in read.text
    assert "averages over other classes are of other labels" in read.text
    kinds = ("19 classes, v1, synthetic data", "43 classes, v1, synthetic data")
    for kind in kinds:
        assert kind in read.text
    # One for the runs of 19 classes and one for that of 43, below one heading.
    rows = read.tables["F2 of each class"]
    heads = [row for row in rows if row[0] == "class"]
    assert heads == [["class", "s1", "s2", "mm"], ["class", "s2_43"]]
    assert len(rows) == 1 + 19 + 1 + 43
    firsts = [row[0] for row in read.tables["Headline metrics"]]
    assert firsts == ["run", "s1", "s2", "mm", "run", "s2_43"]
    for words in read.alts:
        assert not ("s2_43" in words and "s1" in words)


def test_published_figures_stand_with_scores_of_their_kind_only(runs, tmp_path):
    read = read_pages.Page(_write(runs, "s1", output=tmp_path / "a.html"))
    assert "Figures of the paper are left out: they are of 19 cl" in read.text
    assert "0.7873" not in read.text
    # A run may have the name of a source.
    real = made_runs.write(tmp_path / "paper", synthetic=False)
    path = side_by_side.write_comparison(runs=[str(real)])
    read = read_pages.Page(path)
    # Table II, ResNet50, F2; Table I, Arable land.
    assert "0.7873" in read.text
    head, *rows = read.tables["F2 of each class"]
    assert head == ["class", "paper", "paper"]
    assert [row[2] for row in rows if row[0] == "Arable land"] == ["0.8362"]
    assert "not comparable with the paper (80 patches instead" in read.text
    assert "Synthetic data" not in read.text


def test_synthetic_data_are_marked_in_every_picture(page, tmp_path):
    real = made_runs.write(tmp_path / "real", synthetic=False)
    for path, is_synthetic in (
        (page, True),
        (side_by_side.write_comparison(runs=[str(real)]), False),
    ):
        pictures = re.findall(
            r"data:image/svg\+xml;base64,([^\"]*)", path.read_text("utf-8")
        )
        assert len(pictures) >= 11
        for picture in pictures:
            marked = b"SYNTHETIC DATA" in base64.b64decode(picture)
            assert marked == is_synthetic
        banner = "Synthetic data." in read_pages.Page(path).text
        assert banner == is_synthetic


def test_scores_and_their_intervals_are_those_of_the_evaluation(page, runs):
    read = read_pages.Page(page)
    scores = json_files.read(runs / "s2" / "metrics" / "test.json")
    value = scores["overall"]["sample_f2"]
    low, high = scores["intervals_95"]["sample_f2"]
    (words,) = (
        x for x in read.alts if x.startswith("F2, sample average") and "s1" in x
    )
    assert f"s2 {value:.4f}, 95 % {low:.4f} to {high:.4f}" in words
    f2 = scores["per_class"]["f2"][2]
    low, high = scores["intervals_95"]["per_class_f2"][2]
    row = next(
        x for x in read.tables["F2 of each class"] if x[0] == "Arable land"
    )
    assert row[2] == f"{f2:.4f} {low:.2f} to {high:.2f}"


def test_runs_are_described(page):
    read = read_pages.Page(page)
    _, s1, s2, *_ = read.tables["Runs"]
    assert s1 == [
        *("s1", "small_cnn", "S1", "1,234", made_runs.V1),
        *("2", "2", "1.0 min", "1 x a GPU"),
    ]
    assert s2[5:8] == ["3", "3", "1.5 min"]
    assert read.tables["Options that differ"] == [
        ["run", "modality", "fusion", "num_classes", "epochs"],
        ["s1", "S1", "late", "19", "2"],
        ["s2", "S2", "late", "19", "3"],
        ["mm", "MM", "early", "19", "2"],
        ["s2_43", "S2", "late", "43", "2"],
    ]


def test_differences_are_to_the_first_run_or_the_chosen_one(
    page, runs, tmp_path
):
    read = read_pages.Page(page)
    assert "s2 minus s1" in read.tables
    head, *rows = read.tables["mm minus s1"]
    assert head == ["metric", "difference", "95 % interval"]
    assert len(rows) == 9
    assert all(row[1].startswith("▲") for row in rows)
    overall = {
        name: json_files.read(runs / name / "metrics" / "test.json")["overall"]
        for name in ("s1", "mm")
    }
    expected = overall["mm"]["hamming_loss"] - overall["s1"]["hamming_loss"]
    assert ["Hamming loss", f"▲ {expected:+.4f}"] in [row[:2] for row in rows]
    path = _write(
        runs,
        *("s1", "mm", "s2_43"),
        reference=f"{runs}/mm/",
        output=tmp_path / "new" / "page.html",
    )
    assert path == tmp_path / "new" / "page.html"
    rows = read_pages.Page(path).tables["s1 minus mm"][1:]
    assert all(row[1].startswith("▼") for row in rows)
    with pytest.raises(errors.UserError, match="`reference` is none of the"):
        _write(runs, "s1", "mm", reference=str(runs / "s2"))


def test_what_cannot_be_compared_is_said(runs, tmp_path):
    other = made_runs.write(tmp_path / "other", patches=1)
    lost = made_runs.write(tmp_path / "lost", quality=0.6)
    lost.predictions_file("test").unlink()
    lost.history_file.unlink()
    lost.config_file.unlink()
    path = side_by_side.write_comparison(
        runs=[str(runs / "s1"), str(other), str(lost)],
        output=tmp_path / "page.html",
    )
    text = read_pages.Page(path).text
    assert "were not scored on the same patches and labels: differ" in text
    assert "other was not scored on the same patches" in text
    assert "lost/predictions/test.npz: no differences of" in text
    assert "lost/config.json: the page does not show how" in text
    assert "No curve of training of " in text
    assert " minus " not in text


def test_scores_of_other_weights_are_refused(runs, tmp_path):
    stale = made_runs.write(tmp_path / "stale", scored_epoch=1)
    with pytest.raises(
        errors.UserError, match="of epoch 1, its best ones are of epoch 2"
    ):
        side_by_side.write_comparison(runs=[str(runs / "s1"), str(stale)])
    mixed = made_runs.write(tmp_path / "mixed", quality=0.5)
    predictions.save(
        made_runs.predicted(quality=0.9), mixed.predictions_file("test")
    )
    with pytest.raises(errors.UserError, match="not of the same evaluation"):
        side_by_side.write_comparison(runs=[str(runs / "s1"), str(mixed)])
    with pytest.raises(errors.UserError, match=r"No file .*--split=validation"):
        _write(runs, "s1", split="validation")
    mixed.config_file.write_text("{")
    with pytest.raises(errors.UserError, match=r"config\.json cannot be read"):
        side_by_side.write_comparison(runs=[str(mixed)])
    assert not (tmp_path / "comparison.html").exists()


def test_other_kinds_of_data_have_a_section_each(runs, tmp_path):
    others = [
        made_runs.write(tmp_path / str(number), **fields)
        for number, fields in enumerate(
            [
                {"dataset": made_runs.V2},
                {"part": "countries Finland"},
                {"synthetic": False},
            ]
        )
    ]
    path = side_by_side.write_comparison(
        runs=[str(runs / "s1"), *map(str, others)],
        output=tmp_path / "page.html",
    )
    read = read_pages.Page(path)
    for reason in (
        "differ in splits and labels",
        "parts of BigEarthNet hold other patches",
        "synthetic patches say nothing about real",
    ):
        assert reason in read.text
    heads = [x for x in read.tables["F2 of each class"] if x[0] == "class"]
    assert len(heads) == 4
    # One for each section of synthetic data, none for the real ones.
    assert read.text.count("Synthetic data.") == 3
    assert " minus " not in read.text


def test_undefined_scores_are_shown_as_such(runs, tmp_path):
    run = made_runs.write(tmp_path / "run", quality=0.5)
    evaluation = results.Evaluation.read(run, "test")
    per_class = dict(evaluation.per_class)
    per_class["f2"] = [None, *per_class["f2"][1:]]
    made_runs.change_scores(
        run,
        overall=evaluation.overall | {"one_error": None},
        per_class=per_class,
    )
    read = read_pages.Page(side_by_side.write_comparison(runs=[str(run)]))
    assert read.tables["F2 of each class"][1][1] == "undefined"
    assert any("run undefined" in words for words in read.alts)


def test_the_same_run_twice_and_many_runs(runs, tmp_path):
    path = _write(runs, *["s1"] * 17, output=tmp_path / "page.html")
    read = read_pages.Page(path)
    assert "1 s1" in read.text
    assert "17 s1" in read.text
    assert "More than 16 runs" in read.text
    assert not any("A curve for each run" in words for words in read.alts)
    rows = read.tables["17 s1 minus 1 s1"][1:]
    assert all(row[1] == "○ +0.0000" for row in rows)
    assert "The configurations do not differ." in read.text


def test_everything_from_runs_is_escaped(tmp_path):
    for name in ("$\\frac$ <b>", "_\udcff\n\x01"):
        run = made_runs.write(tmp_path / name, quality=0.5)
        path = run.metrics_file("test")
        result = json_files.read(path)
        result["class_names"][0] = ATTACK
        result["model"]["name"] = ATTACK
        result["model"]["trained_on"] = ATTACK
        result["data"]["part"] = ATTACK
        result["origin"]["device"] = ATTACK
        path.write_text(json.dumps(result))
    # Sentences about what is lost name it as well.
    run.config_file.unlink()
    run.predictions_file("test").unlink()
    page = side_by_side.write_comparison(
        runs=[str(path) for path in tmp_path.iterdir()],
        output=tmp_path / "page.html",
    )
    assert "<script>alert" not in page.read_text("utf-8")
    read = read_pages.Page(page)
    assert "$\\frac$ <b>" in read.text
    assert "_\ufffd\ufffd\ufffd" in read.text


def test_landmarks_and_headings(page):
    read = read_pages.Page(page)
    for tag in ("header", "nav", "main", "footer", "h1"):
        assert read.tags.count(tag) == 1
    assert read.tags.count("section") == 2
    assert all(read.alts)
    ids = set(re.findall(r'id="([^"]+)"', page.read_text("utf-8")))
    assert {link.removeprefix("#") for link in read.links} <= ids


@browser.needed
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_page_is_accessible_and_fits(page, width, scheme):
    with browser.opened(page, width=width, scheme=scheme) as shown:
        shown.locator("summary").click()
        assert browser.serious_faults(shown) == []
        assert browser.overhang(shown) <= 0
        contrasts = read_pages.bar_contrasts(shown)
    assert len(contrasts) > 100
    assert min(contrasts) >= 4.5


def test_what_was_scored_is_named_and_pages_do_not_differ(tmp_path):
    new, old = (made_runs.write(tmp_path / x, quality=0.5) for x in "ab")
    data = results.Evaluation.read(new, "test").data
    made_runs.change_scores(
        new,
        model=results.Model(
            "small_cnn", "S2", "0123456789abcdef", True, made_runs.V1
        ),
        data=msgspec.structs.replace(
            data, records="fedcba9876543210", part="countries Finland"
        ),
    )
    made_runs.change_scores(old, origin=None)
    for run in (new, old):
        run.history_file.unlink()
    page = side_by_side.write_comparison(
        runs=[str(new), str(old)], output=tmp_path / "page.html"
    )
    (*_, first, second) = read_pages.Page(page).tables[
        "What each run was scored with and on"
    ]
    assert first == [
        *("a", "2026-01-02 by ben_tf 1, TensorFlow 2.15.1, 1 x a GPU"),
        *("0123456789ab", f"{made_runs.V1}, a part: countries Finland"),
        *("fedcba987654", data.fingerprint[:12]),
    ]
    assert second[1:5] == ["unknown", "weights 0.5", made_runs.V1, "unknown"]
    content = page.read_bytes()
    side_by_side.write_comparison(runs=[str(new), str(old)], output=page)
    assert page.read_bytes() == content


@read_pages.needs_chromium
def test_on_a_phone_nothing_hangs_over_and_bars_have_one_scale(page, tmp_path):
    found = read_pages.measured(
        page,
        tmp_path,
        """() => ({
          overflow: document.documentElement.scrollWidth
            - document.documentElement.clientWidth,
          units: [...document.querySelectorAll("td.bar")].map((cell) =>
            [cell.querySelector("rect").getBoundingClientRect().width,
             Number(cell.dataset.key)]),
          pictures: [...document.querySelectorAll(".bars img")].map(
            (image) => image.getBoundingClientRect().width),
          broken: [...document.images].filter((i) => !i.naturalWidth).length,
        })""",
    )
    assert found["overflow"] <= 0
    assert found["broken"] == 0
    assert len({round(width) for width in found["pictures"]}) == 1
    shown = [(width, value) for width, value in found["units"] if value]
    units = [width / value for width, value in shown]
    assert len(units) > 50
    assert max(units) - min(units) < 0.01 * max(units)
