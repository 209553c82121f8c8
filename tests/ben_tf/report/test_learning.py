"""The report of a run that was not scored yet."""

import shutil
import xml.etree.ElementTree

import pytest

from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import history
from ben_tf.report import learning
from ben_tf.report import reports
from tests import browser
from tests import html_page

pytestmark = pytest.mark.slow


@pytest.fixture
def unscored(workdir, tmp_path):
    """A copy of the run, whose name the shell would split."""
    return shutil.copytree(
        workdir,
        tmp_path / "my run",
        ignore=shutil.ignore_patterns(
            "checkpoints", "metrics", "predictions", "logs"
        ),
    )


def test_it_shows_curves_and_options_and_names_the_command(unscored, capsys):
    path = reports.write_report(workdir=unscored)
    assert path == unscored / "report.html"
    page = html_page.read(path)
    assert len(page.images) == 1
    assert "Training and validation curves" in page.images[0]["alt"]
    command = f"python -m ben_tf.evaluate '--workdir={unscored}'"
    for text in (page.text, capsys.readouterr().err):
        assert "This run has not been scored" in text
        assert f"{command}, then python -m ben_tf.report" in text
        assert "ben_tf.export" not in text
    assert "Synthetic data." in page.text
    assert "--batch_size=8" in page.text
    assert "Best epoch 1, by Average precision, macro" in page.text


def test_a_run_that_is_not_exported_is_exported_first(unscored):
    shutil.rmtree(unscored / "saved_model")
    path = reports.write_report(workdir=unscored, split="validation")
    text = html_page.read(path).text
    export, evaluate = (
        text.index(f"python -m ben_tf.{command} '--workdir={unscored}'")
        for command in ("export", "evaluate")
    )
    assert export < evaluate
    assert "--split=validation" in text


def test_what_is_missing_or_damaged_is_named(unscored):
    (unscored / "config.json").unlink()
    text = html_page.read(reports.write_report(workdir=unscored)).text
    assert "the page does not show how the run was set up" in text
    (unscored / "data.json").unlink()
    with pytest.raises(errors.UserError, match=r"data\.json"):
        reports.write_report(workdir=unscored)


def test_scores_of_another_split_keep_their_page(unscored):
    workdir = workdir_lib.Workdir(unscored)
    workdir.metrics_file("validation").parent.mkdir()
    workdir.metrics_file("validation").write_text("{}")
    with pytest.raises(errors.UserError, match=r"No file .*--split=test"):
        reports.write_report(workdir=unscored)


def test_curves_name_the_losses():
    learned = history.History([1], {"loss": [0.5]})
    config = {"loss": "focal", "embedding_loss": "n_pairs"}
    chart = learning.chart(learned, config, synthetic=False)
    for picture in (chart.wide, chart.narrow):
        root = xml.etree.ElementTree.fromstring(picture)
        assert "Loss (focal + N-pairs)" in " ".join(root.itertext())


@browser.needed
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(unscored, scheme):
    path = reports.write_report(workdir=unscored)
    with browser.opened(path, width=390, scheme=scheme) as page:
        assert browser.serious_faults(page) == []
        assert browser.overhang(page) <= 0
