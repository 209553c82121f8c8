"""A run's scores and the paper's, side by side, as rows and as text.

Takes what `evaluate` writes to metrics/<split>.json. Standard library only.
"""

import dataclasses

from ben_tf.evaluation import paper

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


@dataclasses.dataclass(frozen=True)
class Row:
    """One score of a run beside the paper's.

    Attributes:
      name: What is scored: a metric or a class.
      ours: Our value; None: undefined.
      interval: 95 % interval (lower, upper) of ours, or None.
      paper: The paper's value, or None where it has none.
    """

    name: str
    ours: float | None
    interval: tuple[float, float] | None = None
    paper: float | None = None

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's."""
        if self.ours is None or self.paper is None:
            return None
        return self.ours - self.paper


def reasons(result: dict) -> list[str]:
    """Says why the scores do not compare with the paper's; empty: they do."""
    return paper.why_not_comparable(
        data_is_synthetic=result["data"]["synthetic"],
        trained_on_synthetic=result["model"]["trained_on_synthetic"],
        split=result["split"],
        num_samples=result["num_samples"],
        modality=result["model"]["modality"],
        num_classes=len(result["class_names"]),
        config="/".join(result["data"]["name"].split("/")[1:2]),
    )


def is_synthetic(result: dict) -> bool:
    """Whether synthetic patches were scored or trained on."""
    return (
        result["data"]["synthetic"] or result["model"]["trained_on_synthetic"]
    )


def headline_rows(result: dict, model: str | None = None) -> list[Row]:
    """The headline metrics beside those of a model of the paper.

    Args:
      result: What `evaluate` returns.
      model: Row of Table II; without it the run's own architecture if the
        paper has it, else ResNet50.
    """
    model = model or paper_model(result)
    figures = dict(paper.TABLE_2[model])
    if model == paper.TABLE_1_MODEL:
        figures["macro_f2"] = paper.TABLE_1_AVERAGE_FROM_SCRATCH
    return [
        Row(
            name,
            result["overall"][name],
            _interval(result["intervals_95"].get(name)),
            figures.get(name),
        )
        for name in HEADLINES
    ]


def class_rows(result: dict) -> list[Row]:
    """F2 of every class beside Table I (ResNet50 from scratch)."""
    return [
        Row(name, f2, _interval(interval), paper.TABLE_1_FROM_SCRATCH.get(name))
        for name, f2, interval in zip(
            result["class_names"],
            result["per_class"]["f2"],
            result["intervals_95"]["per_class_f2"],
            strict=True,
        )
    ]


def paper_model(result: dict) -> str:
    """The model of Table II to set a run against."""
    name = result["model"]["name"]
    return name if name in paper.TABLE_2 else paper.TABLE_1_MODEL


def as_text(result: dict, *, with_paper: bool) -> str:
    """Tables for the console: headline metrics, then F2 of every class."""
    name = f"{result['model']['name']} {result['model']['modality']}"
    where = f"{result['split']}, {result['num_samples']:,} patches"
    titles = [f"{name} on {where}"]
    if is_synthetic(result):
        titles.append(
            "SYNTHETIC DATA: these scores say nothing about BigEarthNet"
        )
    lines = []
    if with_paper:
        differences = reasons(result)
        titles.append(
            "NOT COMPARABLE with the paper: " + ", ".join(differences)
            if differences
            else f"Comparable with {paper.SOURCE}"
        )
        lines += ["", *_models_table(result)]
        rows = [
            row
            for row in headline_rows(result)
            if row.name not in paper.TABLE_2_METRICS
        ]
        lines += ["", *_table("Not in Table II", rows, with_paper=False)]
    else:
        rows = headline_rows(result)
        lines += ["", *_table("Headline metrics", rows, with_paper=False)]
    beside = with_paper and len(result["class_names"]) == paper.NUM_CLASSES
    title = "F2 of each class" + (", paper's resnet50" if beside else "")
    lines += ["", *_table(title, class_rows(result), with_paper=beside)]
    lines += ["", *_all_metrics(result)]
    return "\n".join([*titles, *lines])


def _models_table(result: dict) -> list[str]:
    """Table II, a line for each model, and how far ours is from it."""
    names = list(paper.TABLE_2_METRICS)
    ours = {row.name: row for row in headline_rows(result)}
    head = f"{'Table II: paper (ours - paper)':<32}" + "".join(
        f" {name:>19}" for name in names
    )
    lines = [head, "-" * len(head)]
    for model, figures in paper.TABLE_2.items():
        cells = []
        for name in names:
            value = ours[name].ours
            difference = (
                "" if value is None else f" ({value - figures[name]:+.4f})"
            )
            cells.append(f" {figures[name]:.4f}{difference}".rjust(20))
        lines.append(f"{model:<32}" + "".join(cells))
    lines.append(
        f"{'ours':<32}" + "".join(f" {number(ours[n].ours):>19}" for n in names)
    )
    lines.append(
        f"{'  95 % interval':<32}"
        + "".join(f" {_ends(ours[n].interval):>19}" for n in names)
    )
    return lines


def _ends(interval: tuple[float, float] | None) -> str:
    return f"{interval[0]:.4f}-{interval[1]:.4f}" if interval else ""


def _table(title: str, rows: list[Row], *, with_paper: bool) -> list[str]:
    head = f"{title:<46} {'ours':>9} {'95 % interval':>15}"
    if with_paper:
        head += f" {'paper':>8} {'difference':>10}"
    lines = [head, "-" * len(head)]
    for row in rows:
        name = HEADLINES.get(row.name, row.name)
        name = name if len(name) <= 46 else name[:43] + "..."
        line = f"{name:<46} {number(row.ours):>9} {_ends(row.interval):>15}"
        if with_paper:
            difference = (
                f"{row.difference:+.4f}" if row.difference is not None else ""
            )
            line += f" {number(row.paper):>8} {difference:>10}"
        lines.append(line)
    return lines


def _all_metrics(result: dict) -> list[str]:
    """Every metric at 0.5 and, if there are any, at tuned thresholds."""
    tuned = result.get("tuned")
    head = f"{'All metrics':<46} {'at 0.5':>9}"
    if tuned:
        head += f" {'thresholds tuned on ' + tuned['chosen_on']:>32}"
    lines = [head, "-" * len(head)]
    for name, value in result["overall"].items():
        line = f"{name:<46} {number(value):>9}"
        if tuned:
            line += f" {number(tuned['overall'][name]):>32}"
        lines.append(line)
    error = result["calibration"]["expected_calibration_error"]
    lines.append(f"{'expected_calibration_error':<46} {number(error):>9}")
    lines += [
        f"{name}: {num} {'classes' if name.startswith('macro') else 'patches'} "
        "left out, the value is undefined there"
        for name, num in result["undefined"].items()
    ]
    return lines


def number(value: float | None) -> str:
    """Four digits, or that the value is undefined."""
    return UNDEFINED if value is None else f"{value:.4f}"


def _interval(ends: list | None) -> tuple[float, float] | None:
    if ends is None or None in ends:
        return None
    return tuple(ends)
