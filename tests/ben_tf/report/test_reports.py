"""The report as a browser sees it, and what it says of bad input."""

import dataclasses
import json
import re
import shutil

import pytest

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import evaluation
from ben_tf.evaluation import predictions
from ben_tf.report import names
from ben_tf.report import reports
from ben_tf.retrieval import index_builder
from tests import browser
from tests import html_page
from tests import json_files

pytestmark = pytest.mark.slow

_MAX_BYTES = 6e6
_HEAVY = shutil.ignore_patterns("checkpoints", "saved_model", "logs")


@pytest.fixture(scope="module")
def run(workdir, data_dir, tmp_path_factory):
    """A copy of the run, evaluated, with an index."""
    folder = tmp_path_factory.mktemp("report") / "run"
    shutil.copytree(
        workdir, folder, ignore=shutil.ignore_patterns("checkpoints")
    )
    evaluation.evaluate(workdir=folder, data_dir=data_dir, thresholds="tuned")
    index_builder.build_index(
        saved_model=folder / "saved_model",
        data_dir=data_dir,
        output_dir=folder / "index",
        splits=("test", "validation"),
    )
    return folder


@pytest.fixture(scope="module")
def page(run, data_dir):
    path = reports.write_report(workdir=run, data_dir=data_dir)
    assert path == run / "report.html"
    return path


def test_page_is_self_contained_and_light(page):
    assert page.stat().st_size < _MAX_BYTES
    parsed = html_page.read(page)
    assert all(i["src"].startswith("data:image/") for i in parsed.images)
    assert all(i["alt"] for i in parsed.images)
    narrow = [source["srcset"] for source in parsed.all("source")]
    assert len(narrow) == 6
    assert all(srcset.startswith("data:image/") for srcset in narrow)
    anchors = {attributes.get("id") for _, attributes in parsed.tags}
    links = {link["href"].removeprefix("#") for link in parsed.all("a")}
    assert links == anchors - {None}
    outside = re.findall(
        r'(?:src|srcset|href)="(?!data:|#)([^"]*)"', page.read_text()
    )
    assert outside == []


def test_the_same_run_gives_the_same_bytes(page, run, tmp_path):
    # The dataset is that of the training.
    again = reports.write_report(workdir=run, output=tmp_path / "again.html")
    assert again.read_bytes() == page.read_bytes()


def test_page_tells_what_was_run(page, run):
    text = html_page.read(page).text
    result = json_files.read(run / "metrics" / "test.json")
    assert "Synthetic data." in text
    assert "Not comparable with the paper" in text
    assert "resnet152" in text
    assert f"{result['overall']['sample_f2']:.4f}" in text
    assert result["model"]["fingerprint"] in text
    assert result["data"]["fingerprint"] in text
    assert "--learning_rate" in text
    assert "macro_" not in text
    for metric in result["overall"]:
        assert names.metric(metric) in text
    for name in bigearthnet.CLASSES_19:
        assert name in text
    for section in ("Training", "Look-alikes", "Errors", "Where and when"):
        assert section in text


def _keys(page, column: int) -> list[str]:
    """Sort keys of a column of the table of classes, as it is shown."""
    return page.evaluate(
        """(column) => [...document.querySelector("#classes ~ .scroll table")
        .tBodies[0].rows].map(row => row.cells[column].dataset.key ?? null)""",
        column,
    )


@browser.needed
def test_browser_sorts(page):
    with browser.opened(page) as shown:
        heads = shown.locator("#classes ~ .scroll table").first.locator(
            "th button"
        )
        heads.nth(1).click()
        numbers = [int(key) for key in _keys(shown, 1)]
        assert numbers == sorted(numbers, reverse=True)
        heads.nth(1).click()
        assert [int(key) for key in _keys(shown, 1)] == sorted(numbers)
        heads.nth(0).click()
        heads.nth(0).click()
        names_shown = _keys(shown, 0)
        assert names_shown == sorted(names_shown, key=str.lower)


@browser.needed
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_page_is_accessible_and_fits(page, width, scheme):
    with browser.opened(page, width=width, scheme=scheme) as shown:
        assert browser.serious_faults(shown) == []
        assert browser.overhang(shown) <= 0
        assert (
            shown.evaluate(
                "[...document.images].filter(i => !i.naturalWidth).length"
            )
            == 0
        )


@browser.needed
def test_charts_are_not_shrunk_on_a_telephone(page):
    with browser.opened(page, width=390) as shown:
        scales = shown.evaluate(
            """() => [...document.querySelectorAll("picture img")]
            // An SVG's text has its size at the picture's own.
            .filter(i => i.currentSrc.startsWith("data:image/svg"))
            .map(i => i.width / i.naturalWidth)"""
        )
    assert len(scales) == 5
    assert min(scales) > 0.95


