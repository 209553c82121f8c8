"""The pages: of one run, and of several side by side."""

import itertools
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ben_tf import errors
from ben_tf import files
from ben_tf import workdir as workdir_lib
from ben_tf.data import run_data
from ben_tf.evaluation import comparison
from ben_tf.evaluation import history
from ben_tf.evaluation import predictions
from ben_tf.evaluation import results
from ben_tf.metrics import definitions
from ben_tf.metrics import exact
from ben_tf.pages import page
from ben_tf.plots import pictures
from ben_tf.report import charts
from ben_tf.report import shown_patches
from ben_tf.report import tables


def write_report(
    *,
    workdir: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
    split: str = "test",
    index: str | None = None,
    output: str | None = None,
    num_patches: int = 4,
) -> pathlib.Path:
    """Writes the report of a run.

    Args:
      workdir: Folder of the run, with what `evaluation.evaluate` wrote.
      data_dir: Folder with the dataset; None: the one that the run was trained
        on.
      split: Evaluated split.
      index: Folder of a retrieval index, or None for WORKDIR/index if there.
      output: File to write, or None for WORKDIR/report.html.
      num_patches: How many of the best, the median and the worst patches.

    Returns:
      The file.

    Raises:
      UserError: The run was not evaluated on this split, a file of it is
        damaged, or there is no such dataset or index.
    """
    run = workdir_lib.Workdir(workdir)
    files.check_writable(output or run.report)
    evaluation = results.Evaluation.read(run, split)
    predicted = predictions.load(run.predictions_file(split))
    per_sample, _ = exact.samples_and_counts(
        predicted.labels.astype(bool), predicted.probabilities
    )
    sample_f2 = per_sample["sample_f2"]
    shape = (evaluation.num_samples, len(evaluation.class_names))
    if (
        predicted.labels.shape != shape
        or predicted.fingerprint != evaluation.data.fingerprint
        # By other weights.
        or not np.isclose(
            float(definitions.mean_of_defined(sample_f2.astype(np.float64))),
            # As JSON has it where it is undefined.
            np.array(evaluation.overall["sample_f2"], np.float64),
            equal_nan=True,
        )
    ):
        raise errors.UserError(
            f"Metrics and predictions in {workdir} are not of the same "
            "evaluation. Run python -m ben_tf.evaluate again."
        )
    if data_dir is None:
        data_dir = run_data.check_there(run.read_config().data_dir, run)
    nearest = []
    if index or run.index.is_dir():
        nearest = shown_patches.nearest(
            index or run.index,
            predicted,
            fingerprint=evaluation.model.fingerprint,
        )
    groups = shown_patches.groups(evaluation, predicted, sample_f2, num_patches)
    published = comparison.published_for(evaluation)
    learned = history.History.read(run)
    _check_same_weights(run, evaluation, learned)
    missing = _missing(run, learned)
    for sentence in missing:
        print(sentence, file=sys.stderr)
    content = page.render(
        "run",
        evaluation=evaluation,
        reasons=comparison.reasons(evaluation, published),
        headlines=comparison.headline_rows(evaluation, published),
        headline_names=comparison.HEADLINES,
        lower_is_better=comparison.LOWER_IS_BETTER,
        published=published,
        published_model=comparison.published_model(evaluation, published),
        published_table=tables.published(evaluation, published),
        shows_classes=comparison.shows_classes(evaluation, published),
        charts=charts.draw(
            evaluation,
            predicted,
            learned,
            published=published,
            sample_f2=sample_f2,
        ),
        class_table=tables.class_scores(evaluation, published),
        groups=groups,
        nearest=nearest,
        draw=shown_patches.read_pictures(
            data_dir,
            evaluation,
            itertools.chain(nearest, *groups.values()),
        ),
        pictures=list(pictures.PICTURES),
        group_tables=tables.groups(evaluation),
        metric_table=tables.all_metrics(evaluation),
        facts=tables.facts(evaluation, _read_config(run), learned),
        missing=missing,
    )
    return files.write(output or run.report, content)


def write_comparison(
    *,
    runs: Sequence[str],
    split: str = "test",
    output: str | None = None,
) -> pathlib.Path:
    """Writes a page that compares evaluated runs.

    Args:
      runs: Workdirs, in the order of the columns.
      split: Evaluated split, the same for all.
      output: File to write, or None for comparison.html next to the first run.

    Returns:
      The file.

    Raises:
      UserError: A run was not evaluated on this split, or went on after it.
    """
    evaluations = {}
    for name, path in zip(_short_names(runs), runs, strict=True):
        workdir = workdir_lib.Workdir(path)
        evaluations[name] = results.Evaluation.read(workdir, split)
        _check_same_weights(
            workdir, evaluations[name], history.History.read(workdir)
        )
    theirs = {
        name: comparison.published_for(evaluation)
        for name, evaluation in evaluations.items()
    }
    # Each once, though runs of the same version share it.
    sources = list({x.source: x for x in theirs.values()}.values())
    content = page.render(
        "comparison",
        evaluations=evaluations,
        reasons={
            name: comparison.reasons(evaluation, theirs[name])
            for name, evaluation in evaluations.items()
        },
        headlines=tables.headlines(evaluations, sources),
        classes=tables.class_f2(evaluations, sources),
        published=theirs,
        sources=sources,
    )
    folder = pathlib.Path(runs[0]).resolve().parent
    return files.write(output or folder / "comparison.html", content)


def _short_names(runs: Sequence[str]) -> list[str]:
    """Paths without what all of them share, so that columns stay narrow."""
    paths = [os.path.abspath(run) for run in runs]
    if len(set(paths)) < len(paths):
        # The same run twice: number them.
        return [f"{num} {pathlib.Path(p).name}" for num, p in enumerate(paths)]
    common = os.path.commonpath([os.path.dirname(path) for path in paths])
    return [os.path.relpath(path, common) for path in paths]


def _check_same_weights(
    run: workdir_lib.Workdir,
    evaluation: results.Evaluation,
    learned: history.History | None,
) -> None:
    """Refuses scores of weights that are not the run's best ones any more.

    Raises:
      UserError: The run went on after them.
    """
    scored = evaluation.model.epoch
    # Where history.csv has lost rows, its best epoch may be another one.
    if (
        learned is not None
        and scored in learned.epochs
        and learned.best_epoch not in (0, scored)
    ):
        raise errors.UserError(
            f"The run in {run} went on after it was scored: the scores are of "
            f"the weights of epoch {scored}, its best ones are of epoch "
            f"{learned.best_epoch} now. Run python -m ben_tf.export, unless "
            "its training ended and did that, then python -m ben_tf.evaluate."
        )


def _missing(
    run: workdir_lib.Workdir, learned: history.History | None
) -> list[str]:
    """What the page cannot show since it was lost, in sentences."""
    missing = []
    # Imported weights have no such checkpoints, and no curves.
    if learned is None and run.last_checkpoints.is_dir():
        missing.append(
            f"No epoch in {run.history_file}: the page shows no curves of "
            "training."
        )
    if not run.config_file.is_file():
        missing.append(
            f"No file {run.config_file}: the page does not show how the run "
            "was set up."
        )
    return missing


def _read_config(run: workdir_lib.Workdir) -> dict[str, Any]:
    """What config.json says, whatever it is; empty where there is none."""
    if not run.config_file.is_file():
        return {}
    return files.read_json(
        run.config_file,
        dict[str, Any],
        remedy="Expected the JSON that python -m ben_tf.train wrote.",
    )
