"""One self-contained HTML page about a run, several side by side, or all.

    python -m ben_tf.report --workdir=runs/resnet50
    python -m ben_tf.report --runs=runs/s1,runs/s2,runs/mm
    python -m ben_tf.report --runs_dir=runs

Run python -m ben_tf.evaluate first: the pages show what it wrote. Before, the
report shows how the run learned, and the list of all runs its state.
"""

from collections.abc import Callable
from collections.abc import Mapping

from absl import flags

from ben_tf import command_line
from ben_tf import errors
from ben_tf import path_flags


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    workdir = path_flags.define_path(
        "workdir",
        None,
        "Folder of the evaluated run; report.html is put there.",
    )
    data_dir = path_flags.define_path(
        "data_dir",
        None,
        "Folder with the TFRecords, for the pictures of patches. By default "
        "the one that the run was trained on.",
    )
    split = flags.DEFINE_string(
        "split", "test", "Which evaluated split to show."
    )
    index = path_flags.define_path(
        "index",
        None,
        "Folder of an index that python -m ben_tf.retrieval built; shows one "
        "query and its nearest patches. By default WORKDIR/index if it exists.",
    )
    runs = path_flags.define_paths(
        "runs",
        [],
        "Comma-separated workdirs of evaluated runs: compares them on one page "
        "instead, such as an ablation of the sensors.",
    )
    reference = path_flags.define_path(
        "reference",
        None,
        "With --runs: the one that the others are subtracted from. By default "
        "the first.",
    )
    runs_dir = path_flags.define_path(
        "runs_dir",
        None,
        "Folder of workdirs, at any depth: lists all of them on one page "
        "instead, with state, options and scores.",
    )
    output = path_flags.define_path(
        "output",
        None,
        "File to write. By default WORKDIR/report.html, comparison.html next "
        "to the first of --runs, or RUNS_DIR/runs.html.",
    )

    def main() -> None:
        _check_flags(
            {flag.name: flag.value for flag in (workdir, runs, runs_dir)},
            {
                "workdir": {"data_dir": data_dir.value, "index": index.value},
                "runs": {"reference": reference.value},
            },
        )
        command_line.import_tensorflow()
        if runs.value:
            from ben_tf.report import side_by_side

            path = side_by_side.write_comparison(
                runs=runs.value,
                split=split.value,
                reference=reference.value,
                output=output.value,
            )
        elif workdir.value:
            from ben_tf.report import reports

            path = reports.write_report(
                workdir=workdir.value,
                data_dir=data_dir.value,
                split=split.value,
                index=index.value,
                output=output.value,
            )
        else:
            from ben_tf.report import run_list

            path = run_list.write_list(
                runs_dir=runs_dir.value,
                split=split.value,
                output=output.value,
            )
        print(f"The report is {path}")

    return main


def _check_flags(
    pages: Mapping[str, object], of_page: Mapping[str, Mapping[str, object]]
) -> None:
    """Refuses to choose a page, or to pass over a flag of another one.

    Args:
      pages: Name -> value of the flags of which one chooses the page.
      of_page: Such a name -> name and value of the flags that go with it only.
    """
    chosen = [name for name, value in pages.items() if value]
    if len(chosen) != 1:
        raise errors.UserError(
            "Expected one of --workdir for a run, --runs to compare several, "
            "and --runs_dir to list all of a folder. Received: "
            + (", ".join(f"--{name}" for name in chosen) or "none of them")
        )
    for page, others in of_page.items():
        for name, value in others.items():
            if value and page not in chosen:
                raise errors.UserError(
                    f"--{name} goes with --{page} only. Leave it out with "
                    f"--{chosen[0]}."
                )


if __name__ == "__main__":
    command_line.run(command)