@browser.needed
def test_headings_stay_with_what_they_head_on_paper(page):
    with browser.opened(page, media="print") as shown:
        kept = shown.evaluate(
            """() => [...document.querySelectorAll("main h2, main h3")]
            .map(e => getComputedStyle(e).breakAfter)"""
        )
        whole = shown.evaluate(
            """() => [...document.querySelectorAll("figure, tr, .patch")]
            .map(e => getComputedStyle(e).breakInside)"""
        )
    assert set(kept) == {"avoid"}
    assert set(whole) == {"avoid"}


@browser.needed
def test_browser_has_nothing_to_complain_about(page):
    with browser.opened(page, bypass_policy=False) as shown:
        complaints = []
        shown.on("console", lambda message: complaints.append(message.text))
        shown.on("pageerror", lambda error: complaints.append(str(error)))
        shown.on("request", lambda request: complaints.append(request.url))
        shown.reload()
    outside = [
        text
        for text in complaints
        if not text.startswith(("data:", page.as_uri()))
    ]
    assert outside == []


def test_options_at_their_defaults_are_folded_away(page):
    shown, folded = page.read_text("utf-8").split("<details>")
    assert "--batch_size=8" in shown
    assert "--optimizer" not in shown
    assert "--optimizer=adam" in folded


def test_everything_from_data_is_escaped(run, data_dir, tmp_path):
    hostile = tmp_path / "run"
    shutil.copytree(run, hostile, ignore=_HEAVY)
    attack = '"><script>alert(1)</script>'
    path = hostile / "metrics" / "test.json"
    result = json_files.read(path)
    result["class_names"][0] = attack
    result["model"]["name"] = attack
    result["model"]["trained_on"] = attack
    result["data"]["name"] = attack
    result["origin"]["device"] = attack
    result["undefined"] = {attack: 1}
    result["groups"] = {
        attack: {attack: result["groups"]["country"]["Austria"]}
    }
    result["overall"][attack] = 0.5
    result["tuned"]["overall"][attack] = 0.5
    path.write_text(json.dumps(result))
    config = hostile / "config.json"
    config.write_text(json.dumps({attack: attack}))
    page = reports.write_report(workdir=hostile, data_dir=data_dir)
    assert "<script>alert" not in page.read_text("utf-8")
    html_page.read(page)


def test_a_run_that_went_on_is_not_shown_with_scores_of_before(
    run, data_dir, tmp_path
):
    later = tmp_path / "run"
    shutil.copytree(run, later, ignore=_HEAVY)
    workdir = workdir_lib.Workdir(later)
    (first,) = workdir.read_history()
    worse = first | {"epoch": "2", workdir_lib.MONITOR: "0.0"}
    workdir.write_history([first, worse])
    # The weights of the first epoch still are the best ones.
    page = reports.write_report(workdir=later, data_dir=data_dir)
    assert "2 epochs" in page.read_text("utf-8")
    workdir.write_history([first, worse | {workdir_lib.MONITOR: "1.0"}])
    with pytest.raises(
        errors.UserError, match="of epoch 1, its best ones are of epoch 2"
    ):
        reports.write_report(workdir=later, data_dir=data_dir)


@pytest.mark.parametrize("lost", ["the scored epoch", "the column"])
def test_a_history_that_lost_something_refuses_nothing(
    run, data_dir, tmp_path, lost
):
    later = tmp_path / "run"
    shutil.copytree(run, later, ignore=_HEAVY)
    workdir = workdir_lib.Workdir(later)
    (first,) = workdir.read_history()
    if lost == "the column":
        del first[workdir_lib.MONITOR]
        workdir.write_history([first])
    else:
        workdir.write_history([first | {"epoch": "2"}])
    assert reports.write_report(workdir=later, data_dir=data_dir).is_file()


def test_predictions_of_other_weights_are_refused(run, data_dir, tmp_path):
    mixed = tmp_path / "run"
    shutil.copytree(run, mixed, ignore=_HEAVY)
    path = mixed / "predictions" / "test.npz"
    predicted = predictions.load(path)
    predictions.save(
        dataclasses.replace(predicted, model="0" * 64),
        path,
    )
    with pytest.raises(errors.UserError, match="not of the same evaluation"):
        reports.write_report(workdir=mixed, data_dir=data_dir)


