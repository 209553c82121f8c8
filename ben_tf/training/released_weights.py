"""Makes a workdir of a model that was released: with the paper, or v2.0."""

import os
import pathlib
from collections.abc import Callable

import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import files
from ben_tf import finite
from ben_tf import workdir as workdir_lib
from ben_tf.training import checkpoints
from ben_tf.training import configured_model
from ben_tf.training import exports
from ben_tf.training import slim_checkpoint
from ben_tf.training import timm_checkpoint
from ben_tf.training import weights_hub


def import_checkpoint(
    *,
    checkpoint: str | os.PathLike,
    workdir: str | os.PathLike,
    model: str,
    modality: str,
    num_classes: int = 19,
    duplicate_vv: bool = False,
) -> pathlib.Path:
    """Turns a checkpoint of the authors into a workdir.

    Args:
      checkpoint: Prefix of the checkpoint, one of its files, or its folder.
      workdir: Folder to fill; new or empty.
      model: A VGG or ResNet.
      modality: "MM" or "S2".
      num_classes: 19 or 43.
      duplicate_vv: Whether to give the model VV in place of VH; see the flag's
        help.

    Returns:
      The folder of the SavedModel.

    Raises:
      UserError: No such checkpoint, one that is damaged or of another network,
        or a workdir that is in use or cannot be written.
    """
    config = config_lib.Config(
        model=model,
        modality=modality,
        fusion="early",
        num_classes=num_classes,
        duplicate_vv=duplicate_vv,
    )
    run = _new_run(workdir)
    # Before the network, which takes seconds to build.
    slim_checkpoint.open_checkpoint(checkpoint)
    return _import(
        run,
        config,
        lambda network: slim_checkpoint.read_model(
            checkpoint, network, modality=modality
        ),
        trained_on=f"bigearthnet (imported: {pathlib.Path(checkpoint).name})",
    )


def import_reben(
    *,
    weights: str | os.PathLike,
    workdir: str | os.PathLike,
    weights_version: str | None = None,
) -> pathlib.Path:
    """Turns weights that were released with v2.0 into a workdir.

    Args:
      weights: Their folder, or their name on Hugging Face.
      workdir: Folder to fill; new or empty.
      weights_version: One of `timm_checkpoint.BAND_ORDERS`; not needed where a
        name on the hub ends in it.

    Returns:
      The folder of the SavedModel.

    Raises:
      UserError: No such weights, damaged ones or of another network, a version
        that is not known, or a workdir that is in use or cannot be written.
    """
    run = _new_run(workdir)
    folder, named_version = weights_hub.find(weights)
    described = timm_checkpoint.read_description(folder)
    versions = ", ".join(timm_checkpoint.BAND_ORDERS)
    if weights_version and named_version not in (None, weights_version):
        raise errors.UserError(
            f"{weights} is of version {named_version}. Received: "
            f"`weights_version={weights_version}`"
        )
    version = weights_version or named_version
    if version not in timm_checkpoint.BAND_ORDERS:
        raise errors.UserError(
            "The order of the bands changed between versions of the released "
            f"weights, and {folder} does not say which it has: the network "
            "would take one band for another. Pass `weights_version`, one of "
            f"{versions}; the name on Hugging Face ends in it. Received: "
            f"{version!r}"
        )
    config = config_lib.Config(
        model=described.model,
        modality=described.modality,
        fusion="early",
        num_classes=19,
        statistics=bigearthnet.STATISTICS["v2"],
    )
    name = pathlib.Path(weights).name
    return _import(
        run,
        config,
        lambda network: timm_checkpoint.read_model(
            folder,
            network,
            modality=described.modality,
            weights_version=version,
        ),
        trained_on=f"{bigearthnet.DATASET_NAME}/v2/imported: {name}, {version}",
    )


def _new_run(workdir: str | os.PathLike) -> workdir_lib.Workdir:
    """Raises UserError unless the folder is empty and can be written."""
    run = workdir_lib.Workdir(workdir)
    # A lock of a command that failed does not count.
    if run.path.is_dir() and any(run.path.glob("[!.]*")):
        raise errors.UserError(
            f"The workdir {run} is in use. Expected a new or an empty folder. "
            "Choose another `workdir`."
        )
    files.check_writable(run.path, is_folder=True)
    return run


def _import(
    run: workdir_lib.Workdir,
    config: config_lib.Config,
    read_weights: Callable[[tf.keras.Model], None],
    *,
    trained_on: str,
) -> pathlib.Path:
    """Fills a workdir with a network and its weights; returns the export."""
    network = configured_model.make_model(config)
    read_weights(network)
    finite.check(network.variables, "The imported weights")
    run.write_config(config)
    run.write_data(
        workdir_lib.DataDescription(
            name=trained_on, synthetic=False, patches={}
        )
    )
    checkpoints.save_best(run, network)
    return exports.export(network, run)
