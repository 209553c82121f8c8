"""A configuration as command-line flags."""

import dataclasses

from absl import flags

from ben_tf import config as config_lib


def define_flags(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines one absl flag for each field, with its default and help.

    `Config` itself checks choices and bounds.
    """
    define = {
        bool: flags.DEFINE_bool,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        str: flags.DEFINE_string,
    }
    for field in dataclasses.fields(config_lib.Config):
        text = field.metadata["help"]
        if choices := field.metadata["choices"]:
            text += f" One of: {', '.join(map(str, choices))}."
        define[field.type](
            field.name, field.default, text, flag_values=flag_values
        )


def from_flags(
    flag_values: flags.FlagValues = flags.FLAGS,
) -> config_lib.Config:
    """The configuration that the parsed flags describe."""
    return config_lib.Config(
        **{
            field.name: flag_values[field.name].value
            for field in dataclasses.fields(config_lib.Config)
        }
    )
