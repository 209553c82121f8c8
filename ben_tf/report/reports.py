"""The pages: of one run, and of several side by side."""

import csv
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from ben_tf import errors
from ben_tf import files
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import predictions
from ben_tf.metrics import scoring
from ben_tf.report import charts
from ben_tf.report import html_parts
from ben_tf.report import patches
from ben_tf.report import run_comparison
from ben_tf.report import sections

_NUM_HITS = 6


def write_report(
    *,
    workdir: str | os.PathLike,
    data_dir: str | os.PathLike,
    split: str = "test",
    index: str | None = None,
    output: str | None = None,
    num_patches: int = 4,
) -> pathlib.Path:
    """Writes the report of a run.

    Args:
      workdir: Folder of the run, with what evaluate wrote.
      data_dir: Folder with the dataset.
      split: Evaluated split.
      index: Folder of a retrieval index, or None for WORKDIR/index if there.
      output: File to write, or None for WORKDIR/report.html.
      num_patches: How many of the best, the middling and the worst patches.

    Returns:
      The file.

    Raises:
      UserError: The run was not evaluated on this split, a file of it is
        damaged, or there is no such dataset or index.
    """
    run = workdir_lib.Workdir(workdir)
    result = read_metrics(run, split)
    predicted = predictions.load(run.predictions_file(split))
    if list(predicted.labels.shape) != [
        result["num_samples"],
        len(result["class_names"]),
    ]:
        raise errors.UserError(
            f"Metrics and predictions in {workdir} are not of the same "
            "evaluation. Run python -m ben_tf.evaluate again."
        )
    config = _read_json(run.config_file, default={})

    per_sample, _ = scoring.samples_and_counts(
        predicted.labels.astype(bool), predicted.probabilities
    )
    sample_f2 = per_sample["sample_f2"]
    chosen = patches.choose(predicted, sample_f2, num_patches)
    index_path = pathlib.Path(index) if index else run.index
    hits = None
    if index or index_path.is_dir():
        hits = patches.nearest(index_path, predicted, _NUM_HITS)
    groups, retrieval = patches.render(
        data_dir,
        split,
        result,
        predicted,
        sample_f2=sample_f2,
        chosen=chosen,
        hits=hits,
    )
    history = read_history(run.history_file)
    titles = {"headlines": "Headlines"}
    parts = [
        '<h2 id="headlines">Headline metrics</h2>' + sections.headlines(result)
    ]

    def add(anchor: str, name: str, content: str) -> None:
        titles[anchor] = name
        parts.append(f'<h2 id="{anchor}">{name}</h2>{content}')

    if history:
        add("curves", "Training", charts.curves(result, history))
    add(
        "classes",
        "Classes",
        charts.class_chart(result) + sections.class_table(result),
    )
    add("patches", "Patches", sections.patch_groups(groups))
    if retrieval:
        add("retrieval", "Look-alikes", sections.retrieval_row(*retrieval))
    add("errors", "Errors", charts.error_charts(result, predicted))
    add(
        "places",
        "Where and when",
        charts.score_map(result, predicted, sample_f2=sample_f2)
        + sections.groups(result),
    )
    add("metrics", "All metrics", sections.all_metrics(result))
    add("run", "Run and data", sections.run_facts(result, config))
    page = html_parts.page(
        sections.title(result),
        header=sections.header(result, titles=titles),
        main="\n".join(parts),
        footer=sections.footer(),
    )
    return files.write(output or run.report, page)


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
      output: File to write, or None for comparison.html beside the first run.

    Returns:
      The file.

    Raises:
      UserError: A run was not evaluated on this split.
    """
    results = [read_metrics(workdir_lib.Workdir(run), split) for run in runs]
    names = run_comparison.short_names(runs)
    page = html_parts.page(
        "Comparison of runs",
        header=run_comparison.header(results),
        main=run_comparison.main(dict(zip(names, results, strict=True))),
        footer=run_comparison.footer(),
    )
    return files.write(
        output or pathlib.Path(runs[0]).resolve().parent / "comparison.html",
        page,
    )


def read_metrics(workdir: workdir_lib.Workdir, split: str) -> dict:
    """Reads what evaluate wrote.

    Raises:
      UserError: It is not there, or damaged.
    """
    path = workdir.metrics_file(split)
    if not path.is_file():
        raise errors.UserError(
            f"No metrics found. Expected {path}. Write it with python -m "
            f"ben_tf.evaluate --workdir={workdir} --data_dir=... "
            f"--split={split}"
        )
    result = _read_json(path)
    expected = ("overall", "per_class", "intervals_95", "groups", "calibration")
    if not isinstance(result, dict) or not all(k in result for k in expected):
        raise errors.UserError(
            f"{path} is not what this version of python -m ben_tf.evaluate "
            "writes. Evaluate again."
        )
    return result


def read_history(path: pathlib.Path) -> dict[str, list[float]]:
    """Reads history.csv: column -> values, NaN where empty; {} without it.

    Raises:
      UserError: The file is damaged.
    """
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
        return {
            name: [float(row[name] or "nan") for row in rows]
            for name in (rows[0] if rows else {})
        }
    except (csv.Error, TypeError, UnicodeDecodeError, ValueError) as error:
        raise errors.UserError(
            f"{path} is damaged ({error}). Expected a table of numbers as "
            "python -m ben_tf.train writes it; delete it to leave it out."
        ) from error


def _read_json(path: pathlib.Path, default: dict | None = None) -> Any:
    if default is not None and not path.is_file():
        return default
    try:
        return json.loads(path.read_text("utf-8"))
    except (UnicodeDecodeError, ValueError) as error:
        raise errors.UserError(
            f"{path} is damaged ({error}). Expected JSON; write it again."
        ) from error
