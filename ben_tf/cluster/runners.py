"""Chooses a runner of Apache Beam and checks its options."""

import contextlib
import dataclasses
import io
import types
from typing import Any

from ben_tf import errors

_DASK = "DaskRunner"
# They hand options on to a job server, which alone knows all of them.
_ASK_THEIR_SERVER = {"FlinkRunner", "PortableRunner", "SparkRunner"}


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Where tasks run.

    Attributes:
      runner: A `PipelineRunner` of Beam.
      options: Beam's `PipelineOptions`.
      name: That of the runner, such as "DaskRunner".
    """

    runner: Any
    options: Any
    name: str

    @property
    def is_dask(self) -> bool:
        """Whether Dask runs the tasks."""
        return type(self.runner).__name__ == _DASK


def choose(runner: str | None, options: str | None) -> Cluster | None:
    """Returns the cluster that two arguments name; None for none.

    Args:
      runner: Name of a runner of Beam; None: as the options say.
      options: "name=value,name=value"; None for none.

    Raises:
      errors.UserError: As of `with_runner`, or of `dask_cluster.check`.
    """
    if not (runner or options):
        return None
    pipeline_options = import_beam().options.pipeline_options
    words = [f"--{name.strip()}" for name in (options or "").split(",") if name]
    cluster = with_runner(runner, pipeline_options.PipelineOptions(flags=words))
    if cluster.is_dask:
        from ben_tf.cluster import dask_cluster

        # Now rather than when all has been read and planned.
        dask_cluster.check(cluster.options)
    return cluster


def with_runner(runner: Any, options: Any) -> Cluster:
    """Checks runner and options before anything is begun.

    Args:
      runner: A `PipelineRunner` or the name of one; None: as the options say.
      options: Beam's `PipelineOptions`; None for none.

    Raises:
      errors.UserError: Beam, or what the runner needs, is not installed; there
        is no such runner, or an option is unknown to it or has a bad value.
    """
    beam = import_beam()
    pipeline_options = beam.options.pipeline_options
    if options is None:
        options = pipeline_options.PipelineOptions(flags=[])
    with _explained_options():
        named = options.view_as(pipeline_options.StandardOptions).runner
        chosen = runner or named or "DirectRunner"
        # What a runner's module defines are options from then on.
        runner = _make(chosen)
        cluster = Cluster(
            runner,
            options,
            chosen if isinstance(chosen, str) else type(runner).__name__,
        )
        if cluster.name not in _ASK_THEIR_SERVER:
            _refuse_unknown(cluster)
        if cluster.is_dask:
            from ben_tf.cluster import dask_cluster

            dask_cluster.spread(options)
    return cluster


def import_beam() -> types.ModuleType:
    """Returns the module apache_beam.

    Raises:
      errors.UserError: It is not installed.
    """
    try:
        import apache_beam
    except ImportError as error:
        raise errors.UserError(
            "Apache Beam is not installed. Install it with pip install "
            "'.[beam]', or leave out `beam_runner`."
        ) from error
    return apache_beam


def _make(runner: Any) -> Any:
    if not isinstance(runner, str):
        return runner
    from apache_beam import runners

    try:
        if runner == _DASK:
            # Beam does not know it by name, and imports it without Dask.
            import distributed  # noqa: F401
            from apache_beam.runners.dask import dask_runner

            return dask_runner.DaskRunner()
        return runners.create_runner(runner)
    except ImportError as error:
        raise errors.UserError(
            f"{runner} needs what is not installed: {errors.first_line(error)}."
            " Install '.[beam]' for Dask, 'apache-beam[gcp]' for Dataflow."
        ) from error
    except (AttributeError, ValueError) as error:
        raise errors.UserError(
            "Unknown runner of Apache Beam. Expected DirectRunner, DaskRunner, "
            "FlinkRunner, SparkRunner, DataflowRunner or the full name of a "
            f"class. Received: `beam_runner={runner}`."
        ) from error


def _refuse_unknown(cluster: Cluster) -> None:
    """Raises UserError for an option that no class of options declares.

    Beam would say so in its log alone, and run without it.
    """
    from apache_beam.options import pipeline_options

    parser = pipeline_options._BeamArgumentParser(allow_abbrev=False)
    classes = {
        str(each): each
        for each in pipeline_options.PipelineOptions.__subclasses__()
    }
    for each in classes.values():
        each._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(cluster.options._flags)
    if unknown:
        raise errors.UserError(
            f"{cluster.name} knows no option {unknown[0].lstrip('-')!r}. "
            "Expected names of its own in `beam_pipeline_options`, such as "
            "dask_client_address=HOST:8786 of DaskRunner."
        )


@contextlib.contextmanager
def _explained_options() -> Any:
    """Beam parses options with argparse, which prints and ends the program."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as error:
        lines = said.getvalue().strip().splitlines() or ["unusable"]
        reason = lines[-1].rpartition("error: ")[2]
        raise errors.UserError(
            f"Apache Beam refuses its options: {reason}. Correct "
            "`beam_pipeline_options`."
        ) from error
