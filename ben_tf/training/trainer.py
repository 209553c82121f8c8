"""Trains the run that a configuration describes, or says what it would take."""

import os
import pathlib

import tensorflow_datasets as tfds

from ben_tf import config as config_lib
from ben_tf import workdir as workdir_lib
from ben_tf.data import built_dataset
from ben_tf.training import checkpoints as checkpoints_lib
from ben_tf.training import class_weights
from ben_tf.training import devices
from ben_tf.training import dry_run as dry_run_lib
from ben_tf.training import exports
from ben_tf.training import fitting
from ben_tf.training import initial_weights
from ben_tf.training import runs


def train(config: config_lib.Config, path: str | os.PathLike) -> pathlib.Path:
    """Trains, or goes on with, the run that `config` describes.

    Args:
      config: What to train, on which data.
      path: The workdir, for the results; new, or of the same run.

    Returns:
      The folder of the SavedModel with the best weights.

    Raises:
      UserError: No dataset, a workdir with another configuration, a split that
        is empty or smaller than a batch, or an optimiser that is not to be had.
    """
    workdir = workdir_lib.Workdir(path)
    strategy = devices.make_strategy(config.strategy)
    is_chief = devices.is_chief(strategy)
    builder = built_dataset.open_dataset(config.data_dir)
    if is_chief:
        workdir.check_same_run(config)
        workdir.write_config(config)
        workdir.write_data(_describe(builder))
    runs.make_repeatable(config.seed)
    run = runs.make_run(
        config,
        builder,
        strategy=strategy,
        positive_weights=class_weights.of_run(
            config, builder, workdir if is_chief else None
        ),
        # A run that goes on needs no weights to start from.
        initialise=None
        if checkpoints_lib.has_state(workdir)
        else initial_weights.load_initial_weights,
    )
    with (
        devices.folder_to_write(strategy, workdir) as written_to,
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
        devices.wait_for_all(strategy)
        fitting.fit(run, checkpoints, workdir)
    if is_chief:
        exports.export_best(workdir.path)
    # To the chief, a worker that has left would seem lost.
    devices.wait_for_all(strategy)
    return workdir.saved_model


def dry_run(config: config_lib.Config) -> None:
    """Prints what the run would take, and takes a few steps to say how long.

    Nothing is written.

    Args:
      config: What would be trained, on which data.

    Raises:
      UserError: As `train`, but for the workdir; memory does not suffice.
    """
    builder = built_dataset.open_dataset(config.data_dir)
    strategy = devices.make_strategy(config.strategy)
    runs.make_repeatable(config.seed)
    run = runs.make_run(
        config,
        builder,
        strategy=strategy,
        # To count labels would read the whole split; any weights take as long.
        positive_weights=[1.0] * config.num_classes,
        initialise=initial_weights.load_initial_weights,
    )
    plan = dry_run_lib.plan(run)
    print(dry_run_lib.describe(plan), flush=True)
    print(dry_run_lib.describe_time(plan, dry_run_lib.measure(run)))


def _describe(
    builder: tfds.core.DatasetBuilder,
) -> workdir_lib.DataDescription:
    """What data.json keeps of a dataset."""
    return workdir_lib.DataDescription(
        name=builder.info.full_name,
        synthetic=built_dataset.is_synthetic(builder),
        patches={
            name: split.num_examples
            for name, split in sorted(builder.info.splits.items())
        },
    )
