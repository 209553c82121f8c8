r"""Trains a model on BigEarthNet-MM and exports it.

    python -m ben_tf.train --data_dir=data --workdir=runs/resnet50 \
        --model=resnet50 --modality=MM

The workdir receives config.json, history.csv, logs/ (TensorBoard), the last
and the best checkpoint, and saved_model/, exported from the best one. Run the
same command again to resume an interrupted run. With --dry_run it says what the
run would take, and writes nothing.
"""

import sys
from collections.abc import Callable

from absl import flags

from ben_tf import command_line
from ben_tf import path_flags
from ben_tf.config import config_flags
from ben_tf.training import record_packages


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    workdir = path_flags.define_path(
        "workdir",
        None,
        "Folder for the results; new, or that of a run to resume.",
    )
    config_flags.define_experiment()
    is_dry_run = flags.DEFINE_bool(
        "dry_run",
        False,
        "Say in a minute what the run would take. Prints parameters, memory "
        "and whether it suffices, steps, bytes to read and, after a few "
        "measured steps, an estimate of the time; needs no --workdir and "
        "writes nothing.",
    )
    flags.register_multi_flags_validator(
        ["workdir", "dry_run"],
        lambda values: values["workdir"] or values["dry_run"],
        message="Expected --workdir=FOLDER, or --dry_run.",
    )
    log = flags.DEFINE_list(
        "log",
        [],
        "Also record the run with wandb (Weights & Biases) or mlflow, or with "
        "both, with a comma between them: packages to install first, which "
        "take their settings from variables of their own.",
    )
    flags.register_validator(
        log,
        lambda names: set(names) <= set(record_packages.NAMES),
        "Invalid --log. Expected wandb, mlflow, or both with a comma between.",
    )
    config_flags.define_flags()
    flags.adopt_module_key_flags(config_flags)

    def main() -> None:
        config = config_flags.from_flags()
        for name in log.value:
            record_packages.check_installed(name)
        command_line.import_tensorflow()
        from ben_tf.training import devices
        from ben_tf.training import interruption
        from ben_tf.training import run_logs
        from ben_tf.training import trainer

        # The validator lets no other command do without a workdir.
        if is_dry_run.value or workdir.value is None:
            trainer.dry_run(config)
            return
        try:
            saved_model = trainer.train(
                config,
                workdir.value,
                callbacks=[
                    run_logs.RunLog(name, config, workdir.value)
                    for name in log.value
                ],
            )
        except interruption.Terminated as error:
            print(error)
            sys.exit(error.exit_code)
        except devices.LOST_WORKER as error:
            devices.restart_process(error)
        print(f"Exported the best model to {saved_model}")

    return main


if __name__ == "__main__":
    command_line.run(
        command,
        rare=config_flags.rare_names(),
        groups={
            "run": ("workdir", "dry_run", "experiment", "log"),
            **config_flags.groups(),
        },
    )
