"""One self-contained HTML page about a run, or about several side by side.

    python -m ben_tf.report --workdir=runs/resnet50
    python -m ben_tf.report --runs=runs/s1,runs/s2,runs/mm

Run python -m ben_tf.evaluate first: the page shows what it wrote.
"""

from collections.abc import Callable

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
    output = path_flags.define_path(
        "output",
        None,
        "File to write. By default WORKDIR/report.html, or comparison.html "
        "next to the first of --runs.",
    )

    def main() -> None:
        if not (runs.value or workdir.value):
            raise errors.UserError(
                "Nothing to report on. Expected --workdir for one run, or "
                "--runs to compare several."
            )
        command_line.import_tensorflow()
        from ben_tf.report import reports

        if runs.value:
            path = reports.write_comparison(
                runs=runs.value, split=split.value, output=output.value
            )
        else:
            path = reports.write_report(
                workdir=workdir.value,
                data_dir=data_dir.value,
                split=split.value,
                index=index.value,
                output=output.value,
            )
        print(f"The report is {path}")

    return main


if __name__ == "__main__":
    command_line.run(command)
