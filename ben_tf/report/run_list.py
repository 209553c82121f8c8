"""The page that lists all runs below a folder."""

import dataclasses
import datetime
import os
import pathlib
import urllib.parse
from collections.abc import Mapping

from ben_tf import errors
from ben_tf import files
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import comparison
from ben_tf.evaluation import freshness
from ben_tf.evaluation import history
from ben_tf.evaluation import kinds
from ben_tf.evaluation import results
from ben_tf.pages import page
from ben_tf.report import side_by_side
from ben_tf.report import tables

# What runs are chosen by, on the validation split as on the evaluated one.
_METRIC = workdir_lib.MONITOR.removeprefix("val_")


@dataclasses.dataclass(frozen=True)
class Run:
    """What the list shows of a run.

    Attributes:
      kind: What its scores are of.
      state: How far it is, in words.
      best: The best score on the validation split; None where there is none.
      best_epoch: Epoch of that score; 0 where there is none.
      scored: The score on the evaluated split, with its interval; None where
        there is none that belongs to the run's best weights and to `kind`.
      patches: SHA-256 of names and labels of the patches that it was scored
        on; "" without `scored`.
      options: Option -> value, for those that are not at their defaults.
    """

    kind: kinds.Kind
    state: str
    best: float | None
    best_epoch: int
    scored: page.Estimate | None
    patches: str
    options: Mapping[str, str]


def write_list(
    *,
    runs_dir: str | os.PathLike,
    split: str = "test",
    output: str | os.PathLike | None = None,
) -> pathlib.Path:
    """Writes a page with a row for each run below a folder.

    Args:
      runs_dir: Folder that is searched for workdirs, at any depth.
      split: Split whose scores are shown of runs that were evaluated on it.
      output: File to write, or None for RUNS_DIR/runs.html.

    Returns:
      The file.

    Raises:
      UserError: No such folder, or no run in it.
    """
    # Only letters and digits of a split are in the name of its file.
    split = side_by_side.shown(split)
    folder = pathlib.Path(runs_dir)
    path = pathlib.Path(output or folder / "runs.html")
    if not folder.is_dir():
        raise errors.UserError(
            f"No folder {folder}. Expected one with the workdirs of runs."
        )
    files.check_writable(path)
    workdirs, unread = find(folder)
    if not workdirs and not unread:
        raise errors.UserError(
            f"No run in {folder} or below. Expected folders that python -m "
            "ben_tf.train wrote to: correct `runs_dir`."
        )
    found: dict[str, Run] = {}
    damaged: dict[str, str] = {}
    cells: dict[str, page.Cell] = {}
    for name, run in workdirs.items():
        text = side_by_side.shown(name)
        cells[name] = page.Text(text, text)
        try:
            found[name] = read(run, split)
            cells[name] = page.Text(text, text, _report_of(run, path.parent))
        except errors.UserError as error:
            damaged[name] = str(error)
        except OSError as error:
            damaged[name] = f"{error.strerror}: {error.filename}."
    groups = kinds.grouped(found, {name: x.kind for name, x in found.items()})
    content = page.render(
        "runs",
        folder=side_by_side.shown(str(folder)),
        split=split,
        num_runs=len(workdirs),
        all_synthetic=bool(groups) and all(kind.synthetic for kind in groups),
        why_apart=kinds.reasons(groups),
        sections={
            kind: _section(runs, cells, workdirs, split)
            for kind, runs in groups.items()
        },
        differ_in_patches=[
            kind
            for kind, runs in groups.items()
            if len({run.patches for run in runs.values()} - {""}) > 1
        ],
        damaged=page.Table(
            ["run", "changed (UTC)", "what is wrong"],
            [
                *(
                    [
                        *(cells[name], _changed(workdirs[name])),
                        side_by_side.shown(text),
                    ]
                    for name, text in damaged.items()
                ),
                *([x, "", "The folder cannot be listed."] for x in unread),
            ],
            texts=("what is wrong",),
        ),
    )
    return files.write(path, content)


def find(
    folder: pathlib.Path,
) -> tuple[dict[str, workdir_lib.Workdir], list[str]]:
    """Looks for workdirs in a folder and below, without following links.

    Hidden folders, and those that belong to a run, are not searched.

    Returns:
      Name -> workdir, sorted by name; and the folders that cannot be read.
    """
    workdirs, unread, todo = [], [], [str(folder)]
    while todo:
        place = todo.pop()
        run = workdir_lib.Workdir(place)
        try:
            with os.scandir(place) as entries:
                is_folder = {
                    entry.name: entry.is_dir(follow_symlinks=False)
                    for entry in entries
                }
        except OSError:
            unread.append(place)
            continue
        inner = set()
        if any(path.name in is_folder for path in run.marks):
            workdirs.append(run)
            inner = {path.name for path in run.folders}
        todo += [
            os.path.join(place, name)
            for name in is_folder
            if is_folder[name] and name[0] != "." and name not in inner
        ]
    named = {
        str(run.path.relative_to(folder)): run
        for run in sorted(workdirs, key=lambda run: run.path)
    }
    return named, sorted(map(side_by_side.shown, unread))


