"""The page of one run."""

import itertools
import os
import pathlib

from ben_tf import files
from ben_tf import workdir as workdir_lib
from ben_tf.data import built_dataset
from ben_tf.data import run_data
from ben_tf.evaluation import comparison
from ben_tf.evaluation import freshness
from ben_tf.evaluation import history
from ben_tf.evaluation import results
from ben_tf.metrics import exact
from ben_tf.pages import page
from ben_tf.plots import pictures
from ben_tf.report import charts
from ben_tf.report import learning
from ben_tf.report import names
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

    Of a run that was trained but not scored yet, it shows how it learned.

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
    learned = history.History.read(run)
    if learned is not None and not run.was_scored:
        content = learning.render(run, learned, split)
        return files.write(output or run.report, content)
    evaluation = results.Evaluation.read(run, split)
    predicted = freshness.read_predictions(run, evaluation)
    per_sample, _ = exact.samples_and_counts(
        predicted.labels.astype(bool), predicted.probabilities
    )
    sample_f2 = per_sample["sample_f2"]
    if data_dir is None:
        data_dir = run_data.check_there(run.read_config().data_dir, run.path)
    nearest = []
    if index or run.index.is_dir():
        nearest = shown_patches.nearest(
            index or run.index,
            predicted,
            evaluation,
        )
    groups = shown_patches.groups(evaluation, predicted, sample_f2, num_patches)
    published = comparison.published_for(evaluation)
    freshness.check_best(
        run, evaluation.model.epoch, learned, what="the scores"
    )
    missing = learning.missing(run, learned)
    learning.say(missing)
    config = learning.read_config(run)
    sensors = built_dataset.sensors(built_dataset.open_dataset(data_dir))
    shown = [x for x in pictures.PICTURES if pictures.sensor_of(x) in sensors]
    content = page.render(
        "run",
        evaluation=evaluation,
        reasons=comparison.reasons(evaluation, published),
        headlines=comparison.headline_rows(evaluation, published),
        headline_names=comparison.HEADLINES,
        lower_is_better=comparison.LOWER_IS_BETTER,
        published=published,
        published_model=comparison.published_model(evaluation, published),
        published_table=tables.published(evaluation, published)
        if published.entries
        else None,
        shows_classes=comparison.shows_classes(evaluation, published),
        training=learning.chart(
            learned, config, synthetic=evaluation.is_synthetic
        ),
        charts=charts.draw(
            evaluation,
            predicted,
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
            sensors=sensors,
        ),
        pictures=shown,
        both_sensors=[x for x in pictures.BOTH_SENSORS if x in shown],
        group_tables=tables.groups(evaluation),
        metric_table=tables.all_metrics(evaluation),
        model_name=names.choice(evaluation.model.name),
        metric_name=names.metric,
        facts=tables.facts(evaluation, learned),
        options=tables.options(config),
        missing=missing,
    )
    return files.write(output or run.report, content)
