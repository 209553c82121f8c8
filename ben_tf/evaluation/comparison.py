"""A run's scores next to published ones, as rows and as text."""

import dataclasses
from collections.abc import Sequence

import tabulate

from ben_tf.data import leakage
from ben_tf.evaluation import published as published_lib
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
# Heads of columns, which are narrow on a console.
_SHORT = {
    "macro_average_precision": "AP macro",
    "micro_average_precision": "AP micro",
    "macro_f1": "F1 macro",
    "micro_f1": "F1 micro",
}
_SENSORS = {"S1": "S1", "S2": "S2", "MM": "S1 and S2"}
_MAX_NAME = 46  # Characters of a class name on the console.


@dataclasses.dataclass(frozen=True)
class Row:
    """One score of a run next to a published one.

    Attributes:
      name: What is scored: a metric or a class.
      ours: Our value; None: undefined.
      interval: 95 % interval (lower, upper) of ours, or None.
      published: The published value, or None where there is none.
      is_comparable: Whether the two were found by the same protocol.
    """

    name: str
    ours: results.Value
    interval: tuple[float, float] | None = None
    published: float | None = None
    is_comparable: bool = True

    @property
    def difference(self) -> float | None:
        """Ours minus theirs; None where it would mean nothing."""
        if self.ours is None or self.published is None:
            return None
        return self.ours - self.published if self.is_comparable else None


def published_for(evaluation: results.Evaluation) -> published_lib.Published:
    """The figures that suit the version of the dataset that was scored.

    None are published of own data.
    """
    name = evaluation.data.name
    if published_lib.config_of(name) == published_lib.NOTHING.config:
        return published_lib.NOTHING
    return published_lib.SOURCES[published_lib.for_dataset(name)]


def reasons(
    evaluation: results.Evaluation, published: published_lib.Published
) -> list[str]:
    """Says why the scores do not compare with published ones; empty: they do.

    Args:
      evaluation: Ours.
      published: Theirs.
    """
    if not published.entries:
        return ["own data"]
    model, data = evaluation.model, evaluation.data
    split, num_samples = evaluation.split, evaluation.num_samples
    num_classes = len(evaluation.class_names)
    config = published_lib.config_of(data.name)
    # The first is unknown in files of before.
    seen = {
        leakage.version_of(name)
        for name in (model.trained_on, *model.origins)
        if name
    }
    sensors = " or ".join(_SENSORS[x] for x in published.modalities)
    differences = {
        "synthetic data": data.synthetic,
        "trained on synthetic data": (
            model.trained_on_synthetic and not data.synthetic
        ),
        "trained on own data": published_lib.NOTHING.config in seen,
        f"trained on a part of the data ({model.trained_on_part})": (
            model.trained_on_part != ""
        ),
        f"{num_classes} classes instead of {published.num_classes}": (
            num_classes != published.num_classes
        ),
        f"{_SENSORS[model.modality]} instead of {sensors}": (
            model.modality not in published.modalities
        ),
        **{
            f"trained on {version}, with up to {number:,} of these patches": (
                number > 0
            )
            for version in sorted(seen)
            for number in [leakage.num_shared(version, config, split)]
        },
        f"dataset {config} instead of {published.config}": (
            config != published.config
        ),
        f"split {split} instead of {published.split}": (
            split != published.split
        ),
        f"{num_samples:,} patches instead of {published.num_samples:,}"
        + (f", of a part of {config} ({data.part})" if data.part else ""): (
            num_samples != published.num_samples
        ),
    }
    return [reason for reason, differs in differences.items() if differs]


def headline_rows(
    evaluation: results.Evaluation,
    published: published_lib.Published,
    entry: str | None = None,
) -> list[Row]:
    """The headline metrics next to those of one published model.

    Args:
      evaluation: Ours.
      published: Theirs.
      entry: Name of a published model; by default `published_model`.
    """
    theirs = published.entries.get(
        entry or published_model(evaluation, published)
    )
    is_comparable = (
        theirs is not None
        and theirs.modality == evaluation.model.modality
        and not reasons(evaluation, published)
    )
    return [
        Row(
            name,
            evaluation.overall[name],
            both_ends(getattr(evaluation.intervals_95, name, None)),
            theirs.figures.get(name) if theirs else None,
            is_comparable,
        )
        for name in HEADLINES
    ]


