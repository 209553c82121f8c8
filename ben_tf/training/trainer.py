"""Trains the run that a configuration describes, or says what it would take."""

import os
import pathlib
import time
from collections.abc import Sequence

import tensorflow as tf
import tensorflow_datasets as tfds

from ben_tf import config as config_lib
from ben_tf import files
from ben_tf import folder_lock
from ben_tf import workdir as workdir_lib
from ben_tf.data import built_dataset
from ben_tf.data import subsets
from ben_tf.training import checkpoint_files
from ben_tf.training import checkpoints as checkpoints_lib
from ben_tf.training import class_weights
from ben_tf.training import configured_model
from ben_tf.training import devices as devices_lib
from ben_tf.training import dry_run as dry_run_lib
from ben_tf.training import exports
from ben_tf.training import fitting
from ben_tf.training import initial_weights
from ben_tf.training import machine_memory
from ben_tf.training import runs
from ben_tf.training import step_time

# A minute, with what Python and TensorFlow take to start.
_DRY_RUN_S = 45


def train(
    config: config_lib.Config,
    path: str | os.PathLike,
    *,
    callbacks: Sequence[tf.keras.callbacks.Callback] = (),
) -> pathlib.Path:
    """Trains or resumes the run that `config` describes.

    Args:
      config: What to train, on which data.
      path: The workdir, for the results; new, or of the same run.
      callbacks: Keras' callbacks to call beside those of this package, by the
        first of several workers. A run that resumes within an epoch begins
        twice: with the rest of that epoch, and with the next one.

    Returns:
      The folder of the SavedModel with the best weights.

    Raises:
      UserError: No dataset, a workdir with another configuration or in use, a
        split that is empty or smaller than a batch, or an optimiser that is
        missing.
    """
    workdir = workdir_lib.Workdir(path)
    devices = devices_lib.make_devices(
        config.strategy, worker_timeout_s=config.worker_timeout_s
    )
    builder = _open_dataset(config)
    if not devices.is_chief:
        return _train(config, workdir, devices, builder, callbacks)
    files.check_writable(workdir.path, is_folder=True)
    with folder_lock.alone_in(
        workdir.path,
        message=f"Another process trains in {workdir}. Wait for it, or choose "
        "another `workdir`.",
    ):
        return _train(config, workdir, devices, builder, callbacks)


def _train(
    config: config_lib.Config,
    workdir: workdir_lib.Workdir,
    devices: devices_lib.Devices,
    builder: tfds.core.DatasetBuilder,
    callbacks: Sequence[tf.keras.callbacks.Callback],
) -> pathlib.Path:
    data = _describe(builder, config) if devices.is_chief else None
    if data is not None:
        workdir.check_same_run(config)
        workdir.check_same_data(data)
        checkpoint_files.mend(workdir.last_checkpoints)
        checkpoint_files.mend(workdir.best_checkpoints)
    run = runs.make_run(
        config,
        builder,
        devices,
        positive_weights=class_weights.of_run(
            config, builder, workdir if devices.is_chief else None
        ),
        load_weights=not checkpoints_lib.has_state(workdir),
    )
    with devices.folder_to_write(workdir) as folder, devices.strategy.scope():
        checkpoints = fitting.make_checkpoints(run, folder)
        steps_done = checkpoints.restore_last(workdir)
        progress = f", resuming after step {steps_done}" if steps_done else ""
        print(run.summary + progress, flush=True)
        # Nobody writes before all have read.
        devices.wait_for_all()
        if data is not None:
            # Not before everything is known to fit together.
            before = (
                [workdir.read_data()]
                if steps_done
                else initial_weights.trained_on(config)
            )
            workdir.write_data(data.after(before))
            workdir.write_config(config)
        fitting.fit(run, checkpoints, workdir, callbacks)
    if devices.is_chief:
        exports.export_best(workdir.path)
    # To the chief, a worker that has left would seem lost.
    devices.wait_for_all()
    return workdir.saved_model


def dry_run(config: config_lib.Config) -> None:
    """Prints what the run would take, and takes a few steps to say how long.

    Nothing is written.

    Args:
      config: What would be trained, on which data.

    Raises:
      UserError: As `train`, except about the workdir; not enough memory.
    """
    start = time.monotonic()
    run = runs.make_run(
        config,
        _open_dataset(config),
        devices_lib.make_devices(
            config.strategy, worker_timeout_s=config.worker_timeout_s
        ),
        # To count labels would read the whole split; any weights take as long.
        positive_weights=[1.0] * config.num_classes,
        load_weights=True,
    )
    size, memory = dry_run_lib.size_of(run), machine_memory.find()
    print(dry_run_lib.describe(run, size, memory), flush=True)
    found = step_time.measure(
        run,
        most_patches=min(
            config.batch_size,
            dry_run_lib.largest_batch(run, size, memory)
            or run.devices.strategy.num_replicas_in_sync,
        ),
        limit_s=_DRY_RUN_S - (time.monotonic() - start),
    )
    print(dry_run_lib.describe_time(run, found))


def _open_dataset(config: config_lib.Config) -> tfds.core.DatasetBuilder:
    """Finds the dataset, which must have the labels and sensors asked for."""
    builder = built_dataset.open_dataset(config.data_dir)
    built_dataset.check_num_classes(builder, config.num_classes)
    built_dataset.check_grids(
        builder, configured_model.preprocessing_of(config).raw_grids
    )
    return builder


def _describe(
    builder: tfds.core.DatasetBuilder, config: config_lib.Config
) -> workdir_lib.DataDescription:
    """What data.json keeps of a dataset."""
    parts = [built_dataset.part(builder)]
    if subsets.has_conditions(config.train_split):
        parts.append(config.train_split)
    return workdir_lib.DataDescription(
        name=builder.info.full_name,
        synthetic=built_dataset.is_synthetic(builder),
        patches={
            name: split.num_examples
            for name, split in sorted(builder.info.splits.items())
        },
        fingerprint=built_dataset.fingerprint(builder),
        part="; ".join(filter(None, parts)),
    )
