"""Exports the best checkpoint of a run as a SavedModel."""

import os
import pathlib

import tensorflow as tf

from ben_tf import files
from ben_tf import saved_model
from ben_tf import workdir as workdir_lib
from ben_tf.training import checkpoints
from ben_tf.training import configured_model


def export_best(
    path: str | os.PathLike, output: str | os.PathLike | None = None
) -> pathlib.Path:
    """Exports the best checkpoint of a run as a SavedModel.

    Args:
      path: The workdir.
      output: The folder to write; default: WORKDIR/saved_model.

    Returns:
      The folder of the SavedModel.

    Raises:
      UserError: The folder holds no run, or none that finished an epoch.
    """
    workdir = workdir_lib.Workdir(path)
    config = workdir.read_config()
    output = pathlib.Path(output or workdir.saved_model)
    files.check_writable(output.absolute().parent, is_folder=True)
    model = configured_model.make_model(config)
    return export(
        model,
        workdir,
        epoch=checkpoints.restore_best(workdir, model),
        output=output,
    )


def export(
    model: tf.keras.Model,
    workdir: workdir_lib.Workdir,
    *,
    epoch: int = 0,
    output: pathlib.Path | None = None,
) -> pathlib.Path:
    """Exports a network as a SavedModel.

    Args:
      model: With the weights to export, from `configured_model.make_model` and
        the configuration of the run.
      workdir: Of the run.
      epoch: Of the weights; 0 for those that no epoch of ours made.
      output: The folder to write; default: WORKDIR/saved_model.

    Returns:
      The folder of the SavedModel.
    """
    config = workdir.read_config()
    data = workdir.read_data()
    return saved_model.save(
        model,
        output or workdir.saved_model,
        preprocessing=configured_model.preprocessing_of(config),
        name=config.model,
        trained_on_synthetic=data.synthetic,
        trained_on=data.names,
        epoch=epoch,
    )
