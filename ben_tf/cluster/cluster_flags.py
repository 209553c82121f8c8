"""The flags of commands that can run on a cluster."""

from collections.abc import Callable

from absl import flags

# --help lists them with the command that asks for them.
flags.disclaim_key_flags()

NAMES = ("beam_runner", "beam_pipeline_options")


def define() -> Callable[[], dict[str, str | None]]:
    """Defines the flags; returns what reads them, as named arguments."""
    runner = flags.DEFINE_string(
        "beam_runner",
        None,
        "Work on Apache Beam: DirectRunner, DaskRunner, FlinkRunner, "
        "SparkRunner or DataflowRunner. All workers must see all folders.",
    )
    options = flags.DEFINE_string(
        "beam_pipeline_options",
        None,
        "Options of Apache Beam, such as dask_client_address=HOST:8786, or "
        "flink_master=HOST:8081,environment_type=LOOPBACK.",
    )
    return lambda: {each.name: each.value for each in (runner, options)}
