"""What a run leaves in its workdir: file names, config.json, data.json."""

import dataclasses
import json
import os
import pathlib

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import files

FILE_NAME = "config.json"
DATA_FILE = "data.json"
SAVED_MODEL_FOLDER = "saved_model"


def write(config: config_lib.Config, workdir: str | os.PathLike) -> None:
    """Writes config.json, atomically."""
    path = pathlib.Path(workdir) / FILE_NAME
    content = json.dumps(dataclasses.asdict(config), indent=2)
    files.write(path, content + "\n")


def read(workdir: str | os.PathLike) -> config_lib.Config:
    """Reads config.json.

    Raises:
      UserError: No such file, no JSON, an unknown field or a bad value.
    """
    path = pathlib.Path(workdir) / FILE_NAME
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise errors.UserError(
            f"{workdir} is no workdir of a training run: it has no "
            f"{FILE_NAME}. Train one with python -m ben_tf.train "
            f"--workdir={workdir}, or correct --workdir."
        ) from error
    except (OSError, ValueError) as error:
        raise errors.UserError(
            f"{path} cannot be read: {error}. Expected the JSON that "
            "ben_tf.train wrote."
        ) from error
    names = {field.name for field in dataclasses.fields(config_lib.Config)}
    if not isinstance(values, dict) or set(values) - names:
        unknown = (
            sorted(set(values) - names) if isinstance(values, dict) else ""
        )
        raise errors.UserError(
            f"{path} holds unknown fields {unknown}. Expected {sorted(names)}."
        )
    return config_lib.Config(**values)


def check_same(config: config_lib.Config, workdir: str | os.PathLike) -> None:
    """Refuses to go on in a workdir that holds another configuration.

    Raises:
      UserError: A field differs that must not change during a run.
    """
    stored = read(workdir)
    differences = [
        f"--{field.name} is {getattr(config, field.name)!r}, was "
        f"{getattr(stored, field.name)!r}"
        for field in dataclasses.fields(config_lib.Config)
        if not field.metadata["may_change"]
        and getattr(config, field.name) != getattr(stored, field.name)
    ]
    if differences:
        raise errors.UserError(
            f"The workdir {workdir} holds a run with another configuration: "
            f"{'; '.join(differences)}. Repeat its flags to go on with it, or "
            "choose another --workdir."
        )


def write_data_description(description: dict, workdir: pathlib.Path) -> None:
    """Writes data.json: which dataset the run saw.

    Raises:
      UserError: The folder holds imported weights, which saw none of ours.
    """
    path = workdir / DATA_FILE
    if path.exists() and not json.loads(path.read_text())["patches"]:
        raise errors.UserError(
            f"The workdir {workdir} holds imported weights, which training "
            "would overwrite. Choose another --workdir."
        )
    files.write(path, json.dumps(description, indent=2) + "\n")
