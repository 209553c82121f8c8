"""Exports the best checkpoint of a training run as a SavedModel.

    python -m ben_tf.export --workdir=runs/resnet50

Training does so at its end; this is for a run that has not finished, or was
interrupted.
"""

from collections.abc import Callable

from ben_tf import command_line
from ben_tf import path_flags


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    workdir = path_flags.define_path(
        "workdir", None, "Folder of the training run.", required=True
    )

    def main() -> None:
        command_line.import_tensorflow()
        from ben_tf.training import exports

        path = exports.export_best(workdir.value)
        print(f"Exported the best model to {path}")

    return main


if __name__ == "__main__":
    command_line.run(command)
