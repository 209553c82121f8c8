"""The tables of the report, and of the page that compares runs."""

import dataclasses
import json
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from ben_tf import bigearthnet
from ben_tf import files
from ben_tf import origin as origin_lib
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import comparison
from ben_tf.evaluation import differences as differences_lib
from ben_tf.evaluation import history
from ben_tf.evaluation import published as published_lib
from ben_tf.evaluation import results
from ben_tf.pages import page
from ben_tf.report import names


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of a run.

    Attributes:
      name: In words.
      value: Its value, in words.
      flag: As `python -m ben_tf.train` takes it.
      is_default: Whether that is the value without the flag.
    """

    name: str
    value: str
    flag: str
    is_default: bool


def published(
    evaluation: results.Evaluation, published: published_lib.Published
) -> page.Table:
    """The models of a source, with ours and its intervals below.

    Differences stand only where they mean something.
    """
    rows: list[list[page.Cell]] = []
    for name, entry in published.entries.items():
        of_metric = {
            row.name: row
            for row in comparison.headline_rows(evaluation, published, name)
        }
        columns = [of_metric[metric] for metric in published.metrics]
        rows.append([name, entry.modality])
        for row in columns:
            rows[-1] += [
                "" if row.published is None else row.published,
                "" if row.difference is None else f"{row.difference:+.4f}",
            ]
    has_differences = any(cell for row in rows for cell in row[3::2])
    rows.append(["ours", evaluation.model.modality])
    for row in columns:
        ends = row.interval
        rows[-1] += [
            row.ours,
            "{:.4f} to {:.4f}".format(*ends) if ends else "",
        ]
    heads = [comparison.HEADLINES[metric] for metric in published.metrics]
    beside = "ours - theirs; 95 %" if has_differences else "95 %"
    return page.Table(
        [
            *(published.label, "sensors"),
            *(x for head in heads for x in (head, beside)),
        ],
        rows,
    )


def class_scores(
    evaluation: results.Evaluation, published: published_lib.Published
) -> page.Table:
    """All scores of every class."""
    per_class = evaluation.per_class
    columns: dict[str, list] = {
        "class": evaluation.class_names,
        "patches": [int(num or 0) for num in per_class["num_positives"]],
        "F2": per_class["f2"],
    }
    if comparison.shows_classes(evaluation, published):
        columns["F2, paper"] = [
            published.f2_of_class.get(name, "")
            for name in evaluation.class_names
        ]
    columns |= {
        "precision": per_class["precision"],
        "recall": per_class["recall"],
        "F1": per_class["f1"],
        "AP": per_class["average_precision"],
    }
    if evaluation.tuned:
        columns["threshold, tuned"] = evaluation.tuned.thresholds
        columns["F1, tuned"] = evaluation.tuned.per_class["f1"]
    return page.Table(
        list(columns),
        list(zip(*columns.values(), strict=True)),
        bars=("F2", "F2, paper"),
    )


def all_metrics(evaluation: results.Evaluation) -> page.Table:
    """Every metric at the threshold and, if there are any, at tuned ones."""
    columns = comparison.metric_columns(evaluation)
    return page.Table(
        ["metric", *columns],
        [
            [names.metric(name), *(values[name] for values in columns.values())]
            for name in evaluation.overall
        ],
    )


def groups(evaluation: results.Evaluation) -> dict[str, page.Table]:
    """Kind of group -> scores of each group."""
    return {
        kind: page.Table(
            [kind, "patches", "sample F2", "recall", "macro F2", "one-error"],
            [
                [
                    *(name, group.num_samples, group.sample_f2),
                    *(group.sample_recall, group.macro_f2, group.one_error),
                ]
                for name, group in members.items()
            ],
            bars=("sample F2",),
        )
        for kind, members in evaluation.groups.items()
    }


def facts(
    evaluation: results.Evaluation, learned: history.History | None
) -> dict[str, str]:
    """What was scored: model and data, with their fingerprints."""
    model, data = evaluation.model, evaluation.data
    origin = evaluation.origin
    made = {}
    if origin is not None:
        made["Scored"] = str(origin)
    if learned is not None:
        made["Training"] = _training(learned) + (
            f"; weights of epoch {model.epoch}" if model.epoch else ""
        )
    if model.num_parameters:
        made["Parameters"] = f"{model.num_parameters:,}"
    return {
        "Model": f"{names.choice(model.name)}, {names.choice(model.modality)}",
        **made,
        "Weights, SHA-256": model.fingerprint,
        "Trained on": ", ".join(
            [
                (model.trained_on or "unknown")
                + _of_part(model.trained_on_part),
                *model.origins,
            ]
        ),
        "Trained on synthetic data": _yes_or_no(model.trained_on_synthetic),
        "Dataset": data.name + _of_part(data.part),
        "Synthetic": _yes_or_no(data.synthetic),
        "Patches": _patches(data.split_sizes),
        "Records, SHA-256": data.records or "unknown",
        "Names and labels scored, SHA-256": data.fingerprint,
    }


def training_facts(
    data: workdir_lib.DataDescription, learned: history.History
) -> dict[str, str]:
    """What is known of a run that was not scored."""
    best = learned.best_epoch
    return {
        "Training": _training(learned),
        **(
            {
                "Best epoch": f"{best}, by "
                f"{names.metric(workdir_lib.MONITOR.removeprefix('val_'))} on "
                "the validation split"
            }
            if best
            else {}
        ),
        "Trained on": ", ".join(
            [data.name + _of_part(data.part), *data.origins]
        ),
        "Trained on synthetic data": _yes_or_no(data.synthetic),
        "Patches": _patches(data.patches),
        "Records, SHA-256": data.fingerprint or "unknown",
    }


def options(config: Mapping[str, Any]) -> list[Option]:
    """The options of a run: what its config.json says, whatever it is."""
    defaults = workdir_lib.default_options()
    return [
        Option(
            names.option(name),
            names.choice(_plain(value)),
            f"--{name}={_plain(value)}",
            name in defaults and value == defaults[name],
        )
        for name, value in config.items()
    ]


def _plain(value: Any) -> str:
    """A value as its flag takes it; of statistics, only their name."""
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        return value["name"]
    return value if isinstance(value, str) else json.dumps(value)


def _training(learned: history.History) -> str:
    seconds = sum(learned.curves.get("seconds", ()))
    num = len(learned.epochs)
    return f"{num} {'epoch' if num == 1 else 'epochs'}, {_duration(seconds)}"


def _patches(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {num:,}" for name, num in sizes.items())


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def _of_part(part: str) -> str:
    return f", a part: {part}" if part else ""


def headlines(
    runs: Mapping[str, results.Evaluation],
    sources: Sequence[published_lib.Published],
) -> page.Table:
    """The headline metrics of several runs and of published models."""
    ours: list[list[page.Cell]] = [
        [
            *(name, run.model.modality, run.num_samples),
            *(run.overall[metric] for metric in comparison.HEADLINES),
        ]
        for name, run in runs.items()
    ]
    theirs: list[list[page.Cell]] = [
        [
            *(f"{source.label}: {name}", entry.modality),
            source.num_samples,
            *(entry.figures.get(metric, "") for metric in comparison.HEADLINES),
        ]
        for source in sources
        for name, entry in source.entries.items()
    ]
    return page.Table(
        [
            *("run", "sensors", "patches"),
            *(
                head.replace("Average precision", "AP")
                for head in comparison.HEADLINES.values()
            ),
        ],
        [*ours, *theirs],
    )


def class_f2(
    runs: Mapping[str, results.Evaluation],
    sources: Sequence[published_lib.Published],
) -> page.Table:
    """F2 of each class that any run has: a column for each run."""
    # Lists, since a run may have the name of a source.
    heads = [*runs, *(x.label for x in sources if x.f2_of_class)]
    columns: list[Mapping[str, page.Cell]] = [
        {
            row.name: page.Estimate(row.ours, row.interval)
            for row in comparison.class_rows(run, comparison.published_for(run))
        }
        for run in runs.values()
    ]
    columns += [x.f2_of_class for x in sources if x.f2_of_class]
    return page.Table(
        ["class", *heads],
        [[name, *(f2.get(name, "") for f2 in columns)] for name in columns[0]],
        bars=[x.label for x in sources],
    )


def differences(rows: Sequence[differences_lib.Difference]) -> page.Table:
    """Differences of a run to the reference, and how to read each."""
    return page.Table(
        ["metric", "difference", "95 % interval"],
        [
            [
                comparison.HEADLINES[row.metric],
                page.Text(f"{_sign(row)} {row.value:+.4f}", row.value),
                page.Text("{:+.4f} to {:+.4f}".format(*row.ends), row.ends[0]),
            ]
            for row in rows
        ],
    )


def _sign(row: differences_lib.Difference) -> str:
    if row.contains_zero:
        return "○"
    return "▲" if row.is_better else "▼"


def runs(
    evaluations: Mapping[str, results.Evaluation],
    learned: Mapping[str, history.History | None],
) -> page.Table:
    """What each run is, and what it took; "" where nobody knows."""
    rows: list[list[page.Cell]] = []
    for name, evaluation in evaluations.items():
        model, origin = evaluation.model, evaluation.origin
        curves = learned[name]
        seconds = sum(curves.curves.get("seconds", ())) if curves else 0
        rows.append(
            [
                *(name, model.name, model.modality),
                model.num_parameters or "",
                (model.trained_on or "unknown")
                + _of_part(model.trained_on_part),
                len(curves.epochs) if curves else "",
                model.epoch or "",
                page.Text(_duration(seconds), seconds) if seconds > 0 else "",
                origin.device if origin else "",
            ]
        )
    return page.Table(
        [
            *("run", "network", "sensors", "parameters", "trained on"),
            *("epochs", "best epoch", "training time", "scored on"),
        ],
        rows,
    )


def made_of(evaluations: Mapping[str, results.Evaluation]) -> page.Table:
    """What scores were computed with and of; "unknown" in files of before."""
    return page.Table(
        [
            *("run", "scored", "weights", "dataset", "records"),
            "names and labels scored",
        ],
        [
            [
                name,
                str(run.origin or "unknown"),
                origin_lib.short(run.model.fingerprint),
                run.data.name + _of_part(run.data.part),
                origin_lib.short(run.data.records) or "unknown",
                origin_lib.short(run.data.fingerprint),
            ]
            for name, run in evaluations.items()
        ],
        texts=("scored",),
    )


def differing_options(
    options: Mapping[str, Mapping[str, object] | None],
) -> page.Table:
    """A column for each option in which runs differ; no column without any.

    Args:
      options: Run -> option -> value, the same options for all; a run of which
        they are unknown is left out.
    """
    known = {name: values for name, values in options.items() if values}
    columns = {
        name: [values[name] for values in known.values()]
        for name in next(iter(known.values()), {})
    }
    differing = {
        name: [option(value) for value in column]
        for name, column in columns.items()
        if any(value != column[0] for value in column)
    }
    rows = zip(known, *differing.values(), strict=True) if differing else ()
    return page.Table(["run", *differing], list(rows))


def option(value: object) -> str:
    """The value of an option in a few words."""
    if isinstance(value, bigearthnet.Statistics):
        # Files of the same name may hold other figures.
        figures = files.crc32(repr((value.mean, value.std)).encode())
        return f"{value.name} ({figures})"
    # Paths may be empty.
    return str(value) or "none"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"
