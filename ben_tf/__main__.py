"""Everything that the package does, by one name.

    bigearthnet-tf COMMAND --name=value

`bigearthnet-tf COMMAND --help` describes a command; `python -m ben_tf COMMAND`
and `python -m` with the module's name do the same.
"""

import inspect
import runpy
import sys
from typing import NamedTuple

from ben_tf import flag_errors
from ben_tf import help_text


class _Command(NamedTuple):
    module: str
    does: str


_COMMANDS = {
    "quickstart": _Command(
        "ben_tf.quickstart", "the whole road on a synthetic sample"
    ),
    "sample": _Command(
        "tfrecords_builder.sample_archive", "writes a small archive to try"
    ),
    "build": _Command(
        "tfrecords_builder.build", "turns the archive into TFRecords"
    ),
    "verify": _Command(
        "tfrecords_builder.verify", "checks an archive or its records"
    ),
    "statistics": _Command(
        "ben_tf.statistics", "means, deviations and percentiles of bands"
    ),
    "train": _Command("ben_tf.train", "trains a model and exports it"),
    "import": _Command(
        "ben_tf.import_checkpoint", "takes weights that others released"
    ),
    "evaluate": _Command("ben_tf.evaluate", "scores a model on a split"),
    "report": _Command("ben_tf.report", "a page about a run, or about several"),
    "predict": _Command(
        "ben_tf.predict", "labels patches, archives and scenes"
    ),
    "retrieve": _Command(
        "ben_tf.retrieval", "builds an index and finds similar patches"
    ),
    "export": _Command(
        "ben_tf.export", "writes a run as SavedModel, ONNX, TFLite, for servers"
    ),
}


def main() -> None:
    """Runs the command that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in _COMMANDS:
        print(inspect.cleandoc(__doc__ or ""), end="\n\n")
        for command, (_, does) in _COMMANDS.items():
            print(f"  {command:<12}{does}")
        if name in {*help_text.SHORT, *help_text.FULL, "help"}:
            sys.exit(0)
        print(
            f"error: {flag_errors.unknown_command(name, _COMMANDS)}",
            file=sys.stderr,
        )
        sys.exit(1)
    del sys.argv[1]
    runpy.run_module(
        _COMMANDS[name].module, run_name="__main__", alter_sys=True
    )


if __name__ == "__main__":
    main()
