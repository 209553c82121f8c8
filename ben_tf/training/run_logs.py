"""A run in the programs that keep records of runs: Weights & Biases, MLflow.

Both are optional packages, which read where to send records from variables of
their own, such as WANDB_MODE=offline or MLFLOW_TRACKING_URI.
"""

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any
from typing import Protocol

import msgspec
import tensorflow as tf

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import files
from ben_tf import workdir as workdir_lib
from ben_tf.training import record_packages
from ben_tf.training import tensorboard


class RunLog(tf.keras.callbacks.Callback):
    """Sends a run's rows of history.csv, and its configuration.

    The names are those of the columns, and the steps are epochs. A run that is
    resumed goes on as the same one: the workdir keeps its name. What cannot be
    sent while training goes on is said, and no reason to end it.
    """

    def __init__(
        self,
        name: str,
        config: config_lib.Config,
        path: str | os.PathLike,
    ):
        """Imports the package.

        Args:
          name: One of `record_packages.NAMES`.
          config: What is trained.
          path: The workdir.

        Raises:
          UserError: The package is not installed.
        """
        super().__init__()
        record_packages.check_installed(name)
        self._name = name
        self._program = _PROGRAMS[name]()
        self._config = config
        self._workdir = workdir_lib.Workdir(path)

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Begins the run, or goes on with it.

        Raises:
          UserError: It cannot be begun, or the file with its name is damaged.
        """
        file = self._workdir.run_log_file(self._name)
        known = None
        if file.exists():
            known = files.read_json(
                file,
                _Known,
                remedy="Remove it to begin a new record of the run.",
            ).id
        try:
            given = self._program.begin(
                known, self._workdir, tensorboard.settings(self._config)
            )
        except self._program.error as error:
            raise errors.UserError(
                f"{self._name} cannot begin the record of the run: "
                f"{errors.first_line(error)}. Correct its settings, or leave "
                "out `log`."
            ) from error
        if given != known:
            files.write_json(file, _Known(given))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Sends the row that history.csv has of the epoch."""
        row = self._workdir.read_history()[-1]
        values = {
            name: float(value) for name, value in row.items() if value != ""
        }
        values.pop("epoch")
        try:
            self._program.send(values, epoch + 1)
        except self._program.error as error:
            print(
                f"{self._name} did not take epoch {epoch + 1}: "
                f"{errors.first_line(error)}. Training goes on.",
                file=sys.stderr,
            )

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Ends the run."""
        self._program.end()


class _Known(msgspec.Struct):
    """What the workdir keeps of a run in another program."""

    id: str


class _Program(Protocol):
    """What `RunLog` needs of a package.

    Attributes:
      error: Whatever it raises.
    """

    error: type[Exception]

    def begin(
        self,
        known: str | None,
        workdir: workdir_lib.Workdir,
        settings: Mapping[str, Any],
    ) -> str:
        """Begins a run, or goes on with the known one; returns its name."""

    def send(self, values: Mapping[str, float], step: int) -> None:
        """Records metrics."""

    def end(self) -> None:
        """Ends the run."""


class _Wandb:
    def __init__(self) -> None:
        self._wandb: Any = importlib.import_module("wandb")
        self.error = self._wandb.Error

    def begin(
        self,
        known: str | None,
        workdir: workdir_lib.Workdir,
        settings: Mapping[str, Any],
    ) -> str:
        self._run = self._wandb.init(
            id=known,
            resume="allow" if known else None,
            name=workdir.path.name,
            dir=str(workdir.path),
            config=dict(settings),
        )
        return self._run.id

    def send(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def end(self) -> None:
        self._run.finish()


class _Mlflow:
    def __init__(self) -> None:
        self._mlflow: Any = importlib.import_module("mlflow")
        self.error = self._mlflow.exceptions.MlflowException

    def begin(
        self,
        known: str | None,
        workdir: workdir_lib.Workdir,
        settings: Mapping[str, Any],
    ) -> str:
        run = self._mlflow.start_run(run_id=known, run_name=workdir.path.name)
        if not known:
            # What may change in a resumed run cannot change there.
            self._mlflow.log_params(dict(settings))
        return run.info.run_id

    def send(self, values: Mapping[str, float], step: int) -> None:
        self._mlflow.log_metrics(dict(values), step=step)

    def end(self) -> None:
        self._mlflow.end_run()


_PROGRAMS: Mapping[str, type[_Program]] = {"wandb": _Wandb, "mlflow": _Mlflow}
