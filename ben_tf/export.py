"""Exports the best checkpoint of a training run as a SavedModel.

    python -m ben_tf.export --workdir=runs/resnet50

Training does so at its end; this is for a run that is still going on, or one
that was interrupted.
"""

from absl import flags

from ben_tf import command_line

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the training run.", required=True
)
flags.adopt_module_key_flags(command_line)


def main() -> None:
    """Exports the run that the flags name."""
    from ben_tf import training

    path = training.export_best(_WORKDIR.value)
    print(f"Exported the best model to {path}")


if __name__ == "__main__":
    command_line.run(main, uses_tensorflow=True)
