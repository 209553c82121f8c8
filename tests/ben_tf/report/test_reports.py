"""The report as a browser sees it, and what it says of bad input."""

import dataclasses
import html.parser
import json
import re
import shutil
import subprocess

import pytest

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import evaluation
from ben_tf.evaluation import predictions
from ben_tf.report import reports
from ben_tf.retrieval import index_builder
from tests import json_files

pytestmark = pytest.mark.slow

_MAX_BYTES = 6e6
_HEAVY = shutil.ignore_patterns("checkpoints", "saved_model", "logs")
_CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None
)
needs_chromium = pytest.mark.skipif(
    _CHROMIUM is None, reason="no chromium binary found"
)


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


class _Parser(html.parser.HTMLParser):
    """Collects images, links and text; checks that tags are balanced."""

    _VOID = ("meta", "link", "img", "br", "rect")

    def __init__(self):
        super().__init__()
        self.images, self.anchors, self.links = [], [], []
        self.text, self._open = [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "img":
            self.images.append(attrs)
        if "id" in attrs:
            self.anchors.append(attrs["id"])
        if tag == "a":
            self.links.append(attrs["href"])
        if tag not in self._VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self._VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def _parse(path) -> _Parser:
    parser = _Parser()
    parser.feed(path.read_text("utf-8"))
    parser.close()
    assert not parser._open
    return parser


def test_page_is_self_contained_and_light(page):
    assert page.stat().st_size < _MAX_BYTES
    parsed = _parse(page)
    assert all(i["src"].startswith("data:image/") for i in parsed.images)
    assert all(i["alt"] for i in parsed.images)
    assert {link.removeprefix("#") for link in parsed.links} == set(
        parsed.anchors
    )
    outside = re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', page.read_text())
    assert outside == []


def test_the_same_run_gives_the_same_bytes(page, run, tmp_path):
    # The dataset is that of the training.
    again = reports.write_report(workdir=run, output=tmp_path / "again.html")
    assert again.read_bytes() == page.read_bytes()


def test_page_tells_what_was_run(page, run):
    text = " ".join(_parse(page).text)
    result = json_files.read(run / "metrics" / "test.json")
    assert "Synthetic data." in text
    assert "Not comparable with the paper" in text
    assert "resnet152" in text
    assert f"{result['overall']['sample_f2']:.4f}" in text
    assert result["model"]["fingerprint"] in text
    assert result["data"]["fingerprint"] in text
    assert "--learning_rate" in text
    for name in bigearthnet.CLASSES_19:
        assert name in text
    for section in ("Training", "Look-alikes", "Errors", "Where and when"):
        assert section in text


_PROBE = """
<script>
addEventListener("load", () => {
  const table = document.querySelector("#classes ~ .scroll table");
  const column = (index) => [...table.tBodies[0].rows].map(
    (row) => row.cells[index].dataset.key ?? null);
  const buttons = table.querySelectorAll("th button");
  buttons[1].click();
  const descending = column(1);
  buttons[1].click();
  const ascending = column(1);
  buttons[0].click(); buttons[0].click();
  const names = column(0);
  const images = [...document.images];
  const broken = images.filter((i) => !i.naturalWidth).length;
  const probe = document.createElement("pre");
  probe.id = "probe";
  probe.textContent = JSON.stringify(
    {descending, ascending, names, broken, num_images: images.length,
     overflow: document.documentElement.scrollWidth - innerWidth});
  document.body.append(probe);
});
</script>
"""


def _chromium(tmp_path, page, *options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [
            _CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-dev-shm-usage",
            "--enable-logging=stderr",
            "--window-size=500,900",
            f"--user-data-dir={tmp_path / 'profile'}",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


@needs_chromium
def test_browser_shows_all_images_and_sorts(page, tmp_path):
    # The page's own policy would, rightly, refuse the probe.
    probed = tmp_path / "probed.html"
    text = page.read_text("utf-8")
    text = re.sub("<meta http-equiv[^>]*>", "", text)
    probed.write_text(text.replace("</body>", f"{_PROBE}</body>"), "utf-8")
    dom = _chromium(
        tmp_path, probed, "--dump-dom", "--virtual-time-budget=5000"
    ).stdout
    found = json.loads(
        html.unescape(re.search('<pre id="probe">(.*?)</pre>', dom).group(1))
    )
    assert found["broken"] == 0
    assert found["num_images"] > 20
    assert found["overflow"] <= 0  # Nothing hangs over a phone's edge.
    numbers = [int(key) for key in found["descending"]]
    assert numbers == sorted(numbers, reverse=True)
    assert [int(key) for key in found["ascending"]] == sorted(numbers)
    assert found["names"] == sorted(found["names"], key=str.lower)


@needs_chromium
def test_browser_has_nothing_to_complain_about(page, tmp_path):
    process = _chromium(tmp_path, page, f"--screenshot={tmp_path / 'page.png'}")
    assert (tmp_path / "page.png").stat().st_size > 10_000
    assert "CONSOLE" not in process.stderr


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
    _parse(page)


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
    for write in (
        lambda: reports.write_report(workdir=later, data_dir=data_dir),
        lambda: reports.write_comparison(runs=[str(run), str(later)]),
    ):
        with pytest.raises(
            errors.UserError, match="of epoch 1, its best ones are of epoch 2"
        ):
            write()


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
        dataclasses.replace(
            predicted, probabilities=1 - predicted.probabilities
        ),
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


def test_runs_are_compared(run, data_dir, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run, other, ignore=_HEAVY)
    metrics = other / "metrics" / "test.json"
    result = json_files.read(metrics)
    result["model"]["modality"] = "S2"
    result["data"]["fingerprint"] = "0"
    result["overall"]["sample_f2"] = None
    metrics.write_text(json.dumps(result))
    page = reports.write_comparison(
        runs=[str(run), str(other)], output=tmp_path / "new" / "page.html"
    )
    text = " ".join(_parse(page).text)
    assert "2 runs compared" in text
    assert "Synthetic data." in text
    assert "not scored on the same patches" in text
    assert "S2 instead of S1 and S2" in text
    assert "undefined" in text
    assert "0.7873" in text


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
