"""config.json: what a workdir keeps of its configuration."""

import dataclasses
import json
import os
import pathlib

from ben_tf import atomic_file
from ben_tf import command_line
from ben_tf import config as config_lib

FILE_NAME = "config.json"


def write(config: config_lib.Config, workdir: str | os.PathLike) -> None:
    """Writes config.json, atomically."""
    path = pathlib.Path(workdir) / FILE_NAME
    content = json.dumps(dataclasses.asdict(config), indent=2)
    atomic_file.write(path, content + "\n")


def read(workdir: str | os.PathLike) -> config_lib.Config:
    """Reads config.json.

    Raises:
      UserError: No such file, no JSON, an unknown field or a bad value.
    """
    path = pathlib.Path(workdir) / FILE_NAME
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise command_line.UserError(
            f"{workdir} is no workdir of a training run: it has no "
            f"{FILE_NAME}. Train one with python -m ben_tf.train "
            f"--workdir={workdir}, or correct --workdir."
        ) from error
    except (OSError, ValueError) as error:
        raise command_line.UserError(
            f"{path} cannot be read: {error}. Expected the JSON that "
            "ben_tf.train wrote."
        ) from error
    names = {field.name for field in dataclasses.fields(config_lib.Config)}
    if not isinstance(values, dict) or set(values) - names:
        unknown = (
            sorted(set(values) - names) if isinstance(values, dict) else ""
        )
        raise command_line.UserError(
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
        raise command_line.UserError(
            f"The workdir {workdir} holds a run with another configuration: "
            f"{'; '.join(differences)}. Repeat its flags to go on with it, or "
            "choose another --workdir."
        )