def read(workdir: workdir_lib.Workdir, split: str) -> Run:
    """Reads what the list shows of a run.

    Raises:
      UserError: A file is damaged or missing.
      OSError: One cannot be read.
    """
    config = workdir.read_config()
    data = workdir.read_data()
    learned = history.History.read(workdir)
    kind = kinds.of_training(config.num_classes, data)
    state = [
        _progress(learned, config.epochs, config.early_stopping_patience)
        if data.patches
        else "imported weights"
    ]
    best_epoch = learned.best_epoch if learned is not None else 0
    scored, patches = None, ""
    if workdir.metrics_file(split).exists():
        evaluation = results.Evaluation.read(workdir, split)
        scored_kind = kinds.of_evaluation(evaluation)
        if freshness.is_stale(evaluation.model.epoch, learned):
            state.append(
                f"stale scores on {split}: of epoch {evaluation.model.epoch}, "
                f"the best is {best_epoch} now"
            )
        elif scored_kind != kind:
            state.append(f"scored on {split} of another kind: {scored_kind}")
        else:
            state.append("evaluated")
            scored = page.Estimate(
                evaluation.overall[_METRIC],
                comparison.both_ends(getattr(evaluation.intervals_95, _METRIC)),
            )
            patches = evaluation.data.fingerprint
    return Run(
        kind=kind,
        state=", ".join(state),
        best=None if learned is None else learned.best_score,
        best_epoch=best_epoch,
        scored=scored,
        patches=patches,
        options={
            name: tables.option(value)
            for name, value in workdir.read_set_options().items()
        },
    )


def _progress(
    learned: history.History | None, epochs: int, patience: int
) -> str:
    """How far a run is. Whether a process trains it now, no file tells."""
    if learned is None:
        return "no epoch yet"
    done = learned.epochs[-1]
    if done >= epochs:
        return "trained"
    if 0 < patience <= done - learned.best_epoch:
        return f"trained, stopped early at epoch {done} of {epochs}"
    return f"training at epoch {done} of {epochs}"


def _section(
    runs: Mapping[str, Run],
    cells: Mapping[str, page.Cell],
    workdirs: Mapping[str, workdir_lib.Workdir],
    split: str,
) -> tuple[str, page.Table]:
    """The options that all of several runs share, and a table with the rest."""
    first, *others = (set(run.options.items()) for run in runs.values())
    shared = first.intersection(*others) if others else set()
    rows: list[list[page.Cell]] = [
        [
            cells[name],
            run.state,
            "" if run.best is None else page.Estimate(run.best),
            run.best_epoch or "",
            run.scored or "",
            _listed(
                {k: x for k, x in run.options.items() if (k, x) not in shared}
            ),
            _changed(workdirs[name]),
            "synthetic" if run.kind.synthetic else "",
        ]
        for name, run in runs.items()
    ]
    options = "options" if not shared else "other options"
    table = page.Table(
        [
            *("run", "state", "AP macro, validation", "best epoch"),
            *(f"AP macro, {split}", options, "changed (UTC)", "data"),
        ],
        rows,
        texts=("state", options),
    )
    return _listed(dict(sorted(shared))), table


def _listed(options: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())


def _report_of(run: workdir_lib.Workdir, folder: pathlib.Path) -> str:
    """Address of the run's report, seen from a folder; "" without a report."""
    if not run.report.is_file():
        return ""
    # Bytes, since any may be in the name of a file.
    return urllib.parse.quote(os.fsencode(os.path.relpath(run.report, folder)))


def _changed(run: workdir_lib.Workdir) -> str:
    """When one of the run's own files was written last; "" if nobody knows."""
    times = []
    for path in (*run.marks, *run.metrics_file("").parent.glob("*.json")):
        try:
            time = datetime.datetime.fromtimestamp(
                path.stat().st_mtime, datetime.UTC
            )
        # No such file, or a year that no calendar has.
        except (OSError, OverflowError, ValueError):
            continue
        times.append(f"{time:%Y-%m-%d %H:%M}")
    return max(times, default="")
