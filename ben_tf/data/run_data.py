"""The dataset that a run was trained on, for whoever names none."""

import os
import pathlib

import msgspec

from ben_tf import errors
from ben_tf import files
from ben_tf.data import built_dataset

# As `workdir.Workdir` names it, which a test compares.
CONFIG_FILE = "config.json"
DATA_FILE = "data.json"


class _Config(msgspec.Struct):
    """What matters here of the configuration of a run."""

    data_dir: str


class _Data(msgspec.Struct):
    """What matters here of the dataset that a run saw.

    Attributes:
      name: Such as "bigearthnet_mm/v1/1.0.0".
    """

    name: str


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


def check_there(recorded: str, workdir: str | os.PathLike) -> str:
    """The folder that a run records, if it is still there.

    Args:
      recorded: `data_dir` of its configuration.
      workdir: The folder of the run.

    Returns:
      The folder; where another version of BigEarthNet has been built there
      since, that of the version that the run saw.

    Raises:
      UserError: It is not there.
    """
    path = os.path.expanduser(recorded)
    if not os.path.isdir(path):
        raise errors.UserError(
            f"The dataset of the run in {workdir} is not where it was in "
            f"training: no folder {os.path.abspath(path)}. Bring it back, or "
            "say by `data_dir` where it is now."
        )
    configs = {folder.parent for folder in built_dataset.built_versions(path)}
    data_file = pathlib.Path(workdir) / DATA_FILE
    if len(configs) > 1 and data_file.is_file():
        seen = files.read_json(
            data_file, _Data, remedy="Give `data_dir` to go on without it."
        )
        for config in configs:
            if seen.name.split("/")[:2] == [*config.parts[-2:]]:
                return os.fspath(config)
    return path
