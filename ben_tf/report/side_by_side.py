"""The page that sets several runs side by side."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence

from ben_tf import errors
from ben_tf import files
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import comparison
from ben_tf.evaluation import differences
from ben_tf.evaluation import freshness
from ben_tf.evaluation import history
from ben_tf.evaluation import kinds
from ben_tf.evaluation import published as published_lib
from ben_tf.evaluation import results
from ben_tf.pages import page
from ben_tf.plots import style
from ben_tf.plots import variants
from ben_tf.report import bars
from ben_tf.report import tables


@dataclasses.dataclass(frozen=True)
class Run:
    """What a comparison reads of a run.

    Attributes:
      workdir: Its folder.
      evaluation: Its scores.
      options: How it was set up; None where config.json was lost.
      learned: How it learned; None where no epoch was trained.
    """

    workdir: workdir_lib.Workdir
    evaluation: results.Evaluation
    options: Mapping[str, object] | None
    learned: history.History | None

    @classmethod
    def read(cls, path: str | os.PathLike, split: str) -> "Run":
        """Reads the files of a run.

        Raises:
          UserError: It was not evaluated on this split, went on after it, or a
            file is damaged.
        """
        workdir = workdir_lib.Workdir(path)
        evaluation = results.Evaluation.read(workdir, split)
        learned = history.History.read(workdir)
        freshness.check_best(
            workdir, evaluation.model.epoch, learned, what="the scores"
        )
        has_config = workdir.config_file.is_file()
        options = vars(workdir.read_config()) if has_config else None
        return cls(workdir, evaluation, options, learned)


@dataclasses.dataclass(frozen=True)
class Section:
    """Runs whose scores are of the same kind.

    Attributes:
      kind: What they have in common.
      notes: What a reader should know first, in sentences.
      bars: Heading -> charts of headline metrics with what they say in words,
        all on one scale.
      reference: The run that the others are subtracted from.
      differences: Another run -> its differences to that.
      omitted: Why there are none of a run, in sentences.
      curves: Validation scores by epoch; None where no run has any.
      classes: F2 of each class; None for too many runs.
      headline_table: Headline metrics, with published ones of the same kind.
      class_table: F2 of each class, likewise.
      sources: Whose published figures are shown.
    """

    kind: kinds.Kind
    notes: Sequence[str]
    bars: Mapping[str, Sequence[tuple[str, style.Picture]]]
    reference: str
    differences: Mapping[str, page.Table]
    omitted: Sequence[str]
    curves: style.Picture | None
    classes: style.Picture | None
    headline_table: page.Table
    class_table: page.Table
    sources: Sequence[published_lib.Published]


def write_comparison(
    *,
    runs: Sequence[str],
    split: str = "test",
    reference: str | None = None,
    output: str | None = None,
) -> pathlib.Path:
    """Writes a page that compares evaluated runs.

    Args:
      runs: Workdirs, in the order of rows and columns.
      split: Evaluated split, the same for all.
      reference: The workdir that the others are subtracted from; None: the
        first. Where it is of another kind, the first of each kind.
      output: File to write, or None for comparison.html next to the first run.

    Returns:
      The file.

    Raises:
      UserError: A run was not evaluated on this split, or went on after it, its
        files are damaged, or `reference` is none of the runs.
    """
    path = output or pathlib.Path(runs[0]).resolve().parent / "comparison.html"
    files.check_writable(path)
    names = short_names(runs)
    chosen = names[_position(reference, runs) if reference else 0]
    compared = {
        name: Run.read(run, split)
        for name, run in zip(names, runs, strict=True)
    }
    groups = kinds.grouped(
        compared,
        {
            name: kinds.of_evaluation(run.evaluation)
            for name, run in compared.items()
        },
    )
    limit = bars.limit_of_errors([run.evaluation for run in compared.values()])
    sections = [
        _section(
            kind,
            group,
            reference=chosen if chosen in group else next(iter(group)),
            error_limit=limit,
        )
        for kind, group in groups.items()
    ]
    content = page.render(
        "comparison",
        split=shown(split),
        num_runs=len(compared),
        all_synthetic=bool(groups) and all(kind.synthetic for kind in groups),
        missing=[
            f"No file {shown(str(run.workdir.config_file))}: the page does not "
            f"show how {name} was set up."
            for name, run in compared.items()
            if run.options is None
        ],
        runs=tables.runs(
            {name: run.evaluation for name, run in compared.items()},
            {name: run.learned for name, run in compared.items()},
        ),
        options=tables.differing_options(
            {name: run.options for name, run in compared.items()}
        ),
        why_apart=kinds.reasons(groups),
        sections=sections,
        made_of=tables.made_of(
            {name: run.evaluation for name, run in compared.items()}
        ),
    )
    return files.write(path, content)


def short_names(runs: Sequence[str | os.PathLike]) -> list[str]:
    """Paths without what all of them share, so that columns stay narrow."""
    paths = [os.path.abspath(run) for run in runs]
    common = os.path.commonpath([os.path.dirname(path) for path in paths])
    names = [shown(os.path.relpath(path, common)) for path in paths]
    if len(set(names)) < len(names):
        # Such as the same run twice: number them.
        return [f"{number} {name}" for number, name in enumerate(names, 1)]
    return names


def shown(path: str) -> str:
    """A path as a page can hold it: any bytes may be the name of a file."""
    return "".join(c if c.isprintable() else "\ufffd" for c in path)


def _position(reference: str, runs: Sequence[str]) -> int:
    """Which of the runs is meant.

    Raises:
      UserError: None is.
    """
    paths = [os.path.realpath(run) for run in runs]
    path = os.path.realpath(reference)
    if path not in paths:
        raise errors.UserError(
            f"`reference` is none of the runs to compare. Expected one of "
            f"{', '.join(runs)}. Received: {reference}"
        )
    return paths.index(path)


def _section(
    kind: kinds.Kind,
    runs: Mapping[str, Run],
    *,
    reference: str,
    error_limit: float,
) -> Section:
    evaluations = {name: run.evaluation for name, run in runs.items()}
    # One version has one source.
    published = comparison.published_for(evaluations[reference])
    found = differences.to_reference(
        {name: run.workdir for name, run in runs.items()},
        evaluations,
        reference,
    )
    sources = [published] if kind == kinds.of_published(published) else []
    notes = _not_comparable(evaluations, published)
    if not sources:
        notes.append(
            f"Figures of {published.whose} are left out: they are of "
            f"{kinds.of_published(published)}."
        )
    if len({x.data.fingerprint for x in evaluations.values()}) > 1:
        notes.append(
            "These runs were not scored on the same patches and labels: "
            "differences between them may come from the data."
        )
    if len(runs) > variants.MOST_VARIANTS:
        notes.append(
            f"More than {variants.MOST_VARIANTS} runs: charts with a line or a "
            "mark for each could not be read and are left out."
        )
    curves = {
        name: (run.learned.epochs, run.learned.curves[workdir_lib.MONITOR])
        for name, run in runs.items()
        if run.learned and workdir_lib.MONITOR in run.learned.curves
    }
    if without := [name for name in runs if name not in curves]:
        notes.append(f"No curve of training of {', '.join(without)}.")
    is_drawn = len(runs) <= variants.MOST_VARIANTS
    return Section(
        kind=kind,
        notes=notes,
        bars=bars.of_metrics(evaluations, error_limit, kind.synthetic),
        reference=reference,
        differences={
            name: tables.differences(rows)
            for name, rows in found.of_run.items()
        },
        # They name files.
        omitted=[*map(shown, found.omitted)],
        curves=variants.curves(
            curves,
            x_label="epoch",
            y_label="AP macro, validation",
            synthetic=kind.synthetic,
        )
        if curves and is_drawn
        else None,
        classes=variants.interval_rows(
            {
                name: {
                    row.name: (row.ours, row.interval)
                    for row in comparison.class_rows(evaluation, published)
                }
                for name, evaluation in evaluations.items()
            },
            label="F2",
            synthetic=kind.synthetic,
        )
        if is_drawn
        else None,
        headline_table=tables.headlines(evaluations, sources),
        class_table=tables.class_f2(evaluations, sources),
        sources=sources,
    )


def _not_comparable(
    evaluations: Mapping[str, results.Evaluation],
    published: published_lib.Published,
) -> list[str]:
    """Which runs do not compare with published ones, and why."""
    runs_of: dict[str, list[str]] = {}
    for name, evaluation in evaluations.items():
        if why := comparison.reasons(evaluation, published):
            runs_of.setdefault(", ".join(why), []).append(name)
    return [
        f"{', '.join(names)}: not comparable with {published.whose} ({why})."
        for why, names in runs_of.items()
    ]