def class_rows(
    evaluation: results.Evaluation, published: published_lib.Published
) -> list[Row]:
    """F2 of every class next to the published ones (Table I of the paper)."""
    is_comparable = not reasons(evaluation, published)
    return [
        Row(
            name,
            f2,
            both_ends(ends),
            published.f2_of_class.get(name),
            is_comparable,
        )
        for name, f2, ends in zip(
            evaluation.class_names,
            evaluation.per_class["f2"],
            evaluation.intervals_95.per_class_f2,
            strict=True,
        )
    ]


def shows_classes(
    evaluation: results.Evaluation, published: published_lib.Published
) -> bool:
    """Whether there are published scores of these classes."""
    num_classes = len(evaluation.class_names)
    return bool(published.f2_of_class) and num_classes == published.num_classes


def published_model(
    evaluation: results.Evaluation, published: published_lib.Published
) -> str:
    """Name of the published model to hold a run against first."""
    model = evaluation.model
    return published.entry_for(model.name, model.modality)


def as_text(
    evaluation: results.Evaluation, *, published: published_lib.Published | None
) -> str:
    """Tables for the console: headline metrics, classes, all metrics.

    Args:
      evaluation: Ours.
      published: Theirs; None shows ours alone.
    """
    model = evaluation.model
    titles = [
        f"{model.name} {model.modality} on {evaluation.split}, "
        f"{evaluation.num_samples:,} patches"
    ]
    if evaluation.is_synthetic:
        titles.append(
            "SYNTHETIC DATA: these scores say nothing about BigEarthNet"
        )
    tables = []
    if published and published.entries:
        differences = reasons(evaluation, published)
        titles.append(
            f"NOT COMPARABLE with {published.whose}: " + ", ".join(differences)
            if differences
            else f"Comparable with {published.source}"
        )
        tables.append(_models_table(evaluation, published))
        rows = [
            row
            for row in headline_rows(evaluation, published)
            if row.name not in published.metrics
        ]
        tables.append(_rows_table("Other headline metrics", rows))
        class_scores = class_rows(evaluation, published)
    else:
        # Whose figures does not matter where none is shown.
        published_here = published_for(evaluation)
        rows = headline_rows(evaluation, published_here)
        tables.append(_rows_table("Headline metrics", rows))
        class_scores = class_rows(evaluation, published_here)
    title, theirs = "F2 of each class", ""
    if published and shows_classes(evaluation, published):
        title += f"; {published.label} (ours - {published.label})"
        theirs = published.f2_model
    tables.append(_rows_table(title, class_scores, theirs=theirs))
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


def both_ends(ends: results.Interval | None) -> tuple[float, float] | None:
    """An interval both of whose ends are defined, or None."""
    low, high = ends or (None, None)
    return None if low is None or high is None else (low, high)


def number(value: float | None) -> str:
    """Four digits, or that the value is undefined."""
    return UNDEFINED if value is None else f"{value:.4f}"


def _models_table(
    evaluation: results.Evaluation, published: published_lib.Published
) -> str:
    """A line for each published model, and how far ours is from it."""
    rows = []
    for entry in published.entries:
        of_metric = {
            row.name: row for row in headline_rows(evaluation, published, entry)
        }
        columns = [of_metric[name] for name in published.metrics]
        rows.append([entry, *map(_published, columns)])
    rows.append(["ours", *(number(column.ours) for column in columns)])
    rows.append(["  95 % interval", *(_ends(column) for column in columns)])
    names = [_SHORT.get(name, name) for name in published.metrics]
    return _table(
        [f"{published.label} (ours - {published.label})", *names], rows
    )


def _rows_table(title: str, rows: Sequence[Row], *, theirs: str = "") -> str:
    columns = [title, "ours", "95 % interval"]
    columns += [theirs] if theirs else []
    return _table(
        columns,
        [
            [
                HEADLINES.get(row.name, row.name),
                number(row.ours),
                _ends(row),
                _published(row),
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


def _published(row: Row) -> str:
    """The published figure and, in brackets, how far ours is above it."""
    if row.difference is None:
        return number(row.published)
    return f"{number(row.published)} ({row.difference:+.4f})"


def _ends(row: Row) -> str:
    low_high = row.interval
    return f"{low_high[0]:.4f}-{low_high[1]:.4f}" if low_high else ""
