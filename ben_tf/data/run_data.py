"""The dataset that a run was trained on, for whoever names none."""

import os
import pathlib

import msgspec

from ben_tf import errors
from ben_tf import files

# As `workdir.Workdir` names it, which a test compares.
CONFIG_FILE = "config.json"


class _Config(msgspec.Struct):
    """What matters here of the configuration of a run."""

    data_dir: str


def of_model(
    saved_model: str | os.PathLike, data_dir: str | os.PathLike | None = None
) -> str:
    """The folder of TFDS datasets to read for a model.

    Args:
      saved_model: Folder of an exported model.
      data_dir: What was named; None: what the workdir around the model records.

    Raises:
      UserError: There is no such workdir, or its dataset is gone.
    """
    if data_dir is not None:
        return os.fspath(data_dir)
    workdir = pathlib.Path(os.path.abspath(saved_model)).parent
    config_file = workdir / CONFIG_FILE
    if not config_file.is_file():
        raise errors.UserError(
            f"The model {saved_model} does not lie in the workdir of a run, "
            "which would say what it was trained on. Expected `data_dir`, the "
            "folder with the dataset."
        )
    config = files.read_json(
        config_file, _Config, remedy="Give `data_dir` to go on without it."
    )
    return check_there(config.data_dir, workdir)


def check_there(recorded: str, workdir: object) -> str:
    """The folder that a run records, if it is still there.

    Args:
      recorded: `data_dir` of its configuration.
      workdir: The folder of the run, as a message names it.

    Raises:
      UserError: It is not.
    """
    path = os.path.expanduser(recorded)
    if not os.path.isdir(path):
        raise errors.UserError(
            f"The dataset of the run in {workdir} is not where it was in "
            f"training: no folder {os.path.abspath(path)}. Bring it back, or "
            "say by `data_dir` where it is now."
        )
    return path
