"""A configuration as command-line flags."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

from absl import flags

from ben_tf import band_statistics
from ben_tf import bigearthnet
from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import path_flags

_EXPERIMENT = "experiment"
EXPERIMENTS = pathlib.Path(__file__).parents[1] / "experiments"


def define_flags(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines one absl flag for each field, with its default and help.

    `Config` itself checks choices and bounds.
    """
    define: dict[Any, Any] = {
        bool: flags.DEFINE_bool,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        str: flags.DEFINE_string,
        # By their name or their file.
        bigearthnet.Statistics: path_flags.define_path,
    }
    for field in dataclasses.fields(config_lib.Config):
        define_one = define[field.type]
        if field.metadata["is_path"]:
            define_one = path_flags.define_path
        if choices := field.metadata["choices"]:
            define_one = functools.partial(
                flags.DEFINE,
                _ChoiceParser(choices),
                serializer=flags.ArgumentSerializer(),
            )
        default = field.default
        if isinstance(default, bigearthnet.Statistics):
            default = default.name
        define_one(
            field.name,
            default,
            field.metadata["help"],
            flag_values=flag_values,
        )


class _ChoiceParser(flags.ArgumentParser):
    """Knows the choices, for --help; `Config` refuses what is none."""

    def __init__(self, choices: Sequence[int] | Sequence[str]):
        super().__init__()
        self.enum_values = choices
        self._type = type(choices[0])

    def parse(self, argument: str | int) -> str | int:
        """Raises ValueError unless the argument is of the choices' type."""
        return self._type(argument)


def groups() -> dict[str, list[str]]:
    """Title -> names of the flags that --help shows below it."""
    found: dict[str, list[str]] = {}
    for field in dataclasses.fields(config_lib.Config):
        found.setdefault(field.metadata["group"], []).append(field.name)
    return found


def rare_names() -> frozenset[str]:
    """Names of the flags that most runs leave alone."""
    return frozenset(
        field.name
        for field in dataclasses.fields(config_lib.Config)
        if not field.metadata["usual"]
    )


def from_flags(
    flag_values: flags.FlagValues = flags.FLAGS,
) -> config_lib.Config:
    """The configuration that the parsed flags describe.

    Those that were not given have the values of --experiment, if that is among
    the flags and was given.

    Raises:
      UserError: A value is not allowed, or a file that it names is damaged.
    """
    name = _EXPERIMENT in flag_values and flag_values[_EXPERIMENT].value
    base = from_experiment(name) if name else None
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config_lib.Config):
        flag = flag_values[field.name]
        if base is not None and not flag.present:
            values[field.name] = getattr(base, field.name)
        elif field.type is bigearthnet.Statistics:
            values[field.name] = band_statistics.find(str(flag.value))
        else:
            values[field.name] = flag.value
    return config_lib.Config(**values)


def experiments() -> list[str]:
    """Names of the experiments that come with the package."""
    return sorted(found.stem for found in EXPERIMENTS.glob("*.flags"))


def define_experiment() -> None:
    """Defines --experiment, for `from_flags`."""
    flags.DEFINE_enum(
        _EXPERIMENT,
        None,
        experiments(),
        "Begin with the flags of an experiment of the paper, of v2.0 or of an "
        "ablation; flags beside it count more.",
    )


def from_experiment(name: str, **changes: Any) -> config_lib.Config:
    """The configuration that a flagfile of `ben_tf/experiments` describes.

    Args:
      name: Of the file, such as "table2_resnet50".
      **changes: Fields that are to differ, such as `data_dir`.

    Raises:
      UserError: No experiment has this name, or a value is not allowed.
    """
    if name not in experiments():
        raise errors.UserError(
            f"Unknown experiment {name!r}. Expected one of "
            f"{', '.join(experiments())}."
        )
    flag_values = flags.FlagValues()
    define_flags(flag_values)
    # absl gives this one to the flags of the command line alone.
    flags.DEFINE_string("flagfile", "", "", flag_values=flag_values)
    flag_values([name, f"--flagfile={EXPERIMENTS / name}.flags"])
    return dataclasses.replace(from_flags(flag_values), **changes)
