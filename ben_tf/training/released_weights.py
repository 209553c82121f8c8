"""Makes a workdir of a model that the paper's authors released."""

import os
import pathlib

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import files
from ben_tf import workdir as workdir_lib
from ben_tf.training import checkpoints
from ben_tf.training import configured_model
from ben_tf.training import exports
from ben_tf.training import slim_checkpoint


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
    run = workdir_lib.Workdir(workdir)
    if run.path.is_dir() and any(run.path.iterdir()):
        raise errors.UserError(
            f"The workdir {run} is in use. Expected a new or an empty folder. "
            "Choose another `workdir`."
        )
    files.check_writable(run.path, is_folder=True)
    # Before the network, which takes seconds to build.
    slim_checkpoint.open_checkpoint(checkpoint)
    network = configured_model.make_model(config)
    slim_checkpoint.read_model(checkpoint, network, modality=modality)
    run.write_config(config)
    run.write_data(
        workdir_lib.DataDescription(
            name=f"bigearthnet (imported: {pathlib.Path(checkpoint).name})",
            synthetic=False,
            patches={},
        )
    )
    checkpoints.save_best(run, network)
    return exports.export_best(workdir)
