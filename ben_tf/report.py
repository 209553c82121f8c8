"""One self-contained HTML page about a run, or about several side by side.

    python -m ben_tf.report --workdir=... --data_dir=...
    python -m ben_tf.report --runs=runs/s1,runs/s2,runs/mm

Run python -m ben_tf.evaluate first: the page shows what it wrote.
"""

import csv
import json
import pathlib
from collections.abc import Callable
from collections.abc import Sequence

from absl import flags

from ben_tf import command_line

_NUM_HITS = 6


def write_report(
    *,
    workdir: str,
    data_dir: str,
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
    from ben_tf import atomic_file
    from ben_tf import predictions
    from ben_tf import report_assets
    from ben_tf import report_charts
    from ben_tf import report_page
    from ben_tf import report_patches
    from ben_tf import scoring

    workdir = pathlib.Path(workdir)
    result = read_metrics(workdir, split)
    predicted = predictions.load(
        workdir / "predictions" / f"{predictions.file_name(split)}.npz"
    )
    if list(predicted.labels.shape) != [
        result["num_samples"],
        len(result["class_names"]),
    ]:
        raise command_line.UserError(
            f"Metrics and predictions in {workdir} are not of the same "
            "evaluation. Run python -m ben_tf.evaluate again."
        )
    config = _read_json(workdir / "config.json", default={})

    per_sample, _ = scoring.samples_and_counts(
        predicted.labels.astype(bool), predicted.probabilities
    )
    sample_f2 = per_sample["sample_f2"]
    chosen = report_patches.choose(predicted, sample_f2, num_patches)
    index_path = pathlib.Path(index) if index else workdir / "index"
    hits = None
    if index or index_path.is_dir():
        hits = report_patches.nearest(index_path, predicted, _NUM_HITS)
    groups, retrieval = report_patches.render(
        data_dir,
        split,
        result,
        predicted,
        sample_f2=sample_f2,
        chosen=chosen,
        hits=hits,
    )
    history = read_history(workdir / "history.csv")
    sections = {"headlines": "Headlines"}
    parts = [
        '<h2 id="headlines">Headline metrics</h2>'
        + report_page.headlines(result)
    ]

    def add(anchor: str, name: str, content: str) -> None:
        sections[anchor] = name
        parts.append(f'<h2 id="{anchor}">{name}</h2>{content}')

    if history:
        add("curves", "Training", report_charts.curves(history))
    add(
        "classes",
        "Classes",
        report_charts.class_chart(result) + report_page.class_table(result),
    )
    add("patches", "Patches", report_page.patch_groups(groups))
    if retrieval:
        add("retrieval", "Look-alikes", report_page.retrieval_row(*retrieval))
    add("errors", "Errors", report_charts.error_charts(result, predicted))
    add(
        "places",
        "Where and when",
        report_charts.score_map(predicted, sample_f2)
        + report_page.groups(result),
    )
    add("metrics", "All metrics", report_page.all_metrics(result))
    add("run", "Run and data", report_page.run_facts(result, config))
    page = report_assets.page(
        report_page.title(result),
        header=report_page.header(result, sections=sections),
        main="\n".join(parts),
        footer=report_page.footer(),
    )
    return atomic_file.write(output or workdir / "report.html", page)


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
    from ben_tf import atomic_file
    from ben_tf import report_assets
    from ben_tf import report_runs

    results = [read_metrics(pathlib.Path(run), split) for run in runs]
    names = report_runs.short_names(runs)
    page = report_assets.page(
        "Comparison of runs",
        header=report_runs.header(results),
        main=report_runs.main(dict(zip(names, results, strict=True))),
        footer=report_runs.footer(),
    )
    return atomic_file.write(
        output or pathlib.Path(runs[0]).resolve().parent / "comparison.html",
        page,
    )


def read_metrics(workdir: pathlib.Path, split: str) -> dict:
    """Reads what evaluate wrote.

    Raises:
      UserError: It is not there, or damaged.
    """
    from ben_tf import predictions

    path = workdir / "metrics" / f"{predictions.file_name(split)}.json"
    if not path.is_file():
        raise command_line.UserError(
            f"No metrics found. Expected {path}. Write it with python -m "
            f"ben_tf.evaluate --workdir={workdir} --data_dir=... "
            f"--split={split}"
        )
    result = _read_json(path)
    expected = ("overall", "per_class", "intervals_95", "groups", "calibration")
    if not isinstance(result, dict) or not all(k in result for k in expected):
        raise command_line.UserError(
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
        raise command_line.UserError(
            f"{path} is damaged ({error}). Expected a table of numbers as "
            "python -m ben_tf.train writes it; delete it to leave it out."
        ) from error


def _read_json(path: pathlib.Path, default=None):
    if default is not None and not path.is_file():
        return default
    try:
        return json.loads(path.read_text("utf-8"))
    except (UnicodeDecodeError, ValueError) as error:
        raise command_line.UserError(
            f"{path} is damaged ({error}). Expected JSON; write it again."
        ) from error


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    workdir = flags.DEFINE_string(
        "workdir",
        None,
        "Folder of the evaluated run; report.html is put there.",
    )
    data_dir = flags.DEFINE_string(
        "data_dir",
        None,
        "Folder with the TFRecords; for the pictures of patches.",
    )
    split = flags.DEFINE_string(
        "split", "test", "Which evaluated split to show."
    )
    index = flags.DEFINE_string(
        "index",
        None,
        "Folder of an index that python -m ben_tf.retrieval built; shows one "
        "query and its nearest patches. By default WORKDIR/index if it exists.",
    )
    runs = flags.DEFINE_list(
        "runs",
        [],
        "Comma-separated workdirs of evaluated runs: compares them on one page "
        "instead, such as an ablation of the sensors.",
    )
    output = flags.DEFINE_string(
        "output",
        None,
        "File to write. By default WORKDIR/report.html, or comparison.html "
        "beside the first of --runs.",
    )
    flags.adopt_module_key_flags(command_line)

    def main() -> None:
        if runs.value:
            path = write_comparison(
                runs=runs.value, split=split.value, output=output.value
            )
        elif workdir.value and data_dir.value:
            path = write_report(
                workdir=workdir.value,
                data_dir=data_dir.value,
                split=split.value,
                index=index.value,
                output=output.value,
            )
        else:
            raise command_line.UserError(
                "Nothing to report on. Expected --workdir and --data_dir for "
                "one run, or --runs to compare several."
            )
        print(f"The report is {path}")

    return main


if __name__ == "__main__":
    command_line.run(command, uses_tensorflow=True)
