"""A run's scores next to the paper's, as rows and as text."""

import dataclasses
from collections.abc import Sequence

import tabulate

from ben_tf import bigearthnet
from ben_tf.evaluation import leakage
from ben_tf.evaluation import paper
from ben_tf.evaluation import results

# Shown first, in this order.
HEADLINES = {
    "sample_f2": "F2, sample average",
    "sample_recall": "Recall, sample average",
    "hamming_loss": "Hamming loss",
    "one_error": "One-error",
    "macro_f2": "F2, macro",
    "macro_f1": "F1, macro",
    "micro_f1": "F1, micro",
    "macro_average_precision": "Average precision, macro",
    "micro_average_precision": "Average precision, micro",
}
LOWER_IS_BETTER = ("hamming_loss", "one_error", "coverage", "ranking_loss")
UNDEFINED = "undefined"
_MAX_NAME = 46  # Characters of a class name on the console.


@dataclasses.dataclass(frozen=True)
class Row:
    """One score of a run next to the paper's.

    Attributes:
      name: What is scored: a metric or a class.
      ours: Our value; None: undefined.
      interval: 95 % interval (lower, upper) of ours, or None.
      paper: The paper's value, or None where it has none.
    """

    name: str
    ours: results.Value
    interval: tuple[float, float] | None = None
    paper: float | None = None

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's."""
        if self.ours is None or self.paper is None:
            return None
        return self.ours - self.paper


def reasons(evaluation: results.Evaluation) -> list[str]:
    """Says why the scores do not compare with the paper's; empty: they do."""
    model, data = evaluation.model, evaluation.data
    split, num_samples = evaluation.split, evaluation.num_samples
    num_classes = len(evaluation.class_names)
    config = "/".join(data.name.split("/")[1:2])
    trained_on = (
        leakage.version_of(model.trained_on) if model.trained_on else ""
    )
    num_seen = leakage.num_shared(trained_on, config, split)
    expected = bigearthnet.SPLIT_SIZES[paper.SPLIT]
    differences = {
        "synthetic data": data.synthetic,
        "trained on synthetic data": (
            model.trained_on_synthetic and not data.synthetic
        ),
        f"{num_classes} classes instead of {paper.NUM_CLASSES}": (
            num_classes != paper.NUM_CLASSES
        ),
        f"{model.modality} instead of S1 and S2": (
            model.modality != paper.MODALITY
        ),
        f"trained on {trained_on}, with up to {num_seen:,} of these patches": (
            num_seen > 0
        ),
        f"dataset {config} instead of {paper.CONFIG}": config != paper.CONFIG,
        f"split {split} instead of {paper.SPLIT}": split != paper.SPLIT,
        f"{num_samples:,} patches instead of {expected:,}": (
            num_samples != expected
        ),
    }
    return [reason for reason, differs in differences.items() if differs]


def headline_rows(evaluation: results.Evaluation) -> list[Row]:
    """The headline metrics next to those of `paper_model`."""
    figures = paper.figures(paper_model(evaluation))
    return [
        Row(
            name,
            evaluation.overall[name],
            _interval(getattr(evaluation.intervals_95, name, None)),
            figures.get(name),
        )
        for name in HEADLINES
    ]


def class_rows(evaluation: results.Evaluation) -> list[Row]:
    """F2 of every class next to Table I (ResNet50 from scratch)."""
    return [
        Row(name, f2, _interval(ends), paper.TABLE_1_FROM_SCRATCH.get(name))
        for name, f2, ends in zip(
            evaluation.class_names,
            evaluation.per_class["f2"],
            evaluation.intervals_95.per_class_f2,
            strict=True,
        )
    ]


def paper_model(evaluation: results.Evaluation) -> str:
    """The model of Table II to compare with: the run's own, or ResNet50."""
    name = evaluation.model.name
    return name if name in paper.TABLE_2 else paper.TABLE_1_MODEL


