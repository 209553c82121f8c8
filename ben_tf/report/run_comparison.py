"""The page that sets several evaluated runs side by side."""

import html
import os
import pathlib
from collections.abc import Sequence

from ben_tf import bigearthnet
from ben_tf.evaluation import comparison
from ben_tf.evaluation import paper
from ben_tf.report import html_parts
from ben_tf.report import sections


def short_names(runs: Sequence[str]) -> list[str]:
    """Paths without what all of them share, so that columns stay narrow."""
    paths = [os.path.abspath(run) for run in runs]
    if len(set(paths)) < len(paths):
        # The same run twice: number them.
        return [f"{num} {pathlib.Path(p).name}" for num, p in enumerate(paths)]
    common = os.path.commonpath([os.path.dirname(path) for path in paths])
    return [os.path.relpath(path, common) for path in paths]


def header(results: list[dict]) -> str:
    """Title and warning."""
    return (
        f"<h1>{len(results)} runs compared</h1>"
        '<p class="quiet">Press a heading to sort.</p>'
        + sections.banner(results)
    )


def main(results: dict[str, dict]) -> str:
    """Tables of runs (name -> what evaluate wrote)."""
    return (
        _notes(results)
        + "<h2>Headline metrics</h2>"
        + _headlines(results)
        + "<h2>F2 of each class</h2>"
        + _classes(results)
    )


def footer() -> str:
    """Source of the paper's figures."""
    return f"<p>Paper: {html.escape(paper.SOURCE)}, Tables I and II.</p>"


def _notes(results: dict[str, dict]) -> str:
    """What keeps the runs from being compared, with each other or the paper."""
    notes = []
    evaluated = {result["data"]["fingerprint"] for result in results.values()}
    if len(evaluated) > 1:
        notes.append(
            "These runs were <strong>not scored on the same patches and "
            "labels</strong>: differences between them may come from the data."
        )
    for name, result in results.items():
        reasons = comparison.reasons(result)
        if reasons:
            notes.append(
                f"{html.escape(name)}: not comparable with the paper "
                f"({html.escape(', '.join(reasons))})."
            )
    return "".join(f'<p class="note">{note}</p>' for note in notes)


def _headlines(results: dict[str, dict]) -> str:
    rows = []
    for name, result in results.items():
        rows.append(
            [name, result["model"]["name"], result["model"]["modality"]]
            + [result["num_samples"]]
            + [result["overall"][metric] for metric in comparison.HEADLINES]
        )
    for model, figures in paper.TABLE_2.items():
        values = dict(figures)
        if model == paper.TABLE_1_MODEL:
            values["macro_f2"] = paper.TABLE_1_AVERAGE_FROM_SCRATCH
        rows.append(
            [
                f"paper: {model}",
                model,
                "MM",
                bigearthnet.SPLIT_SIZES[paper.SPLIT],
            ]
            + [values.get(metric, "") for metric in comparison.HEADLINES]
        )
    return html_parts.table(
        ["run", "model", "sensors", "patches", *comparison.HEADLINES.values()],
        rows,
    )


def _classes(results: dict[str, dict]) -> str:
    """A line for each class that any run has; a column for each run."""
    f2_of_run = {
        name: dict(
            zip(result["class_names"], result["per_class"]["f2"], strict=True)
        )
        for name, result in results.items()
    }
    classes = list(dict.fromkeys(c for f2 in f2_of_run.values() for c in f2))
    columns = [*f2_of_run, "paper"]
    rows = [
        [class_name]
        + [f2.get(class_name, "") for f2 in f2_of_run.values()]
        + [paper.TABLE_1_FROM_SCRATCH.get(class_name, "")]
        for class_name in classes
    ]
    return html_parts.table(["class", *columns], rows, bars=columns)
