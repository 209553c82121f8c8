"""Flags that are paths: ~ is the home folder, wherever it stands.

A shell replaces ~ at the beginning of a word, but not in --data_dir=~/data nor
in a flagfile. Without this a folder called ~ would be made.
"""

import os

from absl import flags

# --help lists a flag with the module that asks for it.
flags.disclaim_key_flags()


def define_path(
    name: str,
    default: str | None,
    text: str,
    *,
    required: bool = False,
    flag_values: flags.FlagValues = flags.FLAGS,
) -> flags.FlagHolder:
    """Defines a flag for a path, or for some with commas between them."""
    return flags.DEFINE(
        _PathParser(),
        name,
        default,
        text,
        flag_values,
        serializer=flags.ArgumentSerializer(),
        required=required,
    )


def define_paths(
    name: str, default: list[str] | None, text: str, *, required: bool = False
) -> flags.FlagHolder:
    """Defines a flag for paths with commas between them: a list."""
    return flags.DEFINE(
        _PathsParser(),
        name,
        default,
        text,
        serializer=flags.CsvListSerializer(","),
        required=required,
    )


class _PathParser(flags.ArgumentParser):
    def parse(self, argument: str) -> str:
        """Expands ~ and ~user at the beginning and after commas."""
        return ",".join(map(os.path.expanduser, argument.split(",")))


class _PathsParser(flags.ListParser):
    def parse(self, argument: str | list[str]) -> list[str]:
        """As `ListParser`, with ~ and ~user expanded."""
        return [os.path.expanduser(path) for path in super().parse(argument)]