def as_text(evaluation: results.Evaluation, *, with_paper: bool) -> str:
    """Tables for the console: headline metrics, classes, all metrics."""
    model = evaluation.model
    titles = [
        f"{model.name} {model.modality} on {evaluation.split}, "
        f"{evaluation.num_samples:,} patches"
    ]
    if evaluation.is_synthetic:
        titles.append(
            "SYNTHETIC DATA: these scores say nothing about BigEarthNet"
        )
    rows = headline_rows(evaluation)
    tables = []
    if with_paper:
        differences = reasons(evaluation)
        titles.append(
            "NOT COMPARABLE with the paper: " + ", ".join(differences)
            if differences
            else f"Comparable with {paper.SOURCE}"
        )
        tables.append(_models_table({row.name: row for row in rows}))
        rows = [row for row in rows if row.name not in paper.TABLE_2_METRICS]
        tables.append(_rows_table("Not in Table II", rows))
    else:
        tables.append(_rows_table("Headline metrics", rows))
    with_paper &= len(evaluation.class_names) == paper.NUM_CLASSES
    title = "F2 of each class" + ("; paper (ours - paper)" * with_paper)
    tables.append(
        _rows_table(title, class_rows(evaluation), with_paper=with_paper)
    )
    tables.append(_all_metrics(evaluation))
    return "\n\n".join(["\n".join(titles), *tables])


def metric_columns(
    evaluation: results.Evaluation,
) -> dict[str, dict[str, results.Value]]:
    """Every metric at the threshold and, if there are any, at tuned ones.

    Returns:
      Which thresholds, as a heading -> metric -> value.
    """
    columns = {f"at {evaluation.threshold:g}": evaluation.overall}
    if tuned := evaluation.tuned:
        columns[f"thresholds tuned on {tuned.chosen_on}"] = tuned.overall
    return columns


def number(value: float | None) -> str:
    """Four digits, or that the value is undefined."""
    return UNDEFINED if value is None else f"{value:.4f}"


def _models_table(ours: dict[str, Row]) -> str:
    """Table II, a line for each model, and how far ours is from it."""
    columns = [ours[name] for name in paper.TABLE_2_METRICS]
    rows = [
        [model]
        + [
            _paper(dataclasses.replace(column, paper=figures[column.name]))
            for column in columns
        ]
        for model, figures in paper.TABLE_2.items()
    ]
    rows.append(["ours", *(number(column.ours) for column in columns)])
    rows.append(["  95 % interval", *(_ends(column) for column in columns)])
    return _table(
        ["Table II: paper (ours - paper)", *paper.TABLE_2_METRICS], rows
    )


def _rows_table(
    title: str, rows: Sequence[Row], *, with_paper: bool = False
) -> str:
    columns = [title, "ours", "95 % interval"]
    columns += [paper.TABLE_1_MODEL] if with_paper else []
    return _table(
        columns,
        [
            [
                HEADLINES.get(row.name, row.name),
                number(row.ours),
                _ends(row),
                _paper(row),
            ][: len(columns)]
            for row in rows
        ],
    )


def _all_metrics(evaluation: results.Evaluation) -> str:
    """The table of `metric_columns`, and what its averages leave out."""
    columns = metric_columns(evaluation)
    rows = [
        [name, *(number(values[name]) for values in columns.values())]
        for name in evaluation.overall
    ]
    error = evaluation.calibration.expected_calibration_error
    rows.append(["expected_calibration_error", number(error)])
    left_out = [
        f"{name} leaves out {num:,} "
        f"{'classes' if name.startswith('macro') else 'patches'} "
        "for which it is undefined"
        for name, num in evaluation.undefined.items()
    ]
    return "\n".join([_table(["All metrics", *columns], rows), *left_out])


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Names to the left, numbers, already formatted, to the right."""
    return tabulate.tabulate(
        [
            [name if len(name) <= _MAX_NAME else name[:43] + "...", *cells]
            for name, *cells in rows
        ],
        headers=columns,
        colalign=["left", *["right"] * (len(columns) - 1)],
        disable_numparse=True,
        preserve_whitespace=True,
    )


def _paper(row: Row) -> str:
    """The paper's figure and, in brackets, how far ours is above it."""
    if row.difference is None:
        return number(row.paper)
    return f"{number(row.paper)} ({row.difference:+.4f})"


def _ends(row: Row) -> str:
    low_high = row.interval
    return f"{low_high[0]:.4f}-{low_high[1]:.4f}" if low_high else ""


def _interval(ends: results.Interval | None) -> tuple[float, float] | None:
    """An interval both of whose ends are defined, or None."""
    low, high = ends or (None, None)
    return None if low is None or high is None else (low, high)
