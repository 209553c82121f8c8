r"""Trains a model on BigEarthNet-MM and exports it.

    python -m ben_tf.train --data_dir=data --workdir=runs/resnet50 \
        --model=resnet50 --modality=MM

The workdir receives config.json, history.csv, logs/ (TensorBoard), the last
and the best checkpoint, and saved_model/, exported from the best one. The same
command again goes on where an interrupted run stopped. With --dry_run it says
what the run would take, and leaves nothing.
"""

import os
import pathlib
import sys
from collections.abc import Callable

from absl import flags

from ben_tf import command_line
from ben_tf import config as config_lib
from ben_tf import config_file
from ben_tf import config_flags

flags.adopt_module_key_flags(command_line)


def train(
    config: config_lib.Config, workdir: str | os.PathLike
) -> pathlib.Path:
    """Trains, or goes on with, the run that `config` describes.

    Args:
      config: What to train, on which data.
      workdir: Folder for the results; new, or of the same run.

    Returns:
      The folder of the SavedModel with the best weights.

    Raises:
      UserError: No dataset, a workdir with another configuration, a split that
        is empty or smaller than a batch, or an optimiser that is not to be had.
    """
    # TensorFlow takes seconds to import; --help should not.
    from ben_tf import checkpoints as checkpoints_lib
    from ben_tf import class_weights
    from ben_tf import distribution
    from ben_tf import fitting
    from ben_tf import input_pipeline
    from ben_tf import training
    from ben_tf import transfer

    workdir = pathlib.Path(workdir)
    strategy = distribution.make_strategy(config.strategy)
    is_chief = distribution.is_chief(strategy)
    builder = input_pipeline.open_dataset(config.data_dir)
    if is_chief:
        _prepare_workdir(config, workdir)
        training.write_data_description(builder, workdir)
    training.make_repeatable(config.seed)
    run = training.make_run(
        config,
        builder,
        strategy=strategy,
        positive_weights=class_weights.of_run(
            config, builder, workdir if is_chief else None
        ),
        # A run that goes on needs no weights to start from.
        initialise=None
        if checkpoints_lib.has_state(workdir)
        else transfer.load_initial_weights,
    )
    with (
        distribution.folder_to_write(strategy, workdir) as written_to,
        strategy.scope(),
    ):
        checkpoints = checkpoints_lib.Checkpoints(
            workdir,
            model=run.model,
            optimizer=run.optimizer,
            metrics=run.epoch_metrics,
            steps_per_epoch=run.steps_per_epoch,
            every_steps=config.checkpoint_every_steps,
            patience=config.early_stopping_patience,
            written_to=written_to,
        )
        steps_done = checkpoints.restore_last()
        progress = f", going on after step {steps_done}" if steps_done else ""
        print(run.summary + progress, flush=True)
        # Nobody writes before all have read.
        distribution.wait_for_all(strategy)
        fitting.fit(run, checkpoints, workdir)
    if is_chief:
        training.export_best(workdir)
    # To the chief, a worker that has left would seem lost.
    distribution.wait_for_all(strategy)
    return workdir / training.SAVED_MODEL_FOLDER


def dry_run(config: config_lib.Config) -> None:
    """Prints what the run would take, and takes a few steps to say how long.

    Nothing is written.

    Args:
      config: What would be trained, on which data.

    Raises:
      UserError: As `train`, but for the workdir; memory does not suffice.
    """
    from ben_tf import distribution
    from ben_tf import dry_run as dry_run_lib
    from ben_tf import input_pipeline
    from ben_tf import training
    from ben_tf import transfer

    builder = input_pipeline.open_dataset(config.data_dir)
    strategy = distribution.make_strategy(config.strategy)
    training.make_repeatable(config.seed)
    run = training.make_run(
        config,
        builder,
        strategy=strategy,
        # To count labels would read the whole split; any weights take as long.
        positive_weights=[1.0] * config.num_classes,
        initialise=transfer.load_initial_weights,
    )
    plan = dry_run_lib.plan(run)
    print(dry_run_lib.describe(plan), flush=True)
    print(dry_run_lib.describe_time(plan, dry_run_lib.measure(run)))


def _prepare_workdir(config: config_lib.Config, workdir: pathlib.Path) -> None:
    """Creates the workdir, or makes sure that it belongs to this run."""
    if (workdir / config_file.FILE_NAME).exists():
        config_file.check_same(config, workdir)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        config_file.write(config, workdir)
    except OSError as error:
        raise command_line.UserError(
            f"Cannot write to the workdir {workdir}: {error.strerror}. "
            "Expected a folder that can be created and written. Choose another "
            "--workdir."
        ) from error


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    workdir = flags.DEFINE_string(
        "workdir", None, "Folder for all that the run leaves."
    )
    is_dry_run = flags.DEFINE_bool(
        "dry_run",
        False,
        "Print parameters, memory, steps, bytes to read and, after a few "
        "measured steps, an estimate of the time; needs no --workdir and "
        "leaves nothing.",
    )
    flags.register_multi_flags_validator(
        ["workdir", "dry_run"],
        lambda values: values["workdir"] or values["dry_run"],
        message="Expected --workdir=FOLDER, or --dry_run.",
    )
    config_flags.define_flags()
    flags.adopt_module_key_flags(config_flags)

    def main() -> None:
        from ben_tf import distribution
        from ben_tf import interruption

        # The validator lets no other command do without a workdir.
        if is_dry_run.value or workdir.value is None:
            dry_run(config_flags.from_flags())
            return
        try:
            saved_model = train(config_flags.from_flags(), workdir.value)
        except interruption.Terminated as error:
            print(error)
            sys.exit(interruption.EXIT_CODE)
        except distribution.LOST_WORKER as error:
            distribution.start_anew(error)
        print(f"Exported the best model to {saved_model}")

    return main


if __name__ == "__main__":
    command_line.run(command, uses_tensorflow=True)