def test_an_index_of_other_weights_is_refused(run, data_dir, tmp_path):
    mixed = tmp_path / "run"
    shutil.copytree(run, mixed, ignore=_HEAVY)
    manifest = mixed / "index" / "manifest.json"
    content = json_files.read(manifest)
    manifest.write_text(json.dumps(content | {"fingerprint": "0" * 64}))
    with pytest.raises(errors.UserError, match="built with other weights"):
        reports.write_report(workdir=mixed, data_dir=data_dir)


def test_an_index_of_other_records_is_refused(run, data_dir, tmp_path):
    mixed = tmp_path / "run"
    shutil.copytree(run, mixed, ignore=_HEAVY)
    manifest = mixed / "index" / "manifest.json"
    content = json_files.read(manifest)
    manifest.write_text(json.dumps(content | {"records": "0" * 64}))
    with pytest.raises(errors.UserError, match="built of other records"):
        reports.write_report(workdir=mixed, data_dir=data_dir)


def test_pictures_of_other_records_are_refused(run, reordered_data_dir):
    with pytest.raises(errors.UserError, match="holds other records"):
        reports.write_report(workdir=run, data_dir=reordered_data_dir)


def test_files_of_before_fit_each_other(run, data_dir, tmp_path):
    before = tmp_path / "run"
    shutil.copytree(run, before, ignore=_HEAVY)
    path = before / "predictions" / "test.npz"
    predictions.save(
        dataclasses.replace(predictions.load(path), model="", records=""), path
    )
    # New scores do not fit old predictions.
    with pytest.raises(errors.UserError, match="not of the same evaluation"):
        reports.write_report(workdir=before, data_dir=data_dir)
    metrics = before / "metrics" / "test.json"
    result = json_files.read(metrics)
    del result["data"]["records"]
    metrics.write_text(json.dumps(result))
    manifest = before / "index" / "manifest.json"
    content = json_files.read(manifest)
    del content["records"], content["origin"]
    manifest.write_text(json.dumps(content))
    assert reports.write_report(workdir=before, data_dir=data_dir).is_file()


def test_missing_and_damaged_files_are_named(run, data_dir, tmp_path, capsys):
    def write():
        return reports.write_report(workdir=broken, data_dir=data_dir)

    broken = tmp_path / "empty"
    with pytest.raises(errors.UserError, match=r"No file .*--split=test"):
        write()
    broken = tmp_path / "run"
    shutil.copytree(run, broken, ignore=_HEAVY)
    with pytest.raises(errors.UserError, match="No dataset found"):
        reports.write_report(workdir=broken, data_dir=tmp_path)
    (broken / "history.csv").write_text("epoch,loss\n1,not a number\n")
    with pytest.raises(errors.UserError, match=r"history\.csv cannot be read"):
        write()
    (broken / "history.csv").unlink()
    (broken / "checkpoints" / "last").mkdir(parents=True, exist_ok=True)
    (broken / "config.json").rename(broken / "config.old")
    page = write().read_text()
    printed = capsys.readouterr().err
    for shown in (printed, page):
        assert "history.csv: the page shows no curves" in shown
        assert "config.json: the page does not show how" in shown
    (broken / "config.old").rename(broken / "config.json")
    with pytest.raises(errors.UserError, match="Build it of the same"):
        index_builder.build_index(
            saved_model=run / "saved_model",
            data_dir=data_dir,
            output_dir=tmp_path / "index",
            splits=("train",),
        )
        reports.write_report(
            workdir=broken, data_dir=data_dir, index=tmp_path / "index"
        )
    metrics = broken / "metrics" / "test.json"
    result = json_files.read(metrics)
    metrics.write_text(json.dumps(result | {"num_samples": 1}))
    with pytest.raises(errors.UserError, match="not of the same"):
        write()
    of_other_data = result | {"data": result["data"] | {"fingerprint": "ab"}}
    metrics.write_text(json.dumps(of_other_data))
    with pytest.raises(errors.UserError, match="not of the same"):
        write()
    for content in ("{", "[]", "{}"):
        metrics.write_text(content)
        with pytest.raises(
            errors.UserError,
            match=r"test\.json cannot be read: .*ben_tf\.evaluate",
        ):
            write()


def test_a_dataset_that_is_gone(run, tmp_path):
    copy = workdir_lib.Workdir(
        shutil.copytree(run, tmp_path / "run", ignore=_HEAVY)
    )
    config = dataclasses.replace(
        copy.read_config(), data_dir=str(tmp_path / "gone")
    )
    copy.write_config(config)
    with pytest.raises(errors.UserError, match="Bring it back, or say by"):
        reports.write_report(workdir=copy.path)
